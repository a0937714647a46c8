//! Frames: a length, a kind, and what belongs to the kind. `docs/wire_protocol.md` describes each
//! byte.

mod decode;
mod encode;
mod format;
mod hello;
mod kind;
mod text;

pub(super) use self::encode::{Encoded, answer, batch, receipts, request};
pub(super) use self::format::{BATCH_HEAD, ENVELOPE_HEAD, LENGTH, MOST_ENVELOPES, REQUEST_HEAD};
pub(crate) use self::format::{Frame, FrameError, HEAD, head};
pub(super) use self::hello::{Hello, Nonce, Proof, RejectCode, Rejected, Welcome};

#[cfg(test)]
mod tests;
