//! From a payload to a value.

use super::format::{Codec, CodecError};
use crate::message::{Encoding, Payload, encoding};

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
