//! Messages that are part of a transaction of the user's own.

use std::any::Any;
use std::sync::Arc;

use super::hand_over::AfterCommit;
use super::placement::Joining;
use super::prepare::prepare;
use crate::error::SendError;
use crate::handler::{OutgoingMessage, RunScope};
use crate::runtime::core::Core;
use crate::store::{Inserted, StoreError, StoreOperation};

/// A transaction that the runtime neither begins nor commits.
pub(crate) struct UserTransaction<'tx> {
    /// What the messages follow from.
    pub(crate) scope: Option<Arc<RunScope>>,
    pub(crate) connection: &'tx mut (dyn Any + Send),
}

impl UserTransaction<'_> {
    /// Writes a message into the transaction. Says whether it was known before.
    pub(crate) async fn write(
        self,
        core: &Core,
        message: OutgoingMessage,
    ) -> Result<bool, SendError> {
        let client = core.store();
        let Some(store) = client.get() else {
            return Err(SendError::NeedsStore { what: "`bus.enlist`" });
        };
        let scope = self.scope.as_deref();
        let routed = prepare(core, vec![message], scope, Joining::User, &mut Vec::new())?;
        let (mut stored, mut stored_outgoing) = (Vec::new(), Vec::new());
        let (incoming, outgoing, mut unowned) = AfterCommit::split(core, routed);
        if !incoming.is_empty() {
            let write = store.inbox().store_within(self.connection, incoming);
            let write = client.call(StoreOperation::StoreWithin, write);
            stored = write.await.map_err(refused)?;
        }
        if !outgoing.is_empty() {
            let write = store.outbox().store_within(self.connection, outgoing);
            let write = client.call(StoreOperation::StoreOutgoingWithin, write);
            stored_outgoing = write.await.map_err(refused)?;
        }
        unowned.notify(core, &stored, &stored_outgoing);
        stored.extend(stored_outgoing);
        // The commit is still to come: the store is looked at again until an ordinary poll is due.
        if !store.info().notifies {
            core.wakeups().enlisted().notify_one();
        }
        Ok(!stored.is_empty() && stored.iter().all(|s| *s == Inserted::Duplicate))
    }
}

fn refused(error: StoreError) -> SendError {
    match error {
        StoreError::WrongConnection { .. } => SendError::ForeignTransaction,
        error => error.into(),
    }
}
