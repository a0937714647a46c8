//! What callers ask the writer for.

use std::time::Instant;

use super::batchable::Batchable;
use super::job::Job;
use super::session::Session;
use crate::store::sql::loan::Loan;
use crate::store::sql::reply::{Reply, answer};
use crate::store::{
    Incoming, Outgoing, Settled, Settlement, StoreError, Stored, TransactionOptions,
};

/// The items of one caller.
pub(in super::super) struct Call<T, A> {
    pub(super) items: Vec<T>,
    /// When it was asked for.
    pub(super) since: Instant,
    pub(super) reply: Reply<Vec<A>>,
}

/// What stands in line.
pub(in super::super) enum Request {
    Incoming(Call<Incoming, Stored>),
    Outgoing(Call<Outgoing, Stored>),
    Settlement(Call<Settlement, Settled>),
    Write(Box<dyn Job>),
    Loan { begin: TransactionOptions, reply: Reply<Loan<Session>> },
}

impl Request {
    /// Whether nobody waits for it any more.
    pub(super) fn is_abandoned(&self) -> bool {
        match self {
            Self::Incoming(call) => call.reply.is_closed(),
            Self::Outgoing(call) => call.reply.is_closed(),
            Self::Settlement(call) => call.reply.is_closed(),
            Self::Write(job) => job.is_abandoned(),
            Self::Loan { reply, .. } => reply.is_closed(),
        }
    }

    /// Whether it shares a transaction with no other.
    pub(super) const fn is_alone(&self) -> bool {
        matches!(self, Self::Loan { begin: TransactionOptions { alone: true, .. }, .. })
    }

    /// Since when it waits, if it inserts messages.
    pub(super) const fn insert_since(&self) -> Option<Instant> {
        match self {
            Self::Incoming(call) => Some(call.since),
            Self::Outgoing(call) => Some(call.since),
            Self::Settlement(_) | Self::Write(_) | Self::Loan { .. } => None,
        }
    }

    pub(super) fn refuse(self, error: StoreError) {
        match self {
            Self::Incoming(call) => answer(call.reply, Err(error)),
            Self::Outgoing(call) => answer(call.reply, Err(error)),
            Self::Settlement(call) => answer(call.reply, Err(error)),
            Self::Write(job) => job.refuse(error),
            Self::Loan { reply, .. } => answer(reply, Err(error)),
        }
    }
}

/// Something that has a request of its own, and which the writer does together with others.
pub(in super::super) trait Queued: Batchable {
    /// The request for these.
    fn request(call: Call<Self, Self::Answer>) -> Request;

    /// These, if the request is one for them.
    fn of_request(request: Request) -> Result<Call<Self, Self::Answer>, Request>;
}

macro_rules! queued {
    ($($item:ident)+) => {$(
        impl Queued for $item {
            fn request(call: Call<Self, Self::Answer>) -> Request {
                Request::$item(call)
            }

            fn of_request(request: Request) -> Result<Call<Self, Self::Answer>, Request> {
                match request {
                    Request::$item(call) => Ok(call),
                    other => Err(other),
                }
            }
        }
    )+};
}

queued! { Incoming Outgoing Settlement }
