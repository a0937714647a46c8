//! The errors of starting, sending and invoking.

mod problem;

use std::fmt;
use std::time::Duration;

use crate::codec::CodecError;
use crate::envelope::Excess;
use crate::handler::HandlerError;
use crate::message::MessageType;
use crate::store::StoreError;
use crate::transport::{FailureKind, RemoteFailure, TransportError};

pub use self::problem::Problem;

/// Why an application did not start, or ended other than by a signal.
#[derive(thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The check at start found mistakes; all of them are listed.
    #[error("{0}")]
    Startup(#[from] StartupProblems),
    /// The store cannot be used.
    #[error("the message store: {0}")]
    Store(#[from] StoreError),
    /// A transport cannot be used.
    #[error(transparent)]
    Transport(#[from] TransportError),
    /// A message was refused.
    #[error(transparent)]
    Send(#[from] SendError),
    /// A command that was invoked failed.
    #[error(transparent)]
    Invoke(#[from] InvokeError),
    /// The operating system refused to report signals.
    #[error("signals cannot be received: {0}")]
    Signal(#[source] std::io::Error),
}

/// A `main` that returns the error prints it by `{:?}`, so that form is the readable one too;
/// `{:#?}` shows the structure.
impl fmt::Debug for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if !f.alternate() {
            return fmt::Display::fmt(self, f);
        }
        match self {
            Self::Startup(problems) => f.debug_tuple("Startup").field(problems).finish(),
            Self::Store(error) => f.debug_tuple("Store").field(error).finish(),
            Self::Transport(error) => f.debug_tuple("Transport").field(error).finish(),
            Self::Send(error) => f.debug_tuple("Send").field(error).finish(),
            Self::Invoke(error) => f.debug_tuple("Invoke").field(error).finish(),
            Self::Signal(error) => f.debug_tuple("Signal").field(error).finish(),
        }
    }
}

/// Everything that the check at start found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StartupProblems(Vec<Problem>);

impl StartupProblems {
    pub(crate) const fn new(problems: Vec<Problem>) -> Self {
        Self(problems)
    }

    /// The problems, in the order in which they are printed.
    pub fn problems(&self) -> &[Problem] {
        &self.0
    }
}

impl fmt::Display for StartupProblems {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let count = self.0.len();
        let plural = if count == 1 { "" } else { "s" };
        write!(f, "the application cannot start: {count} problem{plural}")?;
        for (index, problem) in self.0.iter().enumerate() {
            write!(f, "\n  {}. {}: {problem}", index + 1, problem.name())?;
        }
        Ok(())
    }
}

impl std::error::Error for StartupProblems {}

/// Why a message was not accepted. Nothing of it was kept, but for [`Store`](Self::Store).
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SendError {
    /// The codec cannot express the message.
    #[error("`{message_type}` cannot be encoded: {source}")]
    Encode {
        /// The message.
        message_type: MessageType,
        /// What the codec said.
        source: CodecError,
    },
    /// The message holds more beside its content than a reader would take.
    #[error("`{message_type}` cannot be sent: {excess}")]
    TooLarge {
        /// The message.
        message_type: MessageType,
        /// What there is too much of.
        excess: Excess,
    },
    /// No handler is registered for a command. The compiler proves that there is one in the
    /// program; an application that chooses its handlers by hand may still leave it out.
    #[error("no registered handler takes `{message_type}`")]
    NoHandler {
        /// The message.
        message_type: MessageType,
    },
    /// The application has stated by `Builder::never_sends` that it sends no message of this type.
    #[error(
        "`{message_type}` is stated as never sent by this application; remove its \
         `.never_sends::<…>()` from the builder, and configure where it goes"
    )]
    NeverSent {
        /// The message.
        message_type: MessageType,
    },
    /// The endpoint is neither configured nor an address that this build can send to.
    #[error(
        "`{endpoint}` is not an endpoint of this application; \
         configure it with `.endpoint(\"{endpoint}\", \"…\")`"
    )]
    UnknownEndpoint {
        /// The name or address.
        endpoint: String,
    },
    /// What was asked for needs a store, and the application has none.
    #[error("{what} needs a message store; give the builder one with `.store(…)`")]
    NeedsStore {
        /// What was asked for.
        what: &'static str,
    },
    /// The store did not take the message.
    #[error("the message was not stored: {0}")]
    Store(#[from] StoreError),
    /// The endpoint's destination is down, and its memory is full.
    #[error(
        "`{endpoint}` is down, and {waiting} messages wait for it in memory; \
         make it durable, or try again later"
    )]
    Full {
        /// The endpoint.
        endpoint: String,
        /// How many messages wait.
        waiting: usize,
    },
    /// An inline endpoint did not take the message.
    #[error(transparent)]
    Transport(#[from] TransportError),
    /// The receiver of an inline endpoint did not accept the message, and gave its reason.
    #[error("`{endpoint}` did not take the message: {why}")]
    NotTaken {
        /// The endpoint.
        endpoint: String,
        /// Why, in the receiver's words.
        why: String,
    },
    /// The connection given to `enlist` is not that of the application's store.
    #[error("the transaction is not one of the application's store")]
    ForeignTransaction,
    /// The handler whose `Bus` this is has ended.
    #[error("the handler that this bus belongs to has ended, and its transaction with it")]
    RunEnded,
    /// The store has a single writing connection, and the durable handler holds it in which this
    /// `Bus` was cloned. If the handler waits for the task that sends, neither can go on. Nothing
    /// was stored.
    #[error(
        "`{handler}` is still running and holds the only writing connection of the store; \
         a task that it waits for sends with a clone of the handler's own `bus: Bus` argument, \
         and any other task after the handler has ended"
    )]
    HeldByHandler {
        /// The handler.
        handler: &'static str,
    },
    /// The application is stopping.
    #[error("the application is stopping and takes no more messages")]
    Stopping,
}

