//! What one run of a handler has at hand.

use std::any::{Any, TypeId, type_name};
use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, Mutex};

use tokio_util::sync::CancellationToken;

use super::{Cascades, HandlerError, OutgoingMessage};
use crate::codec::Codec;
use crate::envelope::{Envelope, MessageId};
use crate::store::Connection;

/// The values that the builder's `state` registered, by type.
#[derive(Default, Clone)]
pub struct States(HashMap<TypeId, Arc<dyn Any + Send + Sync>>);

impl States {
    /// Registers a value, replacing one of the same type.
    pub fn insert<T: Send + Sync + 'static>(&mut self, value: T) {
        self.0.insert(TypeId::of::<T>(), Arc::new(value));
    }

    /// The value of this type.
    pub fn get<T: Send + Sync + 'static>(&self) -> Option<Arc<T>> {
        let value = Arc::clone(self.0.get(&TypeId::of::<T>())?);
        value.downcast().ok()
    }

    /// Whether there is a value of this type.
    pub fn contains(&self, id: TypeId) -> bool {
        self.0.contains_key(&id)
    }
}

impl fmt::Debug for States {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "States({})", self.0.len())
    }
}

/// What the messages of a run follow from, and where they wait for its commit.
#[derive(Debug)]
pub struct Cause {
    /// The message being handled, or the invocation's own id.
    pub id: MessageId,
    /// The handler's name, part of the ids of what it sends.
    pub handler: &'static str,
    /// The first message of the chain.
    pub conversation_id: MessageId,
    /// Handed on to every message sent.
    pub correlation_id: Option<String>,
    /// Handed on to every message sent.
    pub tenant_id: Option<String>,
    /// In a durable handler: what its `Bus` has been given, until the commit. `None` inside once the run is over.
    pub pending: Option<Mutex<Option<Vec<OutgoingMessage>>>>,
}

/// What one run of a handler has at hand; arguments are taken out of it by
/// [`FromContext`](super::FromContext).
pub struct HandlerContext<'run> {
    envelope: EnvelopeSource<'run>,
    states: &'run States,
    cancellation: &'run CancellationToken,
    cause: Arc<Cause>,
    connection: Option<&'run mut (dyn Any + Send)>,
    cascades: Cascades<'run>,
}

/// An invoked command has no envelope until somebody asks for one.
enum EnvelopeSource<'run> {
    Received(&'run Envelope),
    Invoked(&'run (dyn Fn() -> Envelope + Sync)),
}

impl<'run> HandlerContext<'run> {
    pub(crate) fn received(
        envelope: &'run Envelope,
        states: &'run States,
        cancellation: &'run CancellationToken,
        cause: Arc<Cause>,
        codec: &'run dyn Codec,
    ) -> Self {
        Self {
            envelope: EnvelopeSource::Received(envelope),
            states,
            cancellation,
            cause,
            connection: None,
            cascades: Cascades::new(codec),
        }
    }

    #[must_use]
    pub(crate) fn with_connection(
        mut self,
        connection: Option<&'run mut (dyn Any + Send)>,
    ) -> Self {
        self.connection = connection;
        self
    }

    /// The envelope of the message being handled.
    pub fn envelope(&self) -> Envelope {
        match self.envelope {
            EnvelopeSource::Received(envelope) => envelope.clone(),
            EnvelopeSource::Invoked(make) => make(),
        }
    }

    /// The registered states.
    pub const fn states(&self) -> &States {
        self.states
    }

    /// Cancelled when the run should end: its time-out has passed or the application is stopping.
    pub const fn cancellation(&self) -> &CancellationToken {
        self.cancellation
    }

    /// What messages sent in this run follow from.
    pub const fn cause(&self) -> &Arc<Cause> {
        &self.cause
    }

    /// The connection of the handler's transaction.
    ///
    /// # Errors
    /// The store has connections of another type, or the run is not in a transaction. The check at start finds both.
    pub fn connection<C: Connection>(&mut self) -> Result<&mut C, HandlerError> {
        self.connection
            .as_deref_mut()
            .and_then(|connection| connection.downcast_mut())
            .ok_or_else(|| {
                HandlerError::new(format!(
                    "this run has no transaction with a `{}`",
                    type_name::<C>()
                ))
            })
    }

    /// The messages that the handler returned.
    pub const fn cascades(&mut self) -> &mut Cascades<'run> {
        &mut self.cascades
    }
}

impl fmt::Debug for HandlerContext<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("HandlerContext")
            .field("cause", &self.cause)
            .finish_non_exhaustive()
    }
}
