//! What one run of a handler has at hand.

use std::any::{Any, TypeId, type_name};
use std::collections::HashMap;
use std::error::Error;
use std::fmt;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::SystemTime;

use parking_lot::Mutex;
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;

use super::error::HandlerError;
use super::outgoing::{Cascades, OutgoingMessage};
use super::requirement::StateRequirement;
use crate::codec::Codec;
use crate::envelope::{Envelope, MessageId, time};
use crate::store::{Connection, IsConflict};

/// The values that the builder's `state` registered, by the types of the `Arc`s that hold them.
#[derive(Default, Clone)]
pub struct States(HashMap<TypeId, (&'static str, Arc<dyn Any + Send + Sync>)>);

impl States {
    /// Registers a value, replacing one of the same type.
    pub fn insert<T: Send + Sync + 'static>(&mut self, value: T) {
        self.0.insert(TypeId::of::<Arc<T>>(), (type_name::<T>(), Arc::new(Arc::new(value))));
    }

    /// The value of this type, or the one in an `Arc` that was registered: an `Arc<dyn Trait>` is
    /// that of a `dyn Trait` too.
    pub fn get<T: Send + Sync + ?Sized + 'static>(&self) -> Option<Arc<T>> {
        let shared = || self.exactly::<Arc<Arc<T>>>().map(|shared| Arc::clone(&**shared));
        self.exactly::<Arc<T>>().cloned().or_else(shared)
    }

    fn exactly<A: Any>(&self) -> Option<&A> {
        let (_, value) = self.0.get(&TypeId::of::<A>())?;
        value.downcast_ref()
    }

    /// Whether there is the value that a handler needs.
    pub(crate) fn meets(&self, requirement: &StateRequirement) -> bool {
        requirement.holders.iter().any(|holder| self.0.contains_key(holder))
    }

    /// The types of the values, in order, without those of jasper itself.
    pub(crate) fn names(&self) -> Vec<&'static str> {
        let mut names: Vec<_> = self
            .0
            .values()
            .map(|(name, _)| *name)
            .filter(|name| !name.starts_with("jasper::"))
            .collect();
        names.sort_unstable();
        names
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
    id: MessageId,
    sent_at: SystemTime,
    handler: &'static str,
    conversation_id: MessageId,
    correlation_id: Option<String>,
    tenant_id: Option<String>,
    traceparent: Option<String>,
    ordinal: AtomicUsize,
    pending: Option<Mutex<Pending>>,
    holds_connection: bool,
    /// Wakes those who wait for the end of the run.
    closed: Notify,
}

/// What the `Bus` of a durable handler has been given, until its run is over.
#[derive(Debug)]
enum Pending {
    Open(Vec<OutgoingMessage>),
    Closed,
}

/// The run is over, and with it the transaction that a message was to join.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct RunEnded;

impl Cause {
    /// What follows from `handler` handling this envelope.
    pub(crate) fn of(envelope: &Envelope, handler: &'static str, in_transaction: bool) -> Self {
        Self {
            id: envelope.id,
            sent_at: envelope.sent_at,
            handler,
            conversation_id: envelope.conversation_id,
            correlation_id: envelope.correlation_id.clone(),
            tenant_id: envelope.tenant_id.clone(),
            traceparent: envelope.traceparent.clone(),
            ordinal: AtomicUsize::new(0),
            pending: in_transaction.then(|| Mutex::new(Pending::Open(Vec::new()))),
            holds_connection: false,
            closed: Notify::new(),
        }
    }

