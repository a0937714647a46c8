//! Messages of the protocol as mappers see them.

use bytes::Bytes;
use lapin::BasicProperties;
use lapin::types::{AMQPValue, FieldTable, ShortString};

use super::fields::SHORT;
use super::read::{stamped, text_of};
use super::write::PERSISTENT;
use crate::envelope::{MessageId, time};
use crate::transport::ForeignMessage;

/// What has come, for a mapper.
pub(in super::super) fn foreign(
    properties: &BasicProperties,
    body: Bytes,
    routing_key: &ShortString,
) -> ForeignMessage {
    let text = |property: &Option<ShortString>| property.as_ref().map(ToString::to_string);
    let mut message = ForeignMessage::new(body);
    message.content_type = text(properties.content_type());
    message.kind = text(properties.kind());
    message.id = text(properties.message_id());
    message.correlation_id = text(properties.correlation_id());
    message.reply_to = text(properties.reply_to());
    message.source = text(properties.app_id());
    message.sent_at = stamped(properties);
    message.routing_key = Some(routing_key.to_string());
    let headers = properties.headers().iter().flat_map(|headers| headers.inner());
    for (name, value) in headers {
        if let Some(value) = text_of(value) {
            message.headers.insert(name.as_str(), value);
        }
    }
    message
}

/// What a mapper has made, on its way to the broker. One without an id has that of its envelope, by
/// which it is known where the broker gives it back.
///
/// # Errors
/// A text is longer than the protocol takes; said in words.
pub(in super::super) fn from_foreign(
    message: &ForeignMessage,
    id: MessageId,
) -> Result<BasicProperties, String> {
    let mut properties = BasicProperties::default().with_delivery_mode(PERSISTENT);
    let id = message.id.clone().unwrap_or_else(|| id.to_string());
    properties = properties.with_message_id(short("id", &id)?);
    if let Some(text) = &message.content_type {
        properties = properties.with_content_type(short("content type", text)?);
    }
    if let Some(text) = &message.kind {
        properties = properties.with_type(short("kind", text)?);
    }
    if let Some(text) = &message.correlation_id {
        properties = properties.with_correlation_id(short("correlation id", text)?);
    }
    if let Some(text) = &message.reply_to {
        properties = properties.with_reply_to(short("reply-to", text)?);
    }
    if let Some(text) = &message.source {
        properties = properties.with_app_id(short("source", text)?);
    }
    if let Some(sent_at) = message.sent_at {
        let seconds = time::to_micros(sent_at) / 1_000_000;
        properties = properties.with_timestamp(seconds.try_into().unwrap_or_default());
    }
    let mut headers = FieldTable::default();
    for (name, value) in message.headers.iter() {
        headers.insert(short("header", name)?, AMQPValue::LongString(value.into()));
    }
    Ok(properties.with_headers(headers))
}

fn short(what: &str, text: &str) -> Result<ShortString, String> {
    if text.len() <= SHORT {
        return Ok(text.into());
    }
    Err(format!("the mapper gives a {what} of {} bytes, of {SHORT} at most", text.len()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_mapper_reads_is_what_another_has_written() {
        let mut message = ForeignMessage::new("body");
        message.content_type = Some("text/plain".into());
        message.kind = Some("OrderPlaced".into());
        message.id = Some("order 7".into());
        message.correlation_id = Some("request 7".into());
        message.reply_to = Some("answers".into());
        message.source = Some("shop".into());
        message.sent_at = Some(time::from_micros(7_000_000));
        message.headers.insert("colour", "grün");
        let properties = from_foreign(&message, MessageId::new()).unwrap();
        message.routing_key = Some("key".into());
        assert_eq!(foreign(&properties, message.body.clone(), &"key".into()), message);
    }

    #[test]
    fn a_text_that_the_protocol_does_not_take_is_told_and_a_message_always_has_an_id() {
        let (mut message, id) = (ForeignMessage::default(), MessageId::new());
        let properties = from_foreign(&message, id).unwrap();
        assert_eq!(properties.message_id(), &Some(id.to_string().into()));
        message.kind = Some("x".repeat(SHORT + 1));
        assert!(from_foreign(&message, id).unwrap_err().contains("kind of 256 bytes"));
        message.kind = None;
        message.headers.insert("x".repeat(SHORT + 1), "");
        assert!(from_foreign(&message, id).unwrap_err().contains("header"));
    }
}
