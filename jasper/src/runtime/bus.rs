//! The gateway through which an application speaks: send, publish, invoke, enlist.

use std::any::Any;
use std::fmt;
use std::future::IntoFuture;
use std::sync::{Arc, Weak};
use std::time::{Duration, SystemTime};

use futures_util::future::{BoxFuture, FutureExt};

use super::core::Core;
use super::enlisted::Enlisted;
use super::invoke;
use crate::error::{InvokeError, SendError};
use crate::handler::{
    Cause, DeliveryOptions, FromContext, HandlerContext, HandlerError, Invokes, OutgoingMessage,
};
use crate::message::Message;
use crate::routing::{Publishes, Sends};
use crate::store::TransactionScope;

/// Sends commands, publishes events and invokes commands. Cheap to clone.
///
/// A `Bus` that a handler takes as an argument knows the message being handled: what it sends belongs to the same
/// conversation. In a `#[durable]` handler it is part of the transaction: what it sends leaves with the commit, or
/// not at all.
#[derive(Clone)]
pub struct Bus {
    core: Arc<Core>,
    cause: Option<Arc<Cause>>,
}

impl Bus {
    pub(crate) const fn new(core: Arc<Core>) -> Self {
        Self { core, cause: None }
    }

    /// Sends a command to its one handler or endpoint. Await the result; options may be set before.
    ///
    /// When it returns, a message for a durable handler or queue is committed to the store; any other is in memory.
    ///
    /// # Errors
    /// Nothing of the message was kept.
    ///
    /// # Cancel safety
    /// Dropped before it returns, the message may or may not have been accepted.
    pub fn send<M, OneHandler>(&self, message: M) -> Sending<'_>
    where
        M: Message,
        M::Kind: Sends<M, OneHandler>,
    {
        self.sending(&message)
    }

    /// Publishes an event to all handlers that subscribe to it, of which there may be none.
    ///
    /// Each subscriber gets a message of its own, with attempts and failures of its own.
    ///
    /// # Errors
    /// As [`send`](Self::send).
    pub fn publish<M>(&self, message: M) -> Sending<'_>
    where
        M: Message,
        M::Kind: Publishes<M>,
    {
        self.sending(&message)
    }

    /// Runs a command's handler now, in this task, and gives its typed reply.
    ///
    /// The handler is found by the compiler; nothing is stored, looked up or encoded. A durable handler runs in a
    /// transaction. There is one attempt: the caller sees its failure. Messages that the handler returns are sent when
    /// it has succeeded.
    ///
    /// # Errors
    /// The handler failed, panicked or took too long; or the store did.
    ///
    /// # Cancel safety
    /// Dropped before it returns, the handler is dropped where it awaits; its transaction is rolled back.
    // Not an `async fn`: its future would carry the bounds, and a command without a handler be reported three times.
    pub fn invoke<M, OneHandler>(&self, message: M) -> BoxFuture<'_, Result<M::Reply, InvokeError>>
    where
        M: Message,
        M::Kind: Invokes<M, OneHandler>,
    {
        let cause = self.cause.as_deref();
        invoke::invoke::<<M::Kind as Invokes<M, OneHandler>>::Handler>(&self.core, cause, message)
            .boxed()
    }

    /// Sends within a transaction of your own: messages join it, leave after its commit, and vanish with its rollback.
    ///
    /// ```text
    /// let mut tx = pool.begin().await?;
    /// sqlx::query("insert into orders …").execute(&mut *tx).await?;
    /// bus.enlist(&mut tx).send(ShipOrder { … }).await?;
    /// tx.commit().await?;
    /// ```
    pub fn enlist<'tx, T: TransactionScope>(&self, transaction: &'tx mut T) -> Enlisted<'tx> {
        let connection: &mut (dyn Any + Send) = transaction.connection();
        Enlisted::new(Arc::clone(&self.core), self.cause.clone(), connection)
    }

    fn sending<M: Message>(&self, message: &M) -> Sending<'_> {
        Sending {
            bus: self,
            message: encode(&self.core, message),
        }
    }

    async fn submit(&self, message: OutgoingMessage) -> Result<Sent, SendError> {
        let cause = self.cause.as_deref();
        let message = match cause {
            Some(cause) => cause.join(message).map_err(|_| SendError::RunEnded)?,
            None => Some(message),
        };
        let Some(message) = message else {
            return Ok(Sent { duplicate: false });
        };
        if cause.is_none() && self.core.stopping.is_cancelled() {
            return Err(SendError::Stopping);
        }
        let duplicate = self.core.dispatch(vec![message], cause).await?;
        Ok(Sent { duplicate })
    }
}

pub(super) fn encode<M: Message>(core: &Core, message: &M) -> Result<OutgoingMessage, SendError> {
    OutgoingMessage::encode(message, DeliveryOptions::new(), &*core.codec).map_err(|source| {
        SendError::Encode {
            message_type: M::TYPE,
            source,
        }
    })
}

impl fmt::Debug for Bus {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Bus").finish_non_exhaustive()
    }
}

impl FromContext for Bus {
    fn from_context(cx: &HandlerContext<'_>) -> Result<Self, HandlerError> {
        let root = cx.states().get::<BusRoot>();
        let core = root.and_then(|root| root.0.upgrade());
        Ok(Self {
            core: core.ok_or_else(|| HandlerError::new("the application has ended"))?,
            cause: Some(Arc::clone(cx.cause())),
        })
    }
}

/// The way from a handler's context to the application. Weak, as the application owns the states that it lies in.
#[derive(Debug)]
pub(super) struct BusRoot(Weak<Core>);

impl BusRoot {
    pub(super) const fn new(core: Weak<Core>) -> Self {
        Self(core)
    }
}

/// A message that is about to be sent: set options, then await it.
#[must_use = "a message is sent when this is awaited"]
pub struct Sending<'bus> {
    bus: &'bus Bus,
    message: Result<OutgoingMessage, SendError>,
}

impl Sending<'_> {
    /// To be handled after this delay.
    pub fn delay(self, delay: Duration) -> Self {
        self.option(|options| options.delay(delay))
    }

    /// To be handled at this time.
    pub fn at(self, due_at: SystemTime) -> Self {
        self.option(|options| options.at(due_at))
    }

    /// One message for each key of this type: a repeat is dropped for seven days after it is handled. Needs a store.
    pub fn deduplicate(self, key: impl Into<String>) -> Self {
        self.option(|options| options.deduplicate(key))
    }

    /// With these options, which replace those set before.
    pub fn with(self, options: DeliveryOptions) -> Self {
        self.option(|_| options)
    }

    fn option(mut self, set: impl FnOnce(DeliveryOptions) -> DeliveryOptions) -> Self {
        if let Ok(message) = &mut self.message {
            message.options = set(std::mem::take(&mut message.options));
        }
        self
    }
}

impl<'bus> IntoFuture for Sending<'bus> {
    type Output = Result<Sent, SendError>;
    type IntoFuture = BoxFuture<'bus, Self::Output>;

    fn into_future(self) -> Self::IntoFuture {
        async move { self.bus.submit(self.message?).await }.boxed()
    }
}

impl fmt::Debug for Sending<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Sending").finish_non_exhaustive()
    }
}

/// A message that was accepted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct Sent {
    /// It repeats a message with the same deduplication key, and was dropped.
    pub duplicate: bool,
}
