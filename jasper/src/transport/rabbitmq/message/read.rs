//! From a message of the protocol to an envelope, whoever has sent it.

use std::str::FromStr;
use std::time::SystemTime;

use bytes::Bytes;
use lapin::BasicProperties;
use lapin::types::{AMQPValue, FieldTable, ShortString};
use uuid::Uuid;

use super::fields::{
    CAUSATION, CONTENT_TYPE, CONVERSATION, CORRELATION, DEDUPLICATION, DELIVER_BY, DUE_AT, GROUP,
    GUARANTEE, MORE, REPLY_TO, SAGA, SENT_AT, SOURCE, STORED, TENANT, TRACEPARENT, TYPE, is_taken,
};
use crate::envelope::{Address, DecodeError, Envelope, MessageId, time};
use crate::message::MessageType;
use crate::transport::Guarantee;
use crate::transport::foreign::message_id;

/// How the payload is encoded where the message does not say.
const JSON: &str = "application/json";

/// What the sender wants to rely on. A program that knows nothing of it relies on the broker.
pub(in super::super) fn guarantee(properties: &BasicProperties) -> Guarantee {
    match Reading::of(properties).text(GUARANTEE).as_deref() {
        Some(STORED) => Guarantee::Stored,
        _ => Guarantee::InMemory,
    }
}

/// The envelope that a message is.
///
/// # Errors
/// It does not say its type and there is none to be assumed, or a field is not what it has to be.
pub(in super::super) fn read(
    properties: &BasicProperties,
    payload: Bytes,
    destination: Address,
    default_type: Option<&MessageType>,
) -> Result<Envelope, DecodeError> {
    let reading = Reading::of(properties);
    let message_type = reading.message_type(properties, default_type)?;
    let content_type = reading
        .property(properties.content_type(), CONTENT_TYPE)
        .unwrap_or_else(|| JSON.to_owned());
    let mut envelope = Envelope::new(message_type, content_type, payload, destination);
    if let Some(id) = properties.message_id() {
        envelope.id = message_id(id.as_str());
    }
    envelope.conversation_id = reading.id(CONVERSATION)?.unwrap_or(envelope.id);
    envelope.causation_id = reading.id(CAUSATION)?;
    envelope.correlation_id = reading.property(properties.correlation_id(), CORRELATION);
    envelope.source = reading.property(properties.app_id(), SOURCE);
    let reply_to = reading.text(REPLY_TO).map(|text| text.parse()).transpose();
    envelope.reply_to = reply_to.map_err(|_error| DecodeError::Invalid { field: "reply-to" })?;
    envelope.traceparent = reading.text(TRACEPARENT);
    envelope.saga_id = reading.text(SAGA);
    envelope.tenant_id = reading.text(TENANT);
    envelope.group_id = reading.text(GROUP);
    envelope.deduplication_id = reading.text(DEDUPLICATION);
    let sent_at = reading.time(SENT_AT).or(stamped(properties));
    envelope.sent_at = sent_at.unwrap_or(envelope.sent_at);
    envelope.deliver_by = reading.time(DELIVER_BY);
    envelope.due_at = reading.time(DUE_AT);
    reading.loose(&mut envelope);
    Ok(envelope)
}

/// When it was sent, as far as the protocol says it.
pub(super) fn stamped(properties: &BasicProperties) -> Option<SystemTime> {
    let seconds = properties.timestamp().and_then(|seconds| i64::try_from(seconds).ok())?;
    Some(time::from_micros(seconds.saturating_mul(1_000_000)))
}

struct Reading<'a>(Option<&'a FieldTable>);

impl<'a> Reading<'a> {
    fn of(properties: &'a BasicProperties) -> Self {
        Self(properties.headers().as_ref())
    }

