//! A command whose sender waits for the answer of its handler.

use std::borrow::Cow;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;

use crate::envelope::Envelope;

/// A command whose sender waits.
#[derive(Debug, Clone)]
pub struct Request {
    /// The command.
    pub envelope: Envelope,
    /// How long the sender waits, from now.
    pub timeout: Duration,
}

/// A request that has come.
#[derive(Debug, Clone)]
pub struct ReceivedRequest {
    /// The name under which the sender has proved who it is; `None` where no proof is asked for.
    pub peer: Option<Arc<str>>,
    /// The command.
    pub envelope: Envelope,
    /// How long the sender still waits.
    pub timeout: Duration,
}

/// What a handler answers: its reply, or why there is none.
pub type Answer = Result<RemoteReply, RemoteFailure>;

/// The reply of a handler in another process, still encoded.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RemoteReply {
    /// How the payload is encoded.
    pub content_type: Cow<'static, str>,
    /// The encoded reply.
    pub payload: Bytes,
}

/// Why a handler in another process gave no reply.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{kind}: {message}")]
pub struct RemoteFailure {
    /// What kind of failure it is.
    pub kind: FailureKind,
    /// The failure in the words of the process in which it happened.
    pub message: String,
}

impl RemoteFailure {
    /// A failure of this kind.
    pub fn new(kind: FailureKind, message: impl Into<String>) -> Self {
        Self { kind, message: message.into() }
    }
}

/// Kinds of failure that a caller may tell apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum FailureKind {
    /// The handler ran and failed; its effects in the database, if it is durable, are undone.
    Failed,
    /// The handler did not end in time.
    TimedOut,
    /// The receiver has no handler for the command.
    NoHandler,
    /// The command or the reply cannot be read or written.
    Codec,
    /// The sender may not send this.
    Forbidden,
    /// The receiver is stopping, or cannot reach its store.
    Unavailable,
}

impl FailureKind {
    /// All kinds.
    pub const ALL: [Self; 6] = [
        Self::Failed,
        Self::TimedOut,
        Self::NoHandler,
        Self::Codec,
        Self::Forbidden,
        Self::Unavailable,
    ];

    /// The kind in words.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Failed => "the handler failed",
            Self::TimedOut => "the handler did not end in time",
            Self::NoHandler => "there is no handler",
            Self::Codec => "the command or its reply cannot be read",
            Self::Forbidden => "this is not permitted",
            Self::Unavailable => "the receiver is not available",
        }
    }
}

impl fmt::Display for FailureKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}
