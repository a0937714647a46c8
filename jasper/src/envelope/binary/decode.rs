//! Reading the binary form, from bytes that may hold anything.

use std::borrow::Cow;
use std::str::FromStr;
use std::sync::Arc;
use std::time::SystemTime;

use bytes::{Buf, Bytes};
use uuid::Uuid;

use super::super::address::Address;
use super::super::fields::Envelope;
use super::super::headers::Headers;
use super::super::id::MessageId;
use super::super::limits::{MAX_FIELD_BYTES, MAX_HEADER_BYTES, MAX_HEADERS};
use super::super::time;
use super::tag::{self, VERSION};
use crate::message::MessageType;

/// The bytes are not an envelope.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum DecodeError {
    /// The first byte names a version that this reader does not know.
    #[error("the envelope has format version {found}; this build reads version {VERSION}")]
    UnknownVersion {
        /// The version found.
        found: u8,
    },
    /// The bytes end within a field.
    #[error("the envelope is cut off")]
    CutOff,
    /// A field that every envelope has is not there.
    #[error("the envelope has no {field}")]
    Missing {
        /// The field's name.
        field: &'static str,
    },
    /// A field holds something that it cannot hold.
    #[error("the envelope's {field} is not valid")]
    Invalid {
        /// The field's name.
        field: &'static str,
    },
    /// A field stands twice.
    #[error("the envelope has its {field} twice")]
    Repeated {
        /// The field's name.
        field: &'static str,
    },
    /// A text field is longer than allowed.
    #[error("the envelope's {field} is longer than {MAX_FIELD_BYTES} bytes")]
    TooLong {
        /// The field's name.
        field: &'static str,
    },
    /// The mapper of a listener does not take the message.
    #[error("the mapper does not take the message: {why}")]
    Mapper {
        /// What the mapper says.
        why: String,
    },
    /// There are more headers, or larger ones, than allowed.
    #[error("the envelope's headers exceed {MAX_HEADERS} entries or {MAX_HEADER_BYTES} bytes")]
    TooManyHeaders,
}

pub(in super::super) fn decode(bytes: &Bytes) -> Result<Envelope, DecodeError> {
    let mut rest = bytes.clone();
    match take(&mut rest, 1)?.first() {
        Some(&VERSION) => {}
        found => {
            let found = found.copied().unwrap_or_default();
            return Err(DecodeError::UnknownVersion { found });
        }
    }
    let mut fields = Fields::default();
    while !rest.is_empty() {
        let tag = rest.get_u8();
        let value = take_sized(&mut rest)?;
        fields.accept(tag, value)?;
    }
    fields.into_envelope()
}

fn take(rest: &mut Bytes, length: usize) -> Result<Bytes, DecodeError> {
    if rest.len() < length {
        return Err(DecodeError::CutOff);
    }
    Ok(rest.split_to(length))
}

fn take_sized(rest: &mut Bytes) -> Result<Bytes, DecodeError> {
    let length = take(rest, 4)?.get_u32();
    take(rest, usize::try_from(length).unwrap_or(usize::MAX))
}

#[derive(Default)]
struct Fields {
    id: Option<MessageId>,
    message_type: Option<MessageType>,
    content_type: Option<String>,
    payload: Option<Bytes>,
    headers: Headers,
    header_bytes: usize,
    destination: Option<Address>,
    source: Option<String>,
    reply_to: Option<Address>,
    correlation_id: Option<String>,
    conversation_id: Option<MessageId>,
    causation_id: Option<MessageId>,
    traceparent: Option<String>,
    saga_id: Option<String>,
    tenant_id: Option<String>,
    group_id: Option<String>,
    deduplication_id: Option<String>,
    sent_at: Option<SystemTime>,
    deliver_by: Option<SystemTime>,
    due_at: Option<SystemTime>,
    attempts: Option<u32>,
    redelivered: Option<bool>,
    peer: Option<Arc<str>>,
}

