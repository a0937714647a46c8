//! From a message of the protocol to an envelope, whatever program has sent it.

use std::str::FromStr;
use std::time::SystemTime;

use bytes::{Bytes, BytesMut};
use fe2o3_amqp_types::messaging::annotations::OwnedKey;
use fe2o3_amqp_types::messaging::{Body, MessageId as ProtocolId, Properties};
use fe2o3_amqp_types::primitives::{SimpleValue, Value};
use uuid::Uuid;

use super::fields::{
    CAUSATION, CONVERSATION, DEDUPLICATION, DELIVER_BY, DUE_AT, GROUP, GUARANTEE, LOCKED_UNTIL,
    LOOSE, REPLY_TO, SAGA, SENT_AT, SOURCE, STORED, TENANT, TRACEPARENT, is_taken,
};
use super::letter::Letter;
use super::value::{property, simple_text, text_property};
use crate::envelope::{Address, DecodeError, Envelope, MessageId, time};
use crate::message::MessageType;
use crate::transport::Guarantee;
use crate::transport::foreign::message_id;

/// How the payload is encoded where the message does not say.
const JSON: &str = "application/json";

/// A message that is no envelope: what there is of its body, and what is wrong.
pub(in super::super) type Unread = (Bytes, DecodeError);

/// What the sender wants to rely on. A program that knows nothing of it relies on the broker.
pub(in super::super) fn guarantee(letter: &Letter) -> Guarantee {
    match text_property(letter, GUARANTEE).as_deref() {
        Some(STORED) => Guarantee::Stored,
        _ => Guarantee::InMemory,
    }
}

/// Until when the broker keeps this message for its receiver.
pub(in super::super) fn locked_until(letter: &Letter) -> Option<SystemTime> {
    let annotations = letter.message_annotations.as_ref()?;
    match annotations.0.get(&OwnedKey::from(LOCKED_UNTIL))? {
        Value::Timestamp(at) => Some(from_millis(at.milliseconds())),
        _ => None,
    }
}

/// The bytes of the body: of one or more sections of data, a text or a binary value.
pub(in super::super) fn payload(letter: &Letter) -> Option<Bytes> {
    match &letter.body {
        Body::Data(sections) => {
            let mut all = BytesMut::new();
            for section in sections.iter() {
                all.extend_from_slice(&section.0);
            }
            Some(all.freeze())
        }
        Body::Value(value) => match &value.0 {
            Value::String(text) => Some(Bytes::from(text.clone())),
            Value::Binary(binary) => Some(Bytes::copy_from_slice(binary)),
            Value::Null => Some(Bytes::new()),
            _ => None,
        },
        Body::Empty => Some(Bytes::new()),
        Body::Sequence(_) => None,
    }
}

/// The envelope that a message is.
///
/// # Errors
/// It does not say its type and there is none to be assumed, or a field is not what it has to be.
pub(in super::super) fn read(
    letter: &Letter,
    destination: Address,
    default_type: Option<&MessageType>,
) -> Result<Envelope, Unread> {
    let Some(payload) = payload(letter) else {
        return Err((Bytes::new(), DecodeError::Invalid { field: "body" }));
    };
    let bytes = payload.clone();
    read_with(letter, payload, destination, default_type).map_err(|error| (bytes, error))
}

fn read_with(
    letter: &Letter,
    payload: Bytes,
    destination: Address,
    default_type: Option<&MessageType>,
) -> Result<Envelope, DecodeError> {
    let nothing = Properties::default();
    let properties = letter.properties.as_ref().unwrap_or(&nothing);
    let message_type = message_type(properties, default_type)?;
    let content_type = properties.content_type.as_ref().map(|it| it.as_str().to_owned());
    let content_type = content_type.unwrap_or_else(|| JSON.to_owned());
    let mut envelope = Envelope::new(message_type, content_type, payload, destination);
    if let Some(id) = &properties.message_id {
        envelope.id = message_id(&id_text(id));
    }
    let text = |name| text_property(letter, name);
    envelope.conversation_id = id(letter, CONVERSATION)?.unwrap_or(envelope.id);
    envelope.causation_id = id(letter, CAUSATION)?;
    envelope.correlation_id = properties.correlation_id.as_ref().map(id_text);
    envelope.source = text(SOURCE);
    let reply_to = text(REPLY_TO).map(|text| text.parse()).transpose();
    envelope.reply_to = reply_to.map_err(|_error| DecodeError::Invalid { field: "reply-to" })?;
    envelope.traceparent = text(TRACEPARENT);
    envelope.saga_id = text(SAGA);
    envelope.tenant_id = text(TENANT);
    envelope.group_id = text(GROUP).or_else(|| properties.group_id.clone());
    envelope.deduplication_id = text(DEDUPLICATION);
    let sent_at = micros(letter, SENT_AT).or(stamped(properties));
    envelope.sent_at = sent_at.unwrap_or(envelope.sent_at);
    envelope.deliver_by = micros(letter, DELIVER_BY);
    envelope.due_at = micros(letter, DUE_AT);
    envelope.redelivered = letter.header.as_ref().is_some_and(|it| it.delivery_count > 0);
    loose(letter, &mut envelope);
    Ok(envelope)
}

/// When it was sent, as far as the protocol says it.
pub(super) fn stamped(properties: &Properties) -> Option<SystemTime> {
    properties.creation_time.as_ref().map(|at| from_millis(at.milliseconds()))
}

fn from_millis(millis: i64) -> SystemTime {
    time::from_micros(millis.saturating_mul(1_000))
}

/// An id of any of the protocol's types, as a text.
pub(super) fn id_text(id: &ProtocolId) -> String {
    match id {
        ProtocolId::String(text) => text.clone(),
        ProtocolId::Ulong(number) => number.to_string(),
        ProtocolId::Uuid(uuid) => Uuid::from_bytes(*uuid.as_inner()).to_string(),
        ProtocolId::Binary(bytes) => MessageId::of_bytes(bytes).to_string(),
    }
}

