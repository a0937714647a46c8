//! A message in its sections, as the broker keeps it.

use fe2o3_amqp_types::messaging::annotations::OwnedKey;
use fe2o3_amqp_types::messaging::message::__private::Serializable;
use fe2o3_amqp_types::messaging::message::DecodeIntoMessage;
use fe2o3_amqp_types::messaging::{Body, Header, Message, MessageAnnotations, MessageId};
use fe2o3_amqp_types::primitives::{OrderedMap, SimpleValue, Timestamp, Value};
use serde::Serialize;
use serde_amqp::read::SliceReader;
use serde_amqp::ser::Serializer;

use super::refusal::{DECODE_ERROR, Refusal};

pub(super) const BATCH_FORMAT: u32 = 0x8001_3700;
const SCHEDULED: &str = "x-opt-scheduled-enqueue-time";

pub(super) type Letter = Message<Body<Value>>;

pub(super) fn decode(bytes: &[u8]) -> Result<Letter, Refusal> {
    Body::<Value>::decode_message_from_reader(SliceReader::new(bytes))
        .map_err(|error| Refusal::new(DECODE_ERROR, format!("The message is unreadable: {error}")))
}

/// The messages of one delivery: one, or those of a batch.
pub(super) fn decode_all(bytes: &[u8], format: u32) -> Result<Vec<Letter>, Refusal> {
    let outer = decode(bytes)?;
    if format != BATCH_FORMAT {
        return Ok(vec![outer]);
    }
    match outer.body {
        Body::Data(parts) => parts.iter().map(|part| decode(&part.0)).collect(),
        _ => Err(Refusal::new(DECODE_ERROR, "A batch is one section of data for each message.")),
    }
}

pub(super) fn encode(letter: &Letter) -> Result<Vec<u8>, serde_amqp::Error> {
    serde_amqp::to_vec(&Serializable(letter))
}

/// The same with these in place of its own, and without annotations for one delivery: a message is
/// its sections, one after the other.
pub(super) fn encode_delivered(
    letter: &Letter,
    header: &Header,
    annotations: &MessageAnnotations,
) -> Result<Vec<u8>, serde_amqp::Error> {
    let mut bytes = Vec::new();
    let mut put = Serializer::new(&mut bytes);
    header.serialize(&mut put)?;
    annotations.serialize(&mut put)?;
    if let Some(properties) = &letter.properties {
        properties.serialize(&mut put)?;
    }
    if let Some(properties) = &letter.application_properties {
        properties.serialize(&mut put)?;
    }
    letter.body.serialize(&mut put)?;
    if let Some(footer) = &letter.footer {
        footer.serialize(&mut put)?;
    }
    Ok(bytes)
}

/// The message id as a text: ids of different types are different texts.
pub(super) fn message_id(letter: &Letter) -> Option<String> {
    match letter.properties.as_ref()?.message_id.as_ref()? {
        MessageId::String(id) => Some(id.clone()),
        other => Some(format!("{other:?}")),
    }
}

/// Gives a message without an id a random one.
pub(super) fn ensure_message_id(letter: &mut Letter) {
    let properties = letter.properties.get_or_insert_default();
    let random = || MessageId::String(format!("{:032x}", fastrand::u128(..)));
    properties.message_id.get_or_insert_with(random);
}

pub(super) fn session_id(letter: &Letter) -> Option<String> {
    letter.properties.as_ref()?.group_id.clone()
}

/// Milliseconds since the Unix epoch.
pub(super) fn scheduled_at(letter: &Letter) -> Option<i64> {
    match annotation(letter, SCHEDULED)? {
        Value::Timestamp(at) => Some(at.milliseconds()),
        _ => None,
    }
}

fn annotation<'a>(letter: &'a Letter, name: &str) -> Option<&'a Value> {
    letter.message_annotations.as_ref()?.0.get(&OwnedKey::from(name))
}

/// When the message is of no use any more, by its time to live, which counts from `now`.
pub(super) fn expires_at(letter: &Letter, now: i64) -> Option<i64> {
    let ttl = letter.header.as_ref()?.ttl?;
    Some(now.saturating_add(i64::from(ttl)))
}