/// Why an invoked command gave no reply.
///
/// The effects of its handler in the database, if that is durable, are undone. In another process
/// they may remain where its answer did not come, and they do where only the reply is unreadable.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum InvokeError {
    /// The handler failed.
    #[error("{0}")]
    Failed(HandlerError),
    /// The handler took longer than its time-out.
    #[error("the handler did not end within {limit:?}")]
    TimedOut {
        /// The time-out.
        limit: Duration,
    },
    /// The handler panicked.
    #[error("the handler panicked: {message}")]
    Panicked {
        /// What it panicked with.
        message: String,
    },
    /// The command itself, or a message that its handler returned, was not accepted.
    #[error("a message was not accepted: {0}")]
    Send(#[from] SendError),
    /// The store failed before the outcome was known.
    #[error("the message store: {0}")]
    Store(#[from] StoreError),
    /// A durable handler, or one behind a local endpoint, cannot be invoked within the transaction
    /// of another: call it as the function that it is.
    #[error(
        "`{handler}` cannot be invoked inside another handler's transaction; \
         call the function itself with the connection that you have"
    )]
    InsideTransaction {
        /// The invoked handler.
        handler: &'static str,
    },
    /// The endpoint of a command with `to` has answered that there is no reply.
    #[error("in the process that handles the command, {kind}: {message}")]
    Remote {
        /// What kind of failure it is.
        kind: FailureKind,
        /// The failure in the words of that process.
        message: String,
    },
    /// A command with `to` did not reach its endpoint, or the answer did not come back;
    /// [`may_have_arrived`](TransportError::may_have_arrived) says whether its handler may have
    /// run.
    #[error(transparent)]
    Transport(#[from] TransportError),
    /// The endpoint of a command with `to` gave no answer in time; the handler may have run, or may
    /// still run.
    #[error("no reply came within {limit:?}; the handler may have run all the same")]
    NoReply {
        /// How long it was waited.
        limit: Duration,
    },
    /// A command with `to` was handled, and the reply that came back cannot be read.
    #[error("the reply to `{message_type}` cannot be decoded: {source}")]
    Reply {
        /// The command.
        message_type: MessageType,
        /// What the codec said.
        source: CodecError,
    },
}

impl InvokeError {
    /// Whether a time limit, here or in another process, had passed.
    pub const fn is_time_out(&self) -> bool {
        matches!(
            self,
            Self::TimedOut { .. }
                | Self::NoReply { .. }
                | Self::Remote { kind: FailureKind::TimedOut, .. }
                | Self::Transport(TransportError::Deadline { .. })
        )
    }
}

impl From<RemoteFailure> for InvokeError {
    fn from(failure: RemoteFailure) -> Self {
        Self::Remote { kind: failure.kind, message: failure.message }
    }
}

/// Why `send_all` or `send_stream` ended early.
#[derive(Debug, thiserror::Error)]
#[error("{accepted} messages were accepted, and then: {source}")]
pub struct SendAllError {
    /// How many of the first messages were accepted for certain.
    pub accepted: usize,
    /// What kept the next ones from it.
    pub source: SendError,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_error_that_main_returns_is_text_and_its_structure_can_be_seen() {
        let error = Error::from(SendError::NeedsStore { what: "a deduplication key" });
        let text = "a deduplication key needs a message store; give the builder one with \
                    `.store(…)`";
        assert_eq!((format!("{error}"), format!("{error:?}")), (text.to_owned(), text.to_owned()));
        assert!(format!("{error:#?}").starts_with("Send(\n    NeedsStore {"), "{error:#?}");
    }
}
