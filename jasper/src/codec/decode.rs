//! From a payload to a value.

use super::format::{Codec, CodecError, Visit};
use crate::caught::caught;
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
    read(codec, payload, &mut |deserializer| {
        value = Some(encoding.read(deserializer)?);
        Ok(())
    })?;
    value.ok_or_else(|| CodecError::new("the codec handed out no deserializer"))
}

/// A panic of the codec or of the type is an error like another: the same bytes would panic each
/// time.
fn read(codec: &dyn Codec, payload: &[u8], visit: Visit<'_>) -> Result<(), CodecError> {
    caught(|| codec.decode(payload, visit))
        .unwrap_or_else(|panic| Err(CodecError::new(format!("that panicked: {panic}"))))
}