/// A type without a version is the first version of it.
fn message_type(
    properties: &Properties,
    default: Option<&MessageType>,
) -> Result<MessageType, DecodeError> {
    let said = properties.subject.as_deref().filter(|said| !said.is_empty());
    let Some(said) = said else {
        return default.cloned().ok_or(DecodeError::Missing { field: "message type" });
    };
    let read = said.parse().or_else(|_error| format!("{said}@1").parse());
    read.map_err(|_error| DecodeError::Invalid { field: "message type" })
}

fn id(letter: &Letter, field: &'static str) -> Result<Option<MessageId>, DecodeError> {
    let uuid = text_property(letter, field).map(|text| Uuid::from_str(&text)).transpose();
    Ok(uuid.map_err(|_error| DecodeError::Invalid { field })?.map(MessageId::from))
}

fn micros(letter: &Letter, name: &str) -> Option<SystemTime> {
    match property(letter, name)? {
        SimpleValue::Long(micros) => Some(time::from_micros(*micros)),
        _ => None,
    }
}

/// What is a text or a number travels along; what the broker and this transport have added does
/// not.
fn loose(letter: &Letter, envelope: &mut Envelope) {
    let all = letter.application_properties.iter().flat_map(|properties| properties.0.iter());
    for (name, value) in all {
        let loose = name.strip_prefix(LOOSE).or((!is_taken(name)).then_some(name));
        if let (Some(name), Some(value)) = (loose, simple_text(value)) {
            envelope.headers.insert(name, value);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use fe2o3_amqp_types::messaging::AmqpValue;

    use super::super::write::{empty, write};
    use super::*;
    use crate::envelope::MAX_FIELD_BYTES;

    fn there_and_back(envelope: &Envelope) -> Envelope {
        let letter = write(envelope, Guarantee::Stored, time::now());
        assert_eq!(guarantee(&letter), Guarantee::Stored);
        read(&letter, envelope.destination.clone(), None).unwrap()
    }

    fn envelope() -> Envelope {
        let to = "asb://queue/orders".parse().unwrap();
        let payload = Bytes::from_static(b"payload");
        let mut envelope = Envelope::new(MessageType::new("a.b", 2), "text/plain", payload, to);
        // To the microsecond, as envelopes have it.
        envelope.sent_at = time::from_micros(time::to_micros(envelope.sent_at));
        envelope
    }

    #[test]
    fn every_field_of_an_envelope_comes_back() {
        let mut full = envelope();
        full.source = Some("shop".into());
        full.reply_to = Some("tcp://h:1".parse().unwrap());
        full.correlation_id = Some("request 7".into());
        full.conversation_id = MessageId::new();
        full.causation_id = Some(MessageId::new());
        full.traceparent = Some("00-1-2-3".into());
        full.saga_id = Some("saga".into());
        full.tenant_id = Some("eu".into());
        full.group_id = Some("ada".into());
        full.deduplication_id = Some("key".into());
        full.deliver_by = Some(time::from_micros(7));
        full.due_at = Some(time::from_micros(8));
        full.headers.insert("colour", "blau");
        for full in [envelope(), full] {
            assert_eq!(there_and_back(&full), full);
        }
    }

    #[test]
    fn long_texts_and_odd_names_of_headers_come_back_too() {
        let mut odd = envelope();
        let long = "x".repeat(MAX_FIELD_BYTES);
        odd.correlation_id = Some(long.clone());
        odd.source = Some(long.clone());
        odd.group_id = Some(long.clone());
        for name in ["", "jasper-type", "DeadLetterReason", "traceparent", &long] {
            odd.headers.insert(name, "value");
        }
        assert_eq!(there_and_back(&odd), odd);
    }

    #[test]
    fn a_message_of_another_program_is_read_as_far_as_it_says_something() {
        let to: Address = "asb://queue/orders".parse().unwrap();
        let mut letter = empty();
        letter.body = Body::Value(AmqpValue(Value::String("{}".into())));
        let error = read(&letter, to.clone(), None).unwrap_err();
        assert!(error.1.to_string().contains("message type"), "{}", error.1);
        let assumed = MessageType::new("a.b", 3);
        let envelope = read(&letter, to.clone(), Some(&assumed)).unwrap();
        assert_eq!((envelope.message_type, &*envelope.payload), (assumed, &b"{}"[..]));
        letter.properties = Some(Properties {
            message_id: Some(ProtocolId::String("order 7".into())),
            subject: Some("shop.order-placed".into()),
            ..Properties::default()
        });
        let first = read(&letter, to.clone(), None).unwrap();
        let second = read(&letter, to, None).unwrap();
        assert_eq!(first.id, second.id, "the same message again");
        assert_eq!(first.message_type.to_string(), "shop.order-placed@1");
        assert_eq!(first.content_type, "application/json");
        assert_eq!(guarantee(&letter), Guarantee::InMemory);
    }

    #[test]
    fn a_message_for_later_and_one_for_a_time_say_so_to_the_broker() {
        let now = time::now();
        let mut later = envelope();
        later.due_at = Some(time::after(now, Duration::from_millis(1_500)));
        later.deliver_by = Some(time::after(now, Duration::from_millis(2_500)));
        let letter = write(&later, Guarantee::Stored, now);
        assert!(letter.message_annotations.is_some());
        assert_eq!(letter.header.as_ref().and_then(|header| header.ttl), Some(1_000));
        let letter = write(&envelope(), Guarantee::Stored, now);
        assert!(letter.message_annotations.is_none() && letter.header.unwrap().ttl.is_none());
    }
}
