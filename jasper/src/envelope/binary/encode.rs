//! Writing the binary form.

use std::time::SystemTime;

use bytes::{BufMut, Bytes, BytesMut};

use super::super::fields::Envelope;
use super::super::time;
use super::tag::{self, VERSION};

/// Room for the typed fields of an ordinary envelope, so that the buffer seldom grows.
const TYPICAL_FIELDS: usize = 320;

pub(in super::super) fn encode(envelope: &Envelope) -> Bytes {
    let mut out = head(envelope, envelope.payload.len());
    out.put_slice(&envelope.payload);
    out.freeze()
}

/// All but the bytes of the payload, which come last.
pub(in super::super) fn encode_head(envelope: &Envelope) -> Bytes {
    head(envelope, 0).freeze()
}

fn head(envelope: &Envelope, room: usize) -> BytesMut {
    let mut out = FieldWriter(BytesMut::with_capacity(TYPICAL_FIELDS + room));
    out.0.put_u8(VERSION);
    out.identity(envelope);
    out.places(envelope);
    out.relations(envelope);
    out.times(envelope);
    for (name, value) in envelope.headers.iter() {
        out.header(name, value);
    }
    out.0.put_u8(tag::PAYLOAD);
    out.length(envelope.payload.len());
    out.0
}

struct FieldWriter(BytesMut);

impl FieldWriter {
    fn identity(&mut self, envelope: &Envelope) {
        self.bytes(tag::ID, envelope.id.as_uuid().as_bytes());
        self.text(tag::MESSAGE_TYPE, &envelope.message_type.to_string());
        self.text(tag::CONTENT_TYPE, &envelope.content_type);
        if envelope.attempts > 0 {
            self.bytes(tag::ATTEMPTS, &envelope.attempts.to_be_bytes());
        }
        if envelope.redelivered {
            self.bytes(tag::REDELIVERED, &[]);
        }
    }

    fn places(&mut self, envelope: &Envelope) {
        self.text(tag::DESTINATION, envelope.destination.as_str());
        self.optional(tag::SOURCE, envelope.source.as_deref());
        self.optional(tag::PEER, envelope.peer.as_deref());
        let reply_to = envelope.reply_to.as_ref().map(|address| address.as_str());
        self.optional(tag::REPLY_TO, reply_to);
    }

    fn relations(&mut self, envelope: &Envelope) {
        let conversation = envelope.conversation_id.as_uuid();
        self.bytes(tag::CONVERSATION_ID, conversation.as_bytes());
        if let Some(cause) = envelope.causation_id {
            self.bytes(tag::CAUSATION_ID, cause.as_uuid().as_bytes());
        }
        self.optional(tag::CORRELATION_ID, envelope.correlation_id.as_deref());
        self.optional(tag::TRACEPARENT, envelope.traceparent.as_deref());
        self.optional(tag::SAGA_ID, envelope.saga_id.as_deref());
        self.optional(tag::TENANT_ID, envelope.tenant_id.as_deref());
        self.optional(tag::GROUP_ID, envelope.group_id.as_deref());
        self.optional(tag::DEDUPLICATION_ID, envelope.deduplication_id.as_deref());
    }

    fn times(&mut self, envelope: &Envelope) {
        self.time(tag::SENT_AT, Some(envelope.sent_at));
        self.time(tag::DELIVER_BY, envelope.deliver_by);
        self.time(tag::DUE_AT, envelope.due_at);
    }

    fn bytes(&mut self, tag: u8, value: &[u8]) {
        self.0.put_u8(tag);
        self.length(value.len());
        self.0.put_slice(value);
    }

    fn text(&mut self, tag: u8, value: &str) {
        self.bytes(tag, value.as_bytes());
    }

    fn optional(&mut self, tag: u8, value: Option<&str>) {
        if let Some(value) = value {
            self.text(tag, value);
        }
    }

    fn time(&mut self, tag: u8, value: Option<SystemTime>) {
        if let Some(value) = value {
            self.bytes(tag, &time::to_micros(value).to_be_bytes());
        }
    }

    /// A header is its name's length, its name, and its value.
    fn header(&mut self, name: &str, value: &str) {
        self.0.put_u8(tag::HEADER);
        self.length(4 + name.len() + value.len());
        self.length(name.len());
        self.0.put_slice(name.as_bytes());
        self.0.put_slice(value.as_bytes());
    }

    /// A value of 4 GiB does not fit the format; no codec of this process can have produced one in
    /// memory that a reader would accept, so the length is capped and the reader refuses the
    /// envelope as cut off.
    fn length(&mut self, length: usize) {
        self.0.put_u32(u32::try_from(length).unwrap_or(u32::MAX));
    }
}
