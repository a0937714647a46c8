//! One run of a handler, as what is sent in it sees it.

use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use parking_lot::Mutex;
use tokio::sync::Notify;

use super::causation::Causation;
use super::outgoing::OutgoingMessage;
use crate::envelope::Envelope;

/// Gives the same scope at each call; that of an invoked command is made when it is asked for.
pub(crate) type ScopeSource<'run> = &'run (dyn Fn() -> Arc<RunScope> + Sync);

/// One run of a handler: what its messages follow from, and where they wait for its commit.
#[derive(Debug)]
pub(crate) struct RunScope {
    causation: Causation,
    /// How many messages have got an id that follows from this run.
    derived: AtomicUsize,
    /// Of a run in a transaction.
    buffer: Option<Mutex<Buffer>>,
    holds_connection: bool,
    /// Wakes those who wait for the end of the run.
    closed: Notify,
}

/// The messages that were sent in a transaction, until its run is over.
#[derive(Debug)]
enum Buffer {
    Open(Vec<OutgoingMessage>),
    Closed,
}

/// The run is over, and with it the transaction that a message was to join.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct RunEnded;

tokio::task_local! {
    /// The transaction in which this task runs a handler, so that a `Bus` that was not taken as an
    /// argument joins it too, instead of waiting for it.
    static TRANSACTION: Arc<RunScope>;
}

impl RunScope {
    /// Of a run without a transaction: its messages are sent at once.
    pub(crate) fn new(causation: Causation) -> Self {
        Self {
            causation,
            derived: AtomicUsize::new(0),
            buffer: None,
            holds_connection: false,
            closed: Notify::new(),
        }
    }

    /// Of a run whose messages wait for its commit.
    pub(crate) fn in_transaction(causation: Causation) -> Self {
        Self { buffer: Some(Mutex::new(Buffer::Open(Vec::new()))), ..Self::new(causation) }
    }

    /// Of a run that holds a connection of the store until it ends.
    #[must_use]
    pub(crate) const fn holding_connection(mut self) -> Self {
        self.holds_connection = true;
        self
    }

    /// The transaction in which this task runs a handler, if it does.
    pub(crate) fn of_task() -> Option<Arc<Self>> {
        TRANSACTION.try_with(Arc::clone).ok()
    }

    /// Runs a handler's body in its transaction.
    pub(crate) async fn run<T>(self: Arc<Self>, body: impl Future<Output = T>) -> T {
        if self.is_transaction() { TRANSACTION.scope(self, body).await } else { body.await }
    }

    pub(crate) const fn causation(&self) -> &Causation {
        &self.causation
    }

    /// Whether messages wait for the commit of the run.
    pub(crate) const fn is_transaction(&self) -> bool {
        self.buffer.is_some()
    }

    pub(crate) const fn holds_connection(&self) -> bool {
        self.holds_connection
    }

    /// Gives a message that commits with the run the id that a repetition gives it again, as a run
    /// that is repeated has left nothing behind.
    ///
    /// Any other message keeps the new id that it has: a repetition may send other messages, and
    /// none of them is to be taken for this one.
    pub(crate) fn derive_id(&self, envelope: &mut Envelope) {
        envelope.id = self.causation.derived_id(self.derived.fetch_add(1, Ordering::Relaxed));
    }

    /// Keeps a message until the commit. `None`: the run has no transaction, and the message is
    /// given back.
    pub(crate) fn join(
        &self,
        message: OutgoingMessage,
    ) -> Result<Option<OutgoingMessage>, RunEnded> {
        let Some(buffer) = &self.buffer else {
            return Ok(Some(message));
        };
        match &mut *buffer.lock() {
            Buffer::Open(messages) => messages.push(message),
            Buffer::Closed => return Err(RunEnded),
        }
        Ok(None)
    }

    /// Ends the run: its messages are taken, and no other can join it.
    pub(crate) fn close(&self) -> Vec<OutgoingMessage> {
        let Some(buffer) = &self.buffer else {
            return Vec::new();
        };
        let mut buffer = buffer.lock();
        self.closed.notify_waiters();
        match std::mem::replace(&mut *buffer, Buffer::Closed) {
            Buffer::Open(messages) => messages,
            Buffer::Closed => Vec::new(),
        }
    }

    /// Waits until no message can join the run any more.
    ///
    /// # Cancel safety
    /// Dropped, it has changed nothing.
    pub(crate) async fn closed(&self) {
        let mut closed = pin!(self.closed.notified());
        // Woken by what closes from here on.
        closed.as_mut().enable();
        if self.is_open() {
            closed.await;
        }
    }

    /// Whether messages can join the transaction of this run.
    pub(crate) fn is_open(&self) -> bool {
        self.buffer.as_ref().is_some_and(|buffer| matches!(*buffer.lock(), Buffer::Open(_)))
    }
}
