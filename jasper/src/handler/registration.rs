//! The registration of each handler, collected by `inventory`.

use std::any::TypeId;
use std::fmt;
use std::time::Duration;

use bytes::Bytes;
use futures_util::future::BoxFuture;

use super::context::HandlerContext;
use super::failure::HandlerFailure;
use super::requirement::Requirements;
use crate::codec::{Codec, CodecError};
use crate::envelope::Envelope;
use crate::message::{MessageKind, MessageType, SourceLocation};

/// Decodes the payload, runs the handler, and gives its reply as the codec encodes it, where a
/// sender waits for it.
pub type RunFn = for<'a, 'run> fn(
    &'a Envelope,
    &'a dyn Codec,
    &'a mut HandlerContext<'run>,
) -> BoxFuture<'a, Result<Option<Bytes>, RunError>>;

/// Why a run ended without success.
#[derive(Debug)]
pub enum RunError {
    /// The payload is not what its type says: an invalid message, not a failure of the handler.
    Undecodable(CodecError),
    /// The handler failed.
    Failed(HandlerFailure),
    /// The handler succeeded, and its reply cannot be encoded.
    Unanswerable(CodecError),
}

/// One handler of the program. Built by `#[handler]`; the fields are public for generated code and
/// for tools that describe an application.
#[derive(Clone, Copy)]
pub struct HandlerRegistration {
    /// The function itself, as the type that it alone has.
    pub function: fn() -> TypeId,
    /// The function's name.
    pub name: &'static str,
    /// The module that it stands in.
    pub module: &'static str,
    /// Where it stands in the source.
    pub location: SourceLocation,
    /// The message that it takes.
    pub message_type: fn() -> MessageType,
    /// That message's kind.
    pub kind: MessageKind,
    /// The local queue on which it runs: `queue = "…"`, or its own name.
    pub queue: &'static str,
    /// Whether the attribute says so: handlers that share a queue do it on purpose.
    pub names_queue: bool,
    /// How many of the queue's messages run at once, where the attribute says so.
    pub concurrency: Option<usize>,
    /// The most attempts, where the attribute says so.
    pub attempts: Option<u32>,
    /// The delays before the last attempts, where the attribute says so.
    pub delays: Option<&'static [Duration]>,
    /// The time-out of one run, where the attribute says so.
    pub timeout: Option<Duration>,
    /// Whether it is `#[durable]`.
    pub durable: bool,
    /// How many of its runs may share a transaction, where the attribute says so.
    pub share: Option<u32>,
    /// Whether it takes the connection of its transaction as `&mut`.
    pub takes_connection: bool,
    /// What its arguments need.
    pub requirements: fn() -> Requirements,
    /// Runs it for a sender who does not wait: there is no reply.
    pub run: RunFn,
    /// Runs it for a sender who waits: there is a reply if its message is one with `to`, whose
    /// reply can be encoded.
    pub answer: RunFn,
}

impl HandlerRegistration {
    /// Used by generated code: the queue, which the attribute names.
    #[doc(hidden)]
    #[must_use]
    pub const fn queue(self, queue: &'static str) -> Self {
        Self { queue, names_queue: true, ..self }
    }

    /// Used by generated code: how many of the queue's messages run at once.
    #[doc(hidden)]
    #[must_use]
    pub const fn concurrency(self, concurrency: usize) -> Self {
        Self { concurrency: Some(concurrency), ..self }
    }

    /// Used by generated code: the most attempts.
    #[doc(hidden)]
    #[must_use]
    pub const fn attempts(self, attempts: u32) -> Self {
        Self { attempts: Some(attempts), ..self }
    }

    /// Used by generated code: the delays before the last attempts.
    #[doc(hidden)]
    #[must_use]
    pub const fn delays(self, delays: &'static [Duration]) -> Self {
        Self { delays: Some(delays), ..self }
    }

    /// Used by generated code: the time-out of one run.
    #[doc(hidden)]
    #[must_use]
    pub const fn timeout(self, timeout: Duration) -> Self {
        Self { timeout: Some(timeout), ..self }
    }

    /// Used by generated code: each run is in a transaction.
    #[doc(hidden)]
    #[must_use]
    pub const fn durable(self) -> Self {
        Self { durable: true, ..self }
    }

    /// Used by generated code: how many runs may share a transaction.
    #[doc(hidden)]
    #[must_use]
    pub const fn share(self, share: u32) -> Self {
        Self { share: Some(share), ..self }
    }

    /// Used by generated code: the function takes the connection of its transaction.
    #[doc(hidden)]
    #[must_use]
    pub const fn takes_connection(self) -> Self {
        Self { takes_connection: true, ..self }
    }

    /// As it is where a closure stands in for it, which needs nothing.
    #[cfg(feature = "testing")]
    pub(crate) const fn faked(self) -> Self {
        let requirements = Requirements::default;
        Self { durable: false, share: None, takes_connection: false, requirements, ..self }
    }

    /// Whether both are of one function.
    pub(crate) fn is_same(&self, other: &Self) -> bool {
        (self.function)() == (other.function)()
    }

    /// The handler that this function is, if `#[handler]` stands above it.
    pub fn of<F: 'static>(_function: F) -> Option<Self> {
        let is_it = |it: &&Self| (it.function)() == TypeId::of::<F>();
        inventory::iter::<Self>().find(is_it).copied()
    }
}

impl fmt::Debug for HandlerRegistration {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("HandlerRegistration")
            .field("name", &self.name)
            .field("module", &self.module)
            .field("location", &self.location)
            .field("message_type", &(self.message_type)())
            .field("queue", &self.queue)
            .field("durable", &self.durable)
            .finish_non_exhaustive()
    }
}

inventory::collect!(HandlerRegistration);
