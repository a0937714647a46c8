//! From an envelope to a message of the protocol.

use bytes::Bytes;
use lapin::BasicProperties;
use lapin::types::{AMQPValue, FieldArray, FieldTable, ShortString};

use super::fields::{
    CAUSATION, CONTENT_TYPE, CONVERSATION, CORRELATION, DEDUPLICATION, DELIVER_BY, DUE_AT, GROUP,
    GUARANTEE, MORE, REPLY_TO, SAGA, SENT_AT, SHORT, SOURCE, STORED, TENANT, TRACEPARENT, TYPE,
    is_taken,
};
use crate::envelope::{Envelope, time};
use crate::transport::Guarantee;

/// A message on its way to the broker.
#[derive(Clone)]
pub(in super::super) struct Outgoing {
    pub(in super::super) exchange: ShortString,
    pub(in super::super) key: ShortString,
    pub(in super::super) properties: BasicProperties,
    pub(in super::super) payload: Bytes,
}

/// The message is kept on disk by queues that can.
pub(super) const PERSISTENT: u8 = 2;

/// Everything of an envelope but its payload.
pub(in super::super) fn properties(envelope: &Envelope, guarantee: Guarantee) -> BasicProperties {
    let mut writing = Writing { headers: FieldTable::default() };
    writing.loose(envelope);
    writing.texts(envelope);
    writing.times(envelope);
    if guarantee == Guarantee::Stored {
        writing.text(GUARANTEE, STORED);
    }
    let seconds = time::to_micros(envelope.sent_at) / 1_000_000;
    let mut properties = BasicProperties::default()
        .with_delivery_mode(PERSISTENT)
        .with_message_id(envelope.id.to_string().into())
        .with_timestamp(seconds.try_into().unwrap_or_default());
    if let Some(text) = writing.short(CONTENT_TYPE, &envelope.content_type) {
        properties = properties.with_content_type(text);
    }
    if let Some(text) = writing.short(TYPE, &envelope.message_type.to_string()) {
        properties = properties.with_type(text);
    }
    let correlation = envelope.correlation_id.as_deref();
    if let Some(text) = correlation.and_then(|text| writing.short(CORRELATION, text)) {
        properties = properties.with_correlation_id(text);
    }
    let source = envelope.source.as_deref();
    if let Some(text) = source.and_then(|text| writing.short(SOURCE, text)) {
        properties = properties.with_app_id(text);
    }
    properties.with_headers(writing.headers)
}

struct Writing {
    headers: FieldTable,
}

impl Writing {
    fn text(&mut self, name: &'static str, text: &str) {
        self.headers.insert(name.into(), AMQPValue::LongString(text.into()));
    }

    /// For a property of the protocol; what is longer becomes a header.
    fn short(&mut self, name: &'static str, text: &str) -> Option<ShortString> {
        if text.len() <= SHORT {
            return Some(text.into());
        }
        self.text(name, text);
        None
    }

    fn texts(&mut self, envelope: &Envelope) {
        self.text(CONVERSATION, &envelope.conversation_id.to_string());
        let causation = envelope.causation_id.map(|id| id.to_string());
        let texts = [
            (CAUSATION, causation.as_deref()),
            (REPLY_TO, envelope.reply_to.as_ref().map(|address| address.as_str())),
            (TRACEPARENT, envelope.traceparent.as_deref()),
            (SAGA, envelope.saga_id.as_deref()),
            (TENANT, envelope.tenant_id.as_deref()),
            (GROUP, envelope.group_id.as_deref()),
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
                self.headers.insert(name.into(), AMQPValue::LongLongInt(time::to_micros(time)));
            }
        }
    }

    fn loose(&mut self, envelope: &Envelope) {
        let mut more = FieldArray::default();
        for (name, value) in envelope.headers.iter() {
            let text = |text: &str| AMQPValue::LongString(text.into());
            if (1..=SHORT).contains(&name.len()) && !is_taken(name) {
                self.headers.insert(name.into(), text(value));
            } else {
                more.push(text(name));
                more.push(text(value));
            }
        }
        if !more.as_slice().is_empty() {
            self.headers.insert(MORE.into(), AMQPValue::FieldArray(more));
        }
    }
}
