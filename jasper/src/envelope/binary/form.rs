//! The binary form as a method of the envelope.

use bytes::Bytes;

use super::decode::{DecodeError, decode};
use super::encode::{encode, encode_head};
use crate::envelope::fields::Envelope;

impl Envelope {
    /// The one binary form, used in the `body` column and on the wire.
    pub fn to_bytes(&self) -> Bytes {
        encode(self)
    }

    /// The same form in two parts, the second of which is the payload itself, for writers that need
    /// not copy it.
    pub fn to_parts(&self) -> (Bytes, Bytes) {
        (encode_head(self), self.payload.clone())
    }

    /// Reads the form that [`to_bytes`](Self::to_bytes) writes. The payload is borrowed from
    /// `bytes`, not copied.
    ///
    /// # Errors
    /// The bytes are not an envelope, are cut off, or hold more than [`check`](Self::check) allows.
    pub fn from_bytes(bytes: &Bytes) -> Result<Self, DecodeError> {
        decode(bytes)
    }
}
