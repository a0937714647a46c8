//! Calls of mappers, whose panics are errors like others.

use std::panic::{AssertUnwindSafe, catch_unwind};

use super::foreign::{EnvelopeMapper, ForeignMessage, MapperError};
use crate::envelope::{Address, DecodeError, Envelope};

/// What a mapper reads, at this listener in any case.
pub(super) fn read_by(
    mapper: &dyn EnvelopeMapper,
    message: &ForeignMessage,
    listener: &Address,
) -> Result<Option<Envelope>, DecodeError> {
    let read = caught(|| mapper.read(message, listener));
    let read = read.map_err(|why| DecodeError::Mapper { why })?;
    Ok(read.map(|envelope| Envelope { destination: listener.clone(), ..envelope }))
}

/// What a mapper writes, or why it does not.
pub(super) fn write_by(
    mapper: &dyn EnvelopeMapper,
    envelope: &Envelope,
) -> Result<Option<ForeignMessage>, String> {
    caught(|| mapper.write(envelope)).map_err(|why| format!("the mapper does not send it: {why}"))
}

fn caught<T>(map: impl FnOnce() -> Result<T, MapperError>) -> Result<T, String> {
    match catch_unwind(AssertUnwindSafe(map)) {
        Ok(mapped) => mapped.map_err(|error| error.to_string()),
        Err(_panic) => Err("it panicked".to_owned()),
    }
}
