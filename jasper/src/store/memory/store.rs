//! The store's state, which its clones share.

use std::fmt;
use std::future::ready;
use std::sync::Arc;

use futures_util::future::BoxFuture;
use parking_lot::{Mutex, MutexGuard};

use super::rows::MemoryState;
use crate::store::StoreError;

/// What it is called in logs and errors.
pub(super) const NAME: &str = "memory";

/// A message store that forgets everything with its process, for tests and for applications that
/// need no more. Clones share one state.
#[derive(Clone, Default)]
pub struct MemoryStore {
    state: Arc<Mutex<MemoryState>>,
}

impl MemoryStore {
    /// An empty store.
    pub fn new() -> Self {
        Self::default()
    }

    /// The state, for as long as nothing is awaited.
    ///
    /// A panic under the lock leaves each row as it was or as it should be, so it spoils nothing
    /// for others.
    pub(super) fn state(&self) -> MutexGuard<'_, MemoryState> {
        self.state.lock()
    }

    /// Does something under the lock, when the future is polled.
    pub(super) fn with<'a, T: Send + 'a>(
        &'a self,
        act: impl FnOnce(&mut MemoryState) -> T + Send + 'a,
    ) -> BoxFuture<'a, Result<T, StoreError>> {
        Box::pin(async move { Ok(act(&mut self.state())) })
    }
}

impl fmt::Debug for MemoryStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MemoryStore").finish_non_exhaustive()
    }
}

/// There is no connection that could be of this store's type.
pub(super) fn no_connection<T: Send + 'static>() -> BoxFuture<'static, Result<T, StoreError>> {
    Box::pin(ready(Err(StoreError::WrongConnection { store: NAME, given: "connection" })))
}
