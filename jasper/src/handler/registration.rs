//! What the runtime knows of each handler, collected by `inventory`.

use std::fmt;
use std::time::Duration;

use bytes::Bytes;
use futures_util::future::BoxFuture;

use super::{HandlerContext, HandlerFailure, StateRequirement};
use crate::codec::{Codec, CodecError};
use crate::envelope::Envelope;
use crate::message::{MessageKind, MessageType, SourceLocation};
use crate::store::ConnectionType;

/// Decodes the payload, runs the handler, and gives its reply as the codec encodes it, where there
/// is somebody to give it to.
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
    /// The connection that it takes as `&mut`, if it takes one.
    pub connection: Option<ConnectionType>,
    /// What its arguments need to be registered.
    pub requirements: &'static [fn() -> Option<StateRequirement>],
    /// Runs it for a sender who does not wait: there is no reply.
    pub run: RunFn,
    /// Runs it for a sender who waits: there is a reply if its message is one with `to`, whose
    /// reply can be encoded.
    pub answer: RunFn,
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