pub(super) fn annotate(annotations: &mut MessageAnnotations, name: &str, value: Value) {
    annotations.0.insert(OwnedKey::from(name), value);
}

pub(super) fn timestamp(at_ms: i64) -> Value {
    Value::Timestamp(Timestamp::from_milliseconds(at_ms))
}

/// Sets application properties; those whose type is no simple one are left out.
pub(super) fn set_properties<'a>(
    letter: &mut Letter,
    properties: impl IntoIterator<Item = (&'a str, &'a Value)>,
) {
    let known = &mut letter.application_properties.get_or_insert_default().0;
    for (name, value) in properties {
        if let Ok(value) = SimpleValue::try_from(value.clone()) {
            known.insert(name.to_owned(), value);
        }
    }
}

pub(super) fn properties(letter: &Letter) -> Option<&OrderedMap<String, SimpleValue>> {
    letter.application_properties.as_ref().map(|properties| &properties.0)
}

/// A property that is a text.
pub(super) fn text_property<'a>(letter: &'a Letter, name: &str) -> Option<&'a str> {
    match properties(letter)?.get(name)? {
        SimpleValue::String(text) => Some(text),
        _ => None,
    }
}

/// A field of a message by its name in a request.
pub(super) fn field(letter: &Letter, name: &str) -> Option<String> {
    let properties = letter.properties.as_ref()?;
    let id = |id: &Option<MessageId>| match id {
        Some(MessageId::String(text)) => Some(text.clone()),
        _ => None,
    };
    match name {
        "correlation-id" => id(&properties.correlation_id),
        "message-id" => id(&properties.message_id),
        "to" => properties.to.clone(),
        "reply-to" => properties.reply_to.clone(),
        "label" => properties.subject.clone(),
        "session-id" => properties.group_id.clone(),
        "reply-to-session-id" => properties.reply_to_group_id.clone(),
        "content-type" => properties.content_type.as_ref().map(|text| text.as_str().to_owned()),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use fe2o3_amqp_types::messaging::{
        AmqpValue, ApplicationProperties, Batch, Data, DeliveryAnnotations, Footer, Properties,
    };
    use fe2o3_amqp_types::primitives::Binary;

    use super::*;

    fn letter(body: Body<Value>) -> Letter {
        let mut letter = Message { body, ..decode(&[0x00, 0x53, 0x77, 0x40]).unwrap() };
        let subject = Some("a.b@1".to_owned());
        letter.properties = Some(Properties { subject, ..Properties::default() });
        let mut properties = ApplicationProperties::default();
        properties.0.insert("colour".to_owned(), SimpleValue::String("blau".to_owned()));
        letter.application_properties = Some(properties);
        letter.footer = Some(Footer::default());
        letter
    }

    #[test]
    fn a_message_that_is_written_by_its_sections_is_the_one_that_is_written_as_a_whole() {
        let data = |texts: &[&str]| {
            let parts = texts.iter().map(|text| Data(Binary::from(text.as_bytes())));
            Batch::new(parts.collect::<Vec<_>>())
        };
        let value = |value| Body::Value(AmqpValue(value));
        let bodies = [
            Body::Data(data(&["one"])),
            Body::Data(data(&["one", "two"])),
            value(Value::String("text".to_owned())),
            value(Value::Null),
            Body::Empty,
        ];
        let header = Header { delivery_count: 3, ..Header::default() };
        let mut annotations = MessageAnnotations::default();
        annotate(&mut annotations, SCHEDULED, timestamp(7));
        for body in bodies {
            let mut letter = letter(body);
            letter.delivery_annotations = Some(DeliveryAnnotations::default());
            let by_sections = encode_delivered(&letter, &header, &annotations).unwrap();
            letter.delivery_annotations = None;
            letter.header = Some(header.clone());
            letter.message_annotations = Some(annotations.clone());
            assert_eq!(by_sections, encode(&letter).unwrap(), "{:?}", letter.body);
            let bare = Letter { properties: None, application_properties: None, ..letter };
            let by_sections = encode_delivered(&bare, &header, &annotations).unwrap();
            assert_eq!(by_sections, encode(&bare).unwrap(), "{:?}", bare.body);
        }
    }
}
