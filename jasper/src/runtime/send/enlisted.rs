//! Sending within a transaction of the user's own.

use std::any::Any;
use std::fmt;
use std::sync::Arc;

use futures_util::future::{BoxFuture, FutureExt};

use super::envelope::encode;
use super::hand_over::Accepted;
use super::placement::Joining;
use super::prepare::prepare;
use super::sending::Sent;
use crate::error::SendError;
use crate::handler::{DeliveryOptions, OutgoingMessage, RunScope};
use crate::message::Message;
use crate::routing::{Publishes, Sends};
use crate::runtime::core::Core;
use crate::store::{StoreError, StoreOperation, Stored};

/// Writes messages into a transaction of your own; see
/// [`Bus::enlist`](crate::runtime::Bus::enlist).
///
/// The runtime cannot see the commit of a foreign transaction. It looks for the messages right
/// after, at growing intervals, and at last with its ordinary poll.
pub struct Enlisted<'tx> {
    core: Arc<Core>,
    scope: Option<Arc<RunScope>>,
    connection: &'tx mut (dyn Any + Send),
}

impl<'tx> Enlisted<'tx> {
    pub(crate) const fn new(
        core: Arc<Core>,
        scope: Option<Arc<RunScope>>,
        connection: &'tx mut (dyn Any + Send),
    ) -> Self {
        Self { core, scope, connection }
    }

    /// Sends a command when the transaction commits.
    ///
    /// # Errors
    /// Nothing was written; the transaction may go on, unless the database says otherwise.
    // Neither this nor what follows is an `async fn`: its future would carry the bounds, and a
    // command without a handler be reported several times.
    pub fn send<M, OneHandler>(&mut self, message: M) -> BoxFuture<'_, Result<Sent, SendError>>
    where
        M: Message,
        M::Kind: Sends<M, OneHandler>,
    {
        let message = encode(&self.core, &message);
        self.write(message).boxed()
    }

    /// Sends a command, with options, when the transaction commits.
    ///
    /// # Errors
    /// As [`send`](Self::send).
    pub fn send_with<M, OneHandler>(
        &mut self,
        message: M,
        options: DeliveryOptions,
    ) -> BoxFuture<'_, Result<Sent, SendError>>
    where
        M: Message,
        M::Kind: Sends<M, OneHandler>,
    {
        let message = encode(&self.core, &message);
        let message = message.map(|message| OutgoingMessage { options, ..message });
        self.write(message).boxed()
    }

    /// Publishes an event when the transaction commits.
    ///
    /// # Errors
    /// As [`send`](Self::send).
    pub fn publish<M>(&mut self, message: M) -> BoxFuture<'_, Result<Sent, SendError>>
    where
        M: Message,
        M::Kind: Publishes<M>,
    {
        let message = encode(&self.core, &message);
        self.write(message).boxed()
    }

    async fn write(
        &mut self,
        message: Result<OutgoingMessage, SendError>,
    ) -> Result<Sent, SendError> {
        let message = message?;
        let client = self.core.store();
        let Some(store) = client.port() else {
            return Err(SendError::NeedsStore { what: "`bus.enlist`" });
        };
        let scope = self.scope.as_deref();
        let batch = prepare(&self.core, vec![message], scope, Joining::Foreign, &mut Vec::new())?;
        let mut stored = Vec::new();
        let (incoming, outgoing, _unowned) = Accepted::split(batch);
        if !incoming.is_empty() {
            let write = store.inbox().store_within(self.connection, incoming);
            let write = client.call(StoreOperation::StoreWithin, write);
            stored.extend(write.await.map_err(refused)?);
        }
        if !outgoing.is_empty() {
            let write = store.outbox().store_within(self.connection, outgoing);
            let write = client.call(StoreOperation::StoreOutgoingWithin, write);
            stored.extend(write.await.map_err(refused)?);
        }
        // The commit is still to come; looking goes on for as long as an ordinary poll takes.
        if !store.info().notifies {
            self.core.wakeups().enlisted().notify_one();
        }
        let duplicate = !stored.is_empty() && stored.iter().all(|s| *s == Stored::Duplicate);
        Ok(Sent { duplicate })
    }
}

fn refused(error: StoreError) -> SendError {
    match error {
        StoreError::WrongConnection { .. } => SendError::ForeignTransaction,
        error => error.into(),
    }
}

impl fmt::Debug for Enlisted<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Enlisted").finish_non_exhaustive()
    }
}
