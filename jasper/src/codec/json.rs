//! JSON, the default.

mod compound;
mod redacted;
mod strict;
mod watch;

use std::cell::Cell;
use std::fmt;

use bytes::Bytes;

use self::redacted::redacted;
use self::watch::{Findings, MAX_DEPTH, Refused};
use super::format::{Codec, CodecError, Visit};
use crate::message::Encodable;

/// The most bytes that a thread keeps to write the next message into.
const KEPT: usize = 256 << 10;

thread_local! {
    /// What messages are written into, so that a large one does not move while it grows.
    static BUFFER: Cell<Vec<u8>> = const { Cell::new(Vec::new()) };
}

/// `application/json` by `serde_json`. What it encodes, it decodes to the same value.
///
/// What JSON cannot say is refused, and not put as something else: NaN and infinities, in whatever
/// field, and nesting deeper than 127 levels. Where it depends on the type whether JSON can be read
/// (128-bit integers, keys of maps that are not text, and fields of one name, each within
/// `#[serde(flatten)]`, `tag` or `untagged`), the message is read once before it is sent.
///
/// `Some(())` and `Some(None)` are `null` in JSON, and so is `None`.
#[derive(Debug, Clone, Copy, Default)]
pub struct Json;

impl Codec for Json {
    fn content_type(&self) -> &'static str {
        "application/json"
    }

    fn encode(&self, message: &dyn Encodable) -> Result<Bytes, CodecError> {
        // A message may encode another one while it is written, which has a buffer of its own then.
        let mut buffer = BUFFER.try_with(Cell::take).unwrap_or_default();
        buffer.clear();
        let payload = write(message, &mut buffer).and_then(|found| {
            if found.needs_proof {
                self.prove(message, &buffer, found)?;
            }
            Ok(Bytes::copy_from_slice(&buffer))
        });
        if buffer.capacity() <= KEPT {
            let _ending = BUFFER.try_with(|kept| kept.set(buffer));
        }
        payload
    }

    fn decode(&self, payload: &[u8], visit: Visit<'_>) -> Result<(), CodecError> {
        let mut json = serde_json::Deserializer::from_slice(payload);
        visit(&mut <dyn erased_serde::Deserializer<'_>>::erase(&mut json))
            .map_err(|error| does_not_fit(&error))?;
        json.end().map_err(|error| does_not_fit(&error))
    }
}

fn does_not_fit(error: &impl fmt::Display) -> CodecError {
    CodecError::new(format!("the payload does not fit: {}", redacted(error)))
}

impl Json {
    /// Reads what was written, where the writing alone does not show that it can be read.
    fn prove(
        &self,
        message: &dyn Encodable,
        payload: &[u8],
        found: Findings,
    ) -> Result<(), CodecError> {
        let mut another = None;
        let read = self.decode(payload, &mut |deserializer| {
            another = Some(message.read_another(deserializer)?);
            Ok(())
        });
        let refused = |why: String| {
            CodecError::new(format!(
                "its JSON cannot be read again: {why}; `#[serde(flatten)]`, `tag` and `untagged` \
                 take no 128-bit integers, no keys of maps that are not text, and no two fields of \
                 one name"
            ))
        };
        read.map_err(|error| refused(error.to_string()))?;
        // A wide integer that does not fit one variant may fit another.
        if let (true, Some(another)) = (found.is_wide, another) {
            let mut again = Vec::new();
            write(&*another, &mut again)?;
            if !is_rearranged(payload, &again) {
                return Err(refused("a 128-bit integer comes back as something else".to_owned()));
            }
        }
        Ok(())
    }
}

fn write(message: &dyn Encodable, into: &mut Vec<u8>) -> Result<Findings, CodecError> {
    strict::write(message, into).map_err(|refused| {
        CodecError::new(match refused {
            Refused::NotFinite { field } => format!(
                "JSON has no NaN and no infinities, and {field} is one; send an `Option`, or text"
            ),
            Refused::TooDeep { field } => format!(
                "{field} is nested deeper than {MAX_DEPTH} levels, and could not be read; \
                 make it flatter"
            ),
            Refused::Other(error) => format!("the message is not valid JSON: {error}"),
        })
    })
}

/// Whether the same bytes stand in both, in whatever order: two maps that are equal may have their
/// entries in different orders.
fn is_rearranged(one: &[u8], other: &[u8]) -> bool {
    let sorted = |bytes: &[u8]| {
        let mut bytes = bytes.to_vec();
        bytes.sort_unstable();
        bytes
    };
    one.len() == other.len() && sorted(one) == sorted(other)
}
