//! What is sent and received together, and what becomes of each part.

use std::borrow::Cow;
use std::sync::Arc;

use bytes::Bytes;

use crate::envelope::{DecodeError, Envelope};

/// Envelopes that are sent together.
#[derive(Debug, Clone)]
pub struct Batch {
    /// The envelopes, in order; shared with the sender, who may have to send them again.
    pub envelopes: Vec<Arc<Envelope>>,
    /// What a receipt stands for.
    pub guarantee: Guarantee,
}

/// What the receiver has done with an envelope that it accepts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Guarantee {
    /// It is committed to the receiver's store.
    Stored,
    /// The receiver has it, in memory at least.
    InMemory,
}

/// What became of one envelope.
///
/// Any that is neither accepted nor refused opens the circuit of the endpoint, as an error of
/// [`Sender::send`](super::Sender::send) does. The sender of an inline endpoint gets all but
/// [`Accepted`](Self::Accepted) as `SendError::NotTaken`, and nothing is repeated.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Receipt {
    /// The receiver has it as the guarantee says, or had it before. Its row leaves the outbox.
    Accepted,
    /// Not now: sent again later, it may be accepted. A row counts an attempt and is sent again; a
    /// message in memory waits.
    Deferred {
        /// Why, for people.
        why: Cow<'static, str>,
    },
    /// It was sent, and whether it has arrived is unknown. From a durable endpoint it is sent
    /// again; from any other it is given up, as it could take effect twice.
    Unknown {
        /// Why, for people.
        why: Cow<'static, str>,
    },
    /// Not now or ever: the sender keeps it as a dead letter, with the reason
    /// [`DeadLetterReason::Refused`](crate::store::DeadLetterReason::Refused). Other messages go
    /// on.
    Refused {
        /// Why, for people.
        why: Cow<'static, str>,
    },
}

impl Receipt {
    /// Deferred, for this reason.
    pub fn deferred(why: impl Into<Cow<'static, str>>) -> Self {
        Self::Deferred { why: why.into() }
    }

    /// Perhaps arrived, for this reason.
    pub fn unknown(why: impl Into<Cow<'static, str>>) -> Self {
        Self::Unknown { why: why.into() }
    }

    /// Refused, for this reason.
    pub fn refused(why: impl Into<Cow<'static, str>>) -> Self {
        Self::Refused { why: why.into() }
    }
}

/// Envelopes that have come together.
#[derive(Debug, Clone)]
pub struct Received {
    /// The name under which the sender has proved who it is; `None` where no proof is asked for.
    pub peer: Option<Arc<str>>,
    /// What the sender relies on.
    pub guarantee: Guarantee,
    /// The envelopes in order, or bytes that are none.
    pub envelopes: Vec<Result<Envelope, Unreadable>>,
}

/// A message that a broker, or another listener, has given up.
#[derive(Debug, Clone)]
pub struct ReceivedDeadLetter {
    /// The message, or bytes that are none.
    pub envelope: Result<Envelope, Unreadable>,
    /// Why it was given up, in one word such as `rejected`.
    pub kind: String,
    /// Why it was given up, for people.
    pub why: String,
}

/// Bytes in the place of an envelope that cannot be read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unreadable {
    /// The bytes as they came.
    pub bytes: Bytes,
    /// What is wrong with them.
    pub error: DecodeError,
}