    fn header(&self, name: &str) -> Option<&'a AMQPValue> {
        self.0?.inner().get(name)
    }

    fn text(&self, name: &str) -> Option<String> {
        text_of(self.header(name)?)
    }

    fn property(&self, short: &Option<ShortString>, long: &'static str) -> Option<String> {
        short.as_ref().map(ToString::to_string).or_else(|| self.text(long))
    }

    /// A type without a version is the first version of it.
    fn message_type(
        &self,
        properties: &BasicProperties,
        default: Option<&MessageType>,
    ) -> Result<MessageType, DecodeError> {
        let said = self.property(properties.kind(), TYPE).filter(|said| !said.is_empty());
        let Some(said) = said else {
            return default.cloned().ok_or(DecodeError::Missing { field: "message type" });
        };
        let read = said.parse().or_else(|_error| format!("{said}@1").parse());
        read.map_err(|_error| DecodeError::Invalid { field: "message type" })
    }

    fn id(&self, field: &'static str) -> Result<Option<MessageId>, DecodeError> {
        let uuid = self.text(field).map(|text| Uuid::from_str(&text)).transpose();
        Ok(uuid.map_err(|_error| DecodeError::Invalid { field })?.map(MessageId::from))
    }

    fn time(&self, name: &str) -> Option<SystemTime> {
        match self.header(name)? {
            AMQPValue::LongLongInt(micros) => Some(time::from_micros(*micros)),
            _ => None,
        }
    }

    /// What is a text or a number travels along; what the broker and this transport have added
    /// does not.
    fn loose(&self, envelope: &mut Envelope) {
        let all = self.0.into_iter().flat_map(|headers| headers.inner());
        for (name, value) in all.filter(|(name, _)| !is_taken(name.as_str())) {
            if let Some(value) = text_of(value) {
                envelope.headers.insert(name.as_str(), value);
            }
        }
        if let Some(AMQPValue::FieldArray(more)) = self.header(MORE) {
            for pair in more.as_slice().chunks_exact(2) {
                if let (Some(name), Some(value)) = (text_of(&pair[0]), text_of(&pair[1])) {
                    envelope.headers.insert(name, value);
                }
            }
        }
    }
}

pub(super) fn text_of(value: &AMQPValue) -> Option<String> {
    Some(match value {
        AMQPValue::LongString(text) => String::from_utf8(text.as_bytes().to_vec()).ok()?,
        AMQPValue::ShortString(text) => text.to_string(),
        AMQPValue::Boolean(it) => it.to_string(),
        AMQPValue::ShortShortInt(it) => it.to_string(),
        AMQPValue::ShortShortUInt(it) => it.to_string(),
        AMQPValue::ShortInt(it) => it.to_string(),
        AMQPValue::ShortUInt(it) => it.to_string(),
        AMQPValue::LongInt(it) => it.to_string(),
        AMQPValue::LongUInt(it) => it.to_string(),
        AMQPValue::LongLongInt(it) => it.to_string(),
        AMQPValue::Float(it) => it.to_string(),
        AMQPValue::Double(it) => it.to_string(),
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::super::write::properties;
    use super::*;
    use crate::envelope::MAX_FIELD_BYTES;

    fn there_and_back(envelope: &Envelope) -> Envelope {
        let properties = properties(envelope, Guarantee::Stored);
        assert_eq!(guarantee(&properties), Guarantee::Stored);
        let (payload, to) = (envelope.payload.clone(), envelope.destination.clone());
        read(&properties, payload, to, None).unwrap()
    }

    fn envelope() -> Envelope {
        let to = "rabbitmq://queue/orders".parse().unwrap();
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
        odd.content_type = long.clone().into();
        odd.correlation_id = Some(long.clone());
        odd.source = Some(long.clone());
        for name in ["", "jasper-type", "x-death", "traceparent", &long] {
            odd.headers.insert(name, "value");
        }
        assert_eq!(there_and_back(&odd), odd);
    }

    #[test]
    fn a_message_of_another_program_is_read_as_far_as_it_says_something() {
        let properties = BasicProperties::default()
            .with_message_id("order 7".into())
            .with_type("shop.order-placed".into());
        let to: Address = "rabbitmq://queue/orders".parse().unwrap();
        let first = read(&properties, Bytes::new(), to.clone(), None).unwrap();
        let second = read(&properties, Bytes::new(), to.clone(), None).unwrap();
        assert_eq!(first.id, second.id, "the same message again");
        assert_eq!(first.message_type.to_string(), "shop.order-placed@1");
        assert_eq!(first.content_type, "application/json");
        let nameless = BasicProperties::default();
        let error = read(&nameless, Bytes::new(), to.clone(), None).unwrap_err();
        assert!(error.to_string().contains("message type"), "{error}");
        let assumed = MessageType::new("a.b", 3);
        let envelope = read(&nameless, Bytes::new(), to, Some(&assumed)).unwrap();
        assert_eq!(envelope.message_type, assumed);
        assert_eq!(guarantee(&nameless), Guarantee::InMemory);
    }
}
