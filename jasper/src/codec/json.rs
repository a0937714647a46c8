//! JSON, the default.

use bytes::Bytes;

use super::{Codec, CodecError, Visit};

/// `application/json` by `serde_json`, which refuses nesting deeper than 128 levels.
#[derive(Debug, Clone, Copy, Default)]
pub struct Json;

impl Codec for Json {
    fn content_type(&self) -> &'static str {
        "application/json"
    }

    fn encode(&self, message: &dyn erased_serde::Serialize) -> Result<Bytes, CodecError> {
        serde_json::to_vec(message)
            .map(Bytes::from)
            .map_err(|error| CodecError::new(format!("the message is not valid JSON: {error}")))
    }

    fn decode(&self, payload: &[u8], visit: Visit<'_>) -> Result<(), CodecError> {
        let mut json = serde_json::Deserializer::from_slice(payload);
        visit(&mut <dyn erased_serde::Deserializer<'_>>::erase(&mut json))
            .map_err(|error| CodecError::new(format!("the payload does not fit: {error}")))?;
        json.end()
            .map_err(|error| CodecError::new(format!("the payload goes on after it ends: {error}")))
    }
}
