//! A message in its sections, as the broker keeps it.

use fe2o3_amqp_types::messaging::annotations::OwnedKey;
use fe2o3_amqp_types::messaging::message::__private::Serializable;
use fe2o3_amqp_types::messaging::message::DecodeIntoMessage;
use fe2o3_amqp_types::messaging::{Body, Message, MessageId};
use fe2o3_amqp_types::primitives::{OrderedMap, SimpleValue, Timestamp, Value};
use serde_amqp::read::SliceReader;

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

pub(super) fn annotate(letter: &mut Letter, name: &str, value: Value) {
    let annotations = letter.message_annotations.get_or_insert_default();
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
