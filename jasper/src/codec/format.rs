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
    ///
    /// The sender gets it as `SendError::Encode`, and nothing of the message is kept. Where a
    /// handler returns the message, the run has failed: it costs an attempt, and is tried again by
    /// the handler's policy. Of a reply that cannot be encoded the caller gets
    /// `InvokeError::Remote`, and what the handler did is rolled back.
    fn encode(&self, message: &dyn Encodable) -> Result<Bytes, CodecError>;

    /// Hands a deserializer over `payload` to `visit`.
    ///
    /// # Errors
    /// The payload is not of this format, or not of the type that `visit` reads. The message
    /// becomes an invalid message at once, with its bytes and these words, and its handler does not
    /// run. For a reply the caller gets `InvokeError::Reply`. A panic is such an error, too.
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