    /// What follows from invoking `handler`, within `parent` where a handler invokes another.
    pub(crate) fn of_invocation(
        handler: &'static str,
        parent: Option<&Self>,
        in_transaction: bool,
    ) -> Self {
        let id = MessageId::new();
        Self {
            id,
            sent_at: time::now(),
            handler,
            conversation_id: parent.map_or(id, |parent| parent.conversation_id),
            correlation_id: parent.and_then(|parent| parent.correlation_id.clone()),
            tenant_id: parent.and_then(|parent| parent.tenant_id.clone()),
            traceparent: parent.and_then(|parent| parent.traceparent.clone()),
            ordinal: AtomicUsize::new(0),
            pending: in_transaction.then(|| Mutex::new(Pending::Open(Vec::new()))),
            holds_connection: false,
            closed: Notify::new(),
        }
    }

    /// Writes into `envelope` what it inherits.
    ///
    /// `commits_with_run`: a run that is repeated has left nothing behind, so the message gets an
    /// id that a repetition gives it again. Else it keeps the new id that it has: a repetition may
    /// send other messages, and none of them is to be taken for this one.
    pub(crate) fn pass_on(&self, envelope: &mut Envelope, commits_with_run: bool) {
        if commits_with_run {
            let ordinal = self.ordinal.fetch_add(1, Ordering::Relaxed);
            envelope.id = self.id.derived(self.sent_at, self.handler, ordinal);
        }
        envelope.conversation_id = self.conversation_id;
        envelope.causation_id = Some(self.id);
        envelope.correlation_id.clone_from(&self.correlation_id);
        envelope.tenant_id.clone_from(&self.tenant_id);
        envelope.traceparent.clone_from(&self.traceparent);
    }

    /// The message being handled, or the invocation's own id.
    pub const fn id(&self) -> MessageId {
        self.id
    }

    /// The first message of the chain.
    pub const fn conversation_id(&self) -> MessageId {
        self.conversation_id
    }

    /// Whether messages wait for the commit of the run.
    pub const fn is_in_transaction(&self) -> bool {
        self.pending.is_some()
    }

    /// Of a run that holds a connection of the store until it ends.
    #[must_use]
    pub(crate) const fn holding_connection(mut self) -> Self {
        self.holds_connection = true;
        self
    }

    pub(crate) const fn holds_connection(&self) -> bool {
        self.holds_connection
    }

    /// The handler whose run it is.
    pub(crate) const fn handler(&self) -> &'static str {
        self.handler
    }

    /// Waits until no message can join the run any more.
    pub(crate) async fn ended(&self) {
        let mut closed = pin!(self.closed.notified());
        // Woken by whatever is closed from here on.
        closed.as_mut().enable();
        if self.is_open() {
            closed.await;
        }
    }

    fn is_open(&self) -> bool {
        let pending = self.pending.as_ref();
        let pending = pending.map(|pending| pending.lock());
        pending.is_some_and(|pending| matches!(*pending, Pending::Open(_)))
    }

    /// Keeps a message until the commit. `None`: the run has no transaction, and the message is
    /// given back.
    pub(crate) fn join(
        &self,
        message: OutgoingMessage,
    ) -> Result<Option<OutgoingMessage>, RunEnded> {
        let Some(pending) = &self.pending else {
            return Ok(Some(message));
        };
        match &mut *pending.lock() {
            Pending::Open(messages) => messages.push(message),
            Pending::Closed => return Err(RunEnded),
        }
        Ok(None)
    }

    /// Ends the run: what waits is taken, and nothing more is kept.
    pub(crate) fn close(&self) -> Vec<OutgoingMessage> {
        let Some(pending) = &self.pending else {
            return Vec::new();
        };
        let mut pending = pending.lock();
        self.closed.notify_waiters();
        match std::mem::replace(&mut *pending, Pending::Closed) {
            Pending::Open(messages) => messages,
            Pending::Closed => Vec::new(),
        }
    }
}

/// What one run of a handler has at hand; arguments are taken out of it by
/// [`FromContext`](super::FromContext).
pub struct HandlerContext<'run> {
    envelope: EnvelopeSource<'run>,
    states: &'run States,
    cancellation: &'run CancellationToken,
    cause: CauseSource<'run>,
    connection: Option<&'run mut (dyn Any + Send)>,
    is_conflict: IsConflict,
    cascades: Cascades<'run>,
}

