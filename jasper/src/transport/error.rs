//! What can go wrong on the way to another process, by what the caller can do about it.

use std::time::Duration;

use crate::source_error::SourceError;

/// An error of a transport. None of them quotes a secret or a payload.
#[derive(Debug, Clone, thiserror::Error)]
#[non_exhaustive]
pub enum TransportError {
    /// The address cannot be used as it is.
    #[error("`{address}` cannot be used: {why}")]
    Address {
        /// The address.
        address: String,
        /// What is wrong with it, and what to write instead.
        why: String,
    },
    /// The address asks for something that is not safe.
    #[error("`{address}` is refused: {why}")]
    Insecure {
        /// The address.
        address: String,
        /// What is not safe, and what to do.
        why: String,
    },
    /// The address to listen at cannot be bound.
    #[error("cannot listen at `{address}`: {why}")]
    Bind {
        /// The address.
        address: String,
        /// What the system said.
        why: String,
        /// The error behind it, where there is one.
        source: Option<SourceError>,
    },
    /// The destination cannot be reached; nothing was sent.
    #[error("`{address}` cannot be reached: {why}")]
    Unreachable {
        /// The address.
        address: String,
        /// What the system said.
        why: String,
        /// The error behind it, where there is one.
        source: Option<SourceError>,
    },
    /// The two sides do not accept each other; nothing was sent.
    #[error("`{address}` and this process do not accept each other: {why}")]
    Rejected {
        /// The address.
        address: String,
        /// Which side refused what, and what to do.
        why: String,
        /// The error behind it, where there is one.
        source: Option<SourceError>,
    },
    /// What this process declares of a queue, an exchange or the like is otherwise on the other
    /// side, or is not there; nothing was sent.
    #[error("`{address}` is not declared as here: {why}")]
    Mismatch {
        /// The address.
        address: String,
        /// What differs, how it is there and how it is here, and what to do.
        why: String,
    },
    /// The connection ended before the receipt; what was sent may have arrived.
    #[error("the connection to `{address}` was lost: {why}")]
    Lost {
        /// The address.
        address: String,
        /// What ended it.
        why: String,
        /// The error behind it, where there is one.
        source: Option<SourceError>,
    },
    /// The receipt did not come in time; what was sent may have arrived.
    #[error("`{address}` did not answer within {limit:?}")]
    Deadline {
        /// The address.
        address: String,
        /// How long it was waited.
        limit: Duration,
    },
    /// The message is larger than one of the two sides allows; nothing was sent.
    #[error("a message of {size} bytes is more than the {limit} bytes that `{address}` takes")]
    TooLarge {
        /// The address.
        address: String,
        /// Its size, in bytes.
        size: usize,
        /// The limit, in bytes.
        limit: usize,
    },
}

impl TransportError {
    /// Whether something of what was sent may have arrived all the same.
    pub const fn may_have_arrived(&self) -> bool {
        matches!(self, Self::Lost { .. } | Self::Deadline { .. })
    }

    /// A name of low cardinality, for telemetry.
    pub const fn kind(&self) -> &'static str {
        match self {
            Self::Address { .. } => "address",
            Self::Insecure { .. } => "insecure",
            Self::Bind { .. } => "bind",
            Self::Unreachable { .. } => "unreachable",
            Self::Rejected { .. } => "rejected",
            Self::Mismatch { .. } => "mismatch",
            Self::Lost { .. } => "lost",
            Self::Deadline { .. } => "deadline",
            Self::TooLarge { .. } => "too_large",
        }
    }
}
