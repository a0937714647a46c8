//! From an envelope to a message of the protocol.

use std::time::{Duration, SystemTime};

use fe2o3_amqp_types::messaging::{
    ApplicationProperties, Batch, Body, Data, Header, MessageAnnotations, MessageId, Properties,
    message::__private::Serializable,
};
use fe2o3_amqp_types::primitives::{Binary, OrderedMap, SimpleValue, Symbol, Timestamp, Value};

use super::fields::{
    CAUSATION, CONVERSATION, DEDUPLICATION, DELIVER_BY, DUE_AT, GROUP, GUARANTEE, LOOSE, MAX_ID,
    REPLY_TO, SAGA, SCHEDULED, SENT_AT, SOURCE, STORED, TENANT, TRACEPARENT, is_taken,
};
use super::letter::Letter;
use crate::envelope::{Envelope, time};
use crate::transport::Guarantee;

/// A message on its way to the broker.
#[derive(Debug)]
pub(in super::super) struct Outgoing {
    pub(in super::super) letter: Letter,
    /// All of it as bytes, as it goes into a batch.
    pub(in super::super) bytes: Vec<u8>,
}

impl Outgoing {
    /// With the bytes of this message.
    ///
    /// # Errors
    /// It cannot be encoded; said in words.
    pub(in super::super) fn of(letter: Letter) -> Result<Self, String> {
        let bytes = serde_amqp::to_vec(&Serializable(&letter));
        let bytes = bytes.map_err(|error| format!("it cannot be encoded: {error}"))?;
        Ok(Self { letter, bytes })
    }
}

pub(super) fn empty() -> Letter {
    Letter {
        header: None,
        delivery_annotations: None,
        message_annotations: None,
        properties: None,
        application_properties: None,
        body: Body::Empty,
        footer: None,
    }
}

/// A body of bytes.
pub(super) fn data(bytes: &[u8]) -> Body<Value> {
    Body::Data(Batch::new(vec![Data(Binary::from(bytes.to_vec()))]))
}

/// A message with this body and nothing else.
pub(in super::super) fn letter_of(bytes: &[u8]) -> Letter {
    Letter { body: data(bytes), ..empty() }
}

/// A map with texts as keys.
pub(in super::super) fn properties_map<'a>(
    entries: impl IntoIterator<Item = (&'a str, Value)>,
) -> Value {
    let mut map = OrderedMap::new();
    for (name, value) in entries {
        map.insert(Value::String(name.to_owned()), value);
    }
    Value::Map(map)
}

/// The message that an envelope is sent as.
pub(in super::super) fn write(
    envelope: &Envelope,
    guarantee: Guarantee,
    now: SystemTime,
) -> Letter {
    let mut writing = Writing { properties: OrderedMap::new() };
    writing.loose(envelope);
    writing.texts(envelope);
    writing.times(envelope);
    if guarantee == Guarantee::Stored {
        writing.text(GUARANTEE, STORED);
    }
    let mut letter = empty();
    letter.header = Some(header(envelope, now));
    letter.message_annotations = scheduled(envelope, now);
    letter.properties = Some(properties(envelope));
    letter.application_properties = Some(ApplicationProperties(writing.properties));
    letter.body = data(&envelope.payload);
    letter
}

fn properties(envelope: &Envelope) -> Properties {
    let group = envelope.group_id.clone().filter(|group| is_session_id(group));
    Properties {
        message_id: Some(MessageId::String(envelope.id.to_string())),
        subject: Some(envelope.message_type.to_string()),
        correlation_id: envelope.correlation_id.clone().map(MessageId::String),
        content_type: Some(Symbol::from(envelope.content_type.as_ref())),
        creation_time: Some(stamp(envelope.sent_at)),
        group_id: group,
        ..Properties::default()
    }
}

fn is_session_id(group: &str) -> bool {
    (1..=MAX_ID).contains(&group.chars().count())
}

/// In whole milliseconds.
pub(super) fn stamp(at: SystemTime) -> Timestamp {
    Timestamp::from_milliseconds(time::to_micros(at).div_euclid(1_000))
}

/// How long the message is of use, for the broker to drop it by; from when it is due.
fn header(envelope: &Envelope, now: SystemTime) -> Header {
    let from = envelope.due_at.filter(|due| *due > now).unwrap_or(now);
    let left = envelope.deliver_by.map(|by| by.duration_since(from).unwrap_or(Duration::ZERO));
    // The protocol takes up to 49 days. The receiver looks at the time as well.
    let left = left.and_then(|left| u32::try_from(left.as_millis()).ok());
    Header { durable: true, ttl: left.map(|left| left.max(1)), ..Header::default() }
}

fn scheduled(envelope: &Envelope, now: SystemTime) -> Option<MessageAnnotations> {
    let due = envelope.due_at.filter(|due| *due > now)?;
    // Not before its time: the next whole millisecond.
    let due = time::after(due, Duration::from_micros(999));
    let mut annotations = MessageAnnotations::default();
    annotations.0.insert(SCHEDULED.into(), Value::Timestamp(stamp(due)));
    Some(annotations)
}

struct Writing {
    properties: OrderedMap<String, SimpleValue>,
}

impl Writing {
    fn text(&mut self, name: &str, text: &str) {
        self.properties.insert(name.to_owned(), SimpleValue::String(text.to_owned()));
    }

    fn texts(&mut self, envelope: &Envelope) {
        self.text(CONVERSATION, &envelope.conversation_id.to_string());
        let causation = envelope.causation_id.map(|id| id.to_string());
        let long_group = envelope.group_id.as_deref().filter(|group| !is_session_id(group));
        let texts = [
            (CAUSATION, causation.as_deref()),
            (REPLY_TO, envelope.reply_to.as_ref().map(|address| address.as_str())),
            (TRACEPARENT, envelope.traceparent.as_deref()),
            (SAGA, envelope.saga_id.as_deref()),
            (TENANT, envelope.tenant_id.as_deref()),
            (SOURCE, envelope.source.as_deref()),
            (GROUP, long_group),
            (DEDUPLICATION, envelope.deduplication_id.as_deref()),
        ];
        for (name, text) in texts {
            if let Some(text) = text {
                self.text(name, text);
            }
        }
    }

    fn times(&mut self, envelope: &Envelope) {
        let times = [
            (SENT_AT, Some(envelope.sent_at)),
            (DELIVER_BY, envelope.deliver_by),
            (DUE_AT, envelope.due_at),
        ];
        for (name, time) in times {
            if let Some(time) = time {
                self.properties.insert(name.to_owned(), SimpleValue::Long(time::to_micros(time)));
            }
        }
    }

    fn loose(&mut self, envelope: &Envelope) {
        for (name, value) in envelope.headers.iter() {
            if is_taken(name) {
                self.text(&format!("{LOOSE}{name}"), value);
            } else {
                self.text(name, value);
            }
        }
    }
}