/// Gives the same cause at each call; an invoked command has none until it is asked for.
pub(crate) type CauseSource<'run> = &'run (dyn Fn() -> Arc<Cause> + Sync);

/// An invoked command has no envelope until one is asked for.
enum EnvelopeSource<'run> {
    Received(&'run Envelope),
    Invoked(&'run (dyn Fn() -> Envelope + Sync)),
}

tokio::task_local! {
    /// The transaction in which this task runs a handler, so that a `Bus` that was not taken as an
    /// argument joins it too, instead of waiting for it.
    static TRANSACTION: Arc<Cause>;
}

impl Cause {
    /// The transaction in which this task runs a handler, if it does.
    pub(crate) fn of_task() -> Option<Arc<Self>> {
        TRANSACTION.try_with(Arc::clone).ok()
    }

    /// Runs a handler's body in its transaction.
    pub(crate) async fn scope<T>(self: Arc<Self>, body: impl Future<Output = T>) -> T {
        if self.is_in_transaction() { TRANSACTION.scope(self, body).await } else { body.await }
    }
}

impl<'run> HandlerContext<'run> {
    pub(crate) fn received(
        envelope: &'run Envelope,
        states: &'run States,
        cancellation: &'run CancellationToken,
        cause: CauseSource<'run>,
        codec: &'run dyn Codec,
    ) -> Self {
        Self::new(EnvelopeSource::Received(envelope), states, cancellation, cause, codec)
    }

    pub(crate) fn invoked(
        envelope: &'run (dyn Fn() -> Envelope + Sync),
        states: &'run States,
        cancellation: &'run CancellationToken,
        cause: CauseSource<'run>,
        codec: &'run dyn Codec,
    ) -> Self {
        Self::new(EnvelopeSource::Invoked(envelope), states, cancellation, cause, codec)
    }

    const fn new(
        envelope: EnvelopeSource<'run>,
        states: &'run States,
        cancellation: &'run CancellationToken,
        cause: CauseSource<'run>,
        codec: &'run dyn Codec,
    ) -> Self {
        let cascades = Cascades::new(codec);
        let is_conflict = |_error: &(dyn Error + 'static)| false;
        Self { envelope, states, cancellation, cause, connection: None, is_conflict, cascades }
    }

    #[must_use]
    pub(crate) fn with_connection(
        mut self,
        connection: Option<&'run mut (dyn Any + Send)>,
    ) -> Self {
        self.connection = connection;
        self
    }

    /// By what the store knows that the transaction of this run met another one.
    #[must_use]
    pub(crate) const fn with_conflicts(mut self, is_conflict: IsConflict) -> Self {
        self.is_conflict = is_conflict;
        self
    }

    pub(super) const fn is_conflict(&self) -> IsConflict {
        self.is_conflict
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
    pub fn cause(&self) -> Arc<Cause> {
        (self.cause)()
    }

    /// The connection of the handler's transaction.
    ///
    /// # Errors
    /// The store has connections of another type, or the run is not in a transaction. The check at
    /// start finds both.
    pub fn connection<C: Connection>(&mut self) -> Result<&mut C, HandlerError> {
        self.connection.as_deref_mut().and_then(|connection| connection.downcast_mut()).ok_or_else(
            || {
                HandlerError::new(format!(
                    "this run has no transaction with a `{}`",
                    type_name::<C>()
                ))
            },
        )
    }

    /// How the messages that the handler returns are encoded.
    pub const fn codec(&self) -> &'run dyn Codec {
        self.cascades.codec()
    }

    /// The messages that the handler returned.
    pub const fn cascades(&mut self) -> &mut Cascades<'run> {
        &mut self.cascades
    }
}

impl fmt::Debug for HandlerContext<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("HandlerContext").field("cause", &self.cause()).finish_non_exhaustive()
    }
}
