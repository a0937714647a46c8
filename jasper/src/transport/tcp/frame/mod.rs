//! Frames: a length, a kind, and what belongs to the kind. `docs/wire_protocol.md` describes each
//! byte.

mod decode;
mod encode;
mod hello;

use bytes::Bytes;

use crate::transport::{Answer, Guarantee, Receipt};

pub(super) use self::encode::{Encoded, answer, batch, receipts, request};
pub(super) use self::hello::{Hello, Nonce, PROOF, Proof, RejectCode, Rejected, Welcome};

/// The bytes of the length.
pub(super) const LENGTH: usize = 4;
/// The bytes of the length and the kind.
pub(crate) const HEAD: usize = LENGTH + 1;
/// What a batch takes beside its envelopes, counted as the length counts: without the length.
pub(super) const BATCH_HEAD: usize = 1 + 8 + 1 + 4;
/// What an envelope in a batch takes beside itself.
pub(super) const ENVELOPE_HEAD: usize = 4;
/// What a request takes beside its envelope, counted as the length counts.
pub(super) const REQUEST_HEAD: usize = 1 + 8 + 4;
/// No batch has more envelopes; what they become in memory has to be bounded by more than bytes.
pub(super) const MOST_ENVELOPES: usize = 4_096;
/// No reason in a frame is longer, in bytes.
pub(super) const LONGEST_REASON: usize = 256;
/// No words of a handler's failure are longer, in bytes.
const LONGEST_FAILURE: usize = 4_096;

/// The numbers of the kinds. A number is never used again for something else.
mod kind {
    pub(super) const HELLO: u8 = 1;
    pub(super) const WELCOME: u8 = 2;
    pub(super) const PROOF: u8 = 3;
    pub(super) const READY: u8 = 4;
    pub(super) const REJECTED: u8 = 5;
    pub(super) const BATCH: u8 = 6;
    pub(super) const RECEIPTS: u8 = 7;
    pub(super) const REQUEST: u8 = 8;
    pub(super) const ANSWER: u8 = 9;
    pub(super) const PING: u8 = 10;
    pub(super) const PONG: u8 = 11;
    pub(super) const BYE: u8 = 12;
}

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

/// As much of a text as fits into so many bytes.
pub(super) fn clip(text: &str, most: usize) -> &str {
    &text[..text.floor_char_boundary(most)]
}

#[cfg(test)]
mod tests;