impl Fields {
    fn accept(&mut self, tag: u8, value: Bytes) -> Result<(), DecodeError> {
        match tag {
            tag::ID => set(&mut self.id, "id", id(&value)),
            tag::MESSAGE_TYPE => set_text(&mut self.message_type, "message type", &value, parsed),
            tag::CONTENT_TYPE => set_text(&mut self.content_type, "content type", &value, text),
            tag::PAYLOAD => set(&mut self.payload, "payload", Some(value)),
            tag::HEADER => self.header(value),
            tag::DESTINATION => set_text(&mut self.destination, "destination", &value, parsed),
            tag::SOURCE => set_text(&mut self.source, "source", &value, text),
            tag::REPLY_TO => set_text(&mut self.reply_to, "reply-to", &value, parsed),
            tag::CORRELATION_ID => {
                set_text(&mut self.correlation_id, "correlation id", &value, text)
            }
            tag::CONVERSATION_ID => set(&mut self.conversation_id, "conversation id", id(&value)),
            tag::CAUSATION_ID => set(&mut self.causation_id, "causation id", id(&value)),
            tag::TRACEPARENT => set_text(&mut self.traceparent, "traceparent", &value, text),
            tag::SAGA_ID => set_text(&mut self.saga_id, "saga id", &value, text),
            tag::TENANT_ID => set_text(&mut self.tenant_id, "tenant id", &value, text),
            tag::GROUP_ID => set_text(&mut self.group_id, "group id", &value, text),
            tag::DEDUPLICATION_ID => {
                set_text(&mut self.deduplication_id, "deduplication id", &value, text)
            }
            tag::SENT_AT => set(&mut self.sent_at, "sent-at", micros(&value)),
            tag::DELIVER_BY => set(&mut self.deliver_by, "deliver-by", micros(&value)),
            tag::DUE_AT => set(&mut self.due_at, "due-at", micros(&value)),
            tag::ATTEMPTS => set(&mut self.attempts, "attempts", number(&value)),
            tag::REDELIVERED => set(&mut self.redelivered, "redelivered", Some(true)),
            tag::PEER => set_text(&mut self.peer, "peer", &value, shared_text),
            _ => Ok(()),
        }
    }

    fn header(&mut self, mut value: Bytes) -> Result<(), DecodeError> {
        let invalid = DecodeError::Invalid { field: "header" };
        self.header_bytes += value.len();
        if self.headers.len() >= MAX_HEADERS || self.header_bytes > MAX_HEADER_BYTES {
            return Err(DecodeError::TooManyHeaders);
        }
        let name = take_sized(&mut value).ok().and_then(|name| text(&name));
        let (Some(name), Some(value)) = (name, text(&value)) else {
            return Err(invalid);
        };
        self.headers.insert(name, value);
        Ok(())
    }

    fn into_envelope(self) -> Result<Envelope, DecodeError> {
        let id = required(self.id, "id")?;
        Ok(Envelope {
            id,
            message_type: required(self.message_type, "message type")?,
            content_type: Cow::Owned(required(self.content_type, "content type")?),
            payload: required(self.payload, "payload")?,
            headers: self.headers,
            destination: required(self.destination, "destination")?,
            source: self.source,
            reply_to: self.reply_to,
            correlation_id: self.correlation_id,
            conversation_id: self.conversation_id.unwrap_or(id),
            causation_id: self.causation_id,
            traceparent: self.traceparent,
            saga_id: self.saga_id,
            tenant_id: self.tenant_id,
            group_id: self.group_id,
            deduplication_id: self.deduplication_id,
            sent_at: required(self.sent_at, "sent-at")?,
            deliver_by: self.deliver_by,
            due_at: self.due_at,
            attempts: self.attempts.unwrap_or(0),
            redelivered: self.redelivered.unwrap_or(false),
            peer: self.peer,
        })
    }
}

fn set<T>(slot: &mut Option<T>, field: &'static str, value: Option<T>) -> Result<(), DecodeError> {
    if slot.is_some() {
        return Err(DecodeError::Repeated { field });
    }
    *slot = Some(value.ok_or(DecodeError::Invalid { field })?);
    Ok(())
}

/// A field that is text, or read from text.
fn set_text<T>(
    slot: &mut Option<T>,
    field: &'static str,
    value: &[u8],
    read: impl FnOnce(&[u8]) -> Option<T>,
) -> Result<(), DecodeError> {
    if value.len() > MAX_FIELD_BYTES {
        return Err(DecodeError::TooLong { field });
    }
    set(slot, field, read(value))
}

fn required<T>(slot: Option<T>, field: &'static str) -> Result<T, DecodeError> {
    slot.ok_or(DecodeError::Missing { field })
}

fn text(value: &[u8]) -> Option<String> {
    std::str::from_utf8(value).ok().map(str::to_owned)
}

fn shared_text(value: &[u8]) -> Option<Arc<str>> {
    std::str::from_utf8(value).ok().map(Arc::from)
}

fn parsed<T: FromStr>(value: &[u8]) -> Option<T> {
    std::str::from_utf8(value).ok()?.parse().ok()
}

fn id(value: &[u8]) -> Option<MessageId> {
    Uuid::from_slice(value).ok().map(MessageId::from)
}

fn micros(value: &[u8]) -> Option<SystemTime> {
    let micros = i64::from_be_bytes(value.try_into().ok()?);
    (micros >= 0).then(|| time::from_micros(micros))
}

fn number(value: &[u8]) -> Option<u32> {
    Some(u32::from_be_bytes(value.try_into().ok()?))
}
