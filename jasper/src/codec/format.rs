//! The port to an encoding of messages.

use std::fmt;

use bytes::Bytes;

use crate::message::Encodable;

/// Takes the value out of a deserializer; called once by [`Codec::decode`].
pub type Visit<'a> =
    &'a mut dyn FnMut(&mut dyn erased_serde::Deserializer<'_>) -> Result<(), erased_serde::Error>;

/// An encoding of messages. Implement it to bring a format of your own.
pub trait Codec: fmt::Debug + Send + Sync + 'static {
    /// The media type that names the format in every envelope, such as `application/json`.
    fn content_type(&self) -> &'static str;

    /// Encodes a message or a reply, so that [`decode`](Self::decode) gives the same value.
    ///
    /// # Errors
    /// The format cannot express the value, or could not be read again. It is the last moment for
    /// saying so: what is encoded is accepted, and its reader cannot ask its sender.
    fn encode(&self, message: &dyn Encodable) -> Result<Bytes, CodecError>;

    /// Hands a deserializer over `payload` to `visit`.
    ///
    /// # Errors
    /// The payload is not of this format, or not of the type that `visit` reads.
    fn decode(&self, payload: &[u8], visit: Visit<'_>) -> Result<(), CodecError>;
}

/// A message could not be encoded or decoded.
#[derive(Debug, thiserror::Error)]
#[error("{text}")]
pub struct CodecError {
    text: String,
}

impl CodecError {
    /// An error with these words; they must not quote the payload, which may hold secrets.
    pub fn new(text: impl Into<String>) -> Self {
        Self { text: text.into() }
    }
}
