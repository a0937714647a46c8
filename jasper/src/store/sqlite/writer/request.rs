//! What callers ask the writer for.

use std::time::Instant;

use super::batchable::Batchable;
use super::job::ErasedWrite;
use super::session::Session;
use crate::store::sql::borrowed_connection::BorrowedConnection;
use crate::store::sql::reply::{ReplySender, send_reply};
use crate::store::{
    Incoming, Inserted, Outgoing, Settled, Settlement, StoreError, TransactionOptions,
};

/// The items of one caller.
pub(in super::super) struct QueuedCall<T, A> {
    pub(super) items: Vec<T>,
    /// When it was asked for.
    pub(super) since: Instant,
    pub(super) reply: ReplySender<Vec<A>>,
}

/// Each of these calls with its own answers, given those of all in order.
pub(super) fn with_answers<T, A>(
    calls: Vec<QueuedCall<T, A>>,
    answers: Vec<A>,
) -> impl Iterator<Item = (QueuedCall<T, A>, Vec<A>)> {
    let mut answers = answers.into_iter();
    calls.into_iter().map(move |call| {
        let own = answers.by_ref().take(call.items.len()).collect();
        (call, own)
    })
}

/// What waits in the queue.
pub(in super::super) enum WriterRequest {
    Incoming(QueuedCall<Incoming, Inserted>),
    Outgoing(QueuedCall<Outgoing, Inserted>),
    Settlement(QueuedCall<Settlement, Settled>),
    Write(Box<dyn ErasedWrite>),
    Transaction { options: TransactionOptions, reply: ReplySender<BorrowedConnection<Session>> },
}

impl WriterRequest {
    /// Whether its caller waits no longer.
    pub(super) fn is_abandoned(&self) -> bool {
        match self {
            Self::Incoming(call) => call.reply.is_closed(),
            Self::Outgoing(call) => call.reply.is_closed(),
            Self::Settlement(call) => call.reply.is_closed(),
            Self::Write(job) => job.is_abandoned(),
            Self::Transaction { reply, .. } => reply.is_closed(),
        }
    }

    /// Whether it shares a transaction with no other.
    pub(super) const fn is_isolated(&self) -> bool {
        matches!(self, Self::Transaction { options: TransactionOptions { isolated: true, .. }, .. })
    }

    /// Since when it waits, if it inserts messages.
    pub(super) const fn insert_since(&self) -> Option<Instant> {
        match self {
            Self::Incoming(call) => Some(call.since),
            Self::Outgoing(call) => Some(call.since),
            Self::Settlement(_) | Self::Write(_) | Self::Transaction { .. } => None,
        }
    }

    pub(super) fn refuse(self, error: StoreError) {
        match self {
            Self::Incoming(call) => send_reply(call.reply, Err(error)),
            Self::Outgoing(call) => send_reply(call.reply, Err(error)),
            Self::Settlement(call) => send_reply(call.reply, Err(error)),
            Self::Write(job) => job.refuse(error),
            Self::Transaction { reply, .. } => send_reply(reply, Err(error)),
        }
    }
}

/// Something that has a request of its own, and which the writer does together with others.
pub(in super::super) trait Queued: Batchable {
    /// The request for these.
    fn request(call: QueuedCall<Self, Self::Answer>) -> WriterRequest;

    /// These, if the request is one for them.
    fn of_request(request: WriterRequest) -> Result<QueuedCall<Self, Self::Answer>, WriterRequest>;
}

macro_rules! queued {
    ($($item:ident)+) => {$(
        impl Queued for $item {
            fn request(call: QueuedCall<Self, Self::Answer>) -> WriterRequest {
                WriterRequest::$item(call)
            }

            fn of_request(
                request: WriterRequest,
            ) -> Result<QueuedCall<Self, Self::Answer>, WriterRequest> {
                match request {
                    WriterRequest::$item(call) => Ok(call),
                    other => Err(other),
                }
            }
        }
    )+};
}

queued! { Incoming Outgoing Settlement }
