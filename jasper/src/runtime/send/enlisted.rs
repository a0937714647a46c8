//! Sending within a transaction of the user's own.

use std::any::Any;
use std::fmt;
use std::sync::Arc;

use super::sending::Sending;
use super::user_transaction::UserTransaction;
use crate::handler::RunScope;
use crate::message::Message;
use crate::routing::{Publishes, Sends};
use crate::runtime::core::Core;

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

    /// Sends a command when the transaction commits. Await the result, which says that the message
    /// is written; options may be set before.
    ///
    /// # Errors
    /// Nothing was written; the transaction may go on, unless the database says otherwise. Beside
    /// those of [`Bus::send`](crate::Bus::send):
    /// [`SendError::ForeignTransaction`](crate::SendError::ForeignTransaction) where the
    /// transaction is not one of the application's store.
    ///
    /// # Cancel safety
    /// Dropped before it returns, the message may or may not be part of the transaction: roll that
    /// back.
    pub fn send<M, OneHandler>(&mut self, message: M) -> Sending<'_>
    where
        M: Message,
        M::Kind: Sends<M, OneHandler>,
    {
        self.sending(&message)
    }

    /// Publishes an event when the transaction commits.
    ///
    /// # Errors
    /// As [`send`](Self::send).
    ///
    /// # Cancel safety
    /// As [`send`](Self::send).
    pub fn publish<M>(&mut self, message: M) -> Sending<'_>
    where
        M: Message,
        M::Kind: Publishes<M>,
    {
        self.sending(&message)
    }

    fn sending<M: Message>(&mut self, message: &M) -> Sending<'_> {
        let scope = self.scope.clone();
        Sending::within(&self.core, UserTransaction { scope, connection: self.connection }, message)
    }
}

impl fmt::Debug for Enlisted<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Enlisted").finish_non_exhaustive()
    }
}
