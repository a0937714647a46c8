//! Whether sessions of nodes that are gone may be left at the server.

use parking_lot::Mutex;

use crate::store::StoreError;

/// What came of the last try to end them. While some may be left, no node that is gone is
/// forgotten: its sessions would never be looked for again.
#[derive(Debug, Default)]
pub(crate) struct SessionsLeft(Mutex<Option<StoreError>>);

impl SessionsLeft {
    /// Notes what came of a try. An error that will come again, such as a right that is missing,
    /// keeps no node.
    pub(crate) fn note(&self, ended: Result<(), StoreError>) {
        *self.0.lock() = ended.err().filter(StoreError::is_transient);
    }

    /// # Errors
    /// Some may be left, for this reason.
    pub(crate) fn check(&self) -> Result<(), StoreError> {
        self.0.lock().clone().map_or(Ok(()), Err)
    }
}
