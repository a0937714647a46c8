//! What a frame is: its head, its bounds, and what is in it.

use bytes::Bytes;

use super::hello::{Hello, Proof, Rejected, Welcome};
use crate::transport::{Answer, Guarantee, Receipt};

/// The bytes of the length.
pub(in super::super) const LENGTH: usize = 4;
/// The bytes of the length and the kind.
pub(crate) const HEAD: usize = LENGTH + 1;
/// What a batch takes beside its envelopes, counted as the length counts: without the length.
pub(in super::super) const BATCH_HEAD: usize = 1 + 8 + 1 + 4;
/// What an envelope in a batch takes beside itself.
pub(in super::super) const ENVELOPE_HEAD: usize = 4;
/// What a request takes beside its envelope, counted as the length counts.
pub(in super::super) const REQUEST_HEAD: usize = 1 + 8 + 4;
/// No batch has more envelopes; what they become in memory has to be bounded by more than bytes.
pub(in super::super) const MOST_ENVELOPES: usize = 4_096;
/// No reason in a frame is longer, in bytes.
pub(in super::super) const LONGEST_REASON: usize = 256;
/// No words of a handler's failure are longer, in bytes.
pub(super) const LONGEST_FAILURE: usize = 4_096;

/// A frame as it is read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Frame {
    Hello(Hello),
    Welcome(Welcome),
    Proof(Option<Proof>),
    Ready(Option<Proof>),
    Rejected(Rejected),
    Batch { number: u64, guarantee: Guarantee, envelopes: Vec<Bytes> },
    Receipts { number: u64, receipts: Vec<Receipt> },
    Request { number: u64, timeout_ms: u32, envelope: Bytes },
    Answer { number: u64, answer: Answer },
    Ping,
    Pong,
    Bye,
}

/// The bytes are not a frame.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(crate) enum FrameError {
    #[error("a frame without a kind")]
    Empty,
    #[error("a frame of {length} bytes, where {limit} are the most")]
    TooLarge { length: usize, limit: usize },
    #[error("a frame of the unknown kind {0}")]
    UnknownKind(u8),
    #[error("a frame that is cut off")]
    CutOff,
    #[error("a frame with bytes behind its end")]
    Trailing,
    #[error("a frame that does not begin like one of jasper")]
    NotJasper,
    #[error("a frame whose {0} is not valid")]
    Invalid(&'static str),
}

/// The length of what follows these bytes and the kind, and the kind, or why nothing is read. It
/// allocates nothing.
pub(crate) fn head(bytes: [u8; HEAD], limit: usize) -> Result<(usize, u8), FrameError> {
    let [a, b, c, d, kind] = bytes;
    let length = usize::try_from(u32::from_be_bytes([a, b, c, d])).unwrap_or(usize::MAX);
    if length > limit {
        return Err(FrameError::TooLarge { length, limit });
    }
    let body = length.checked_sub(1).ok_or(FrameError::Empty)?;
    Ok((body, kind))
}
