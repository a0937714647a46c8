//! How a message becomes bytes and comes back.

#[cfg(feature = "json")]
mod json;

use std::fmt;

use bytes::Bytes;

use crate::message::{Encodable, Encoding, Payload, encoding};

#[cfg(feature = "json")]
pub use self::json::Json;

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

/// Decodes a payload into a value of type `T`.
///
/// # Errors
/// As [`Codec::decode`].
pub fn decode<T: Payload>(codec: &dyn Codec, payload: &[u8]) -> Result<T, CodecError> {
    decode_as(&encoding(), codec, payload)
}

/// Decodes a payload by the encoding of its type.
pub(crate) fn decode_as<T>(
    encoding: &Encoding<T>,
    codec: &dyn Codec,
    payload: &[u8],
) -> Result<T, CodecError> {
    let mut value = None;
    codec.decode(payload, &mut |deserializer| {
        value = Some(encoding.read(deserializer)?);
        Ok(())
    })?;
    value.ok_or_else(|| CodecError::new("the codec handed out no deserializer"))
}
