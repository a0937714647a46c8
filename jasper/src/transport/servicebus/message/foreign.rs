//! Messages of the protocol as mappers see them.

use fe2o3_amqp_types::messaging::{ApplicationProperties, MessageId as ProtocolId, Properties};
use fe2o3_amqp_types::primitives::{OrderedMap, SimpleValue, Symbol};

use super::fields::MAX_ID;
use super::letter::Letter;
use super::read::{id_text, payload, stamped};
use super::value::{simple_text, text_property};
use super::write::{data, empty, stamp};
use crate::envelope::MessageId;
use crate::transport::ForeignMessage;

/// The program that has sent it, where a mapper says one: the protocol has no place for it.
const SOURCE: &str = "source";

/// What has come, for a mapper.
pub(in super::super) fn foreign(letter: &Letter) -> ForeignMessage {
    let mut message = ForeignMessage::new(payload(letter).unwrap_or_default());
    if let Some(properties) = &letter.properties {
        message.content_type = properties.content_type.as_ref().map(|it| it.as_str().to_owned());
        message.kind.clone_from(&properties.subject);
        message.id = properties.message_id.as_ref().map(id_text);
        message.correlation_id = properties.correlation_id.as_ref().map(id_text);
        message.reply_to.clone_from(&properties.reply_to);
        message.sent_at = stamped(properties);
        message.routing_key.clone_from(&properties.group_id);
    }
    message.source = text_property(letter, SOURCE);
    let all = letter.application_properties.iter().flat_map(|properties| properties.0.iter());
    for (name, value) in all.filter(|(name, _)| *name != SOURCE) {
        if let Some(value) = simple_text(value) {
            message.headers.insert(name.as_str(), value);
        }
    }
    message
}

/// What a mapper has made, on its way to the broker. One without an id has that of its envelope.
///
/// # Errors
/// A text is longer than the service takes; said in words.
pub(in super::super) fn from_foreign(
    message: &ForeignMessage,
    id: MessageId,
) -> Result<Letter, String> {
    let mut letter = empty();
    let id = message.id.clone().unwrap_or_else(|| id.to_string());
    let mut own = OrderedMap::new();
    for (name, value) in message.headers.iter() {
        own.insert(name.to_owned(), SimpleValue::String(value.to_owned()));
    }
    if let Some(source) = &message.source {
        own.insert(SOURCE.to_owned(), SimpleValue::String(source.clone()));
    }
    letter.properties = Some(Properties {
        message_id: Some(ProtocolId::String(short("id", id)?)),
        subject: message.kind.clone(),
        reply_to: message.reply_to.clone(),
        correlation_id: message.correlation_id.clone().map(ProtocolId::String),
        content_type: message.content_type.as_deref().map(Symbol::from),
        creation_time: message.sent_at.map(stamp),
        group_id: message.routing_key.clone().map(|key| short("session", key)).transpose()?,
        ..Properties::default()
    });
    letter.application_properties = Some(ApplicationProperties(own));
    letter.body = data(&message.body);
    Ok(letter)
}

fn short(what: &str, text: String) -> Result<String, String> {
    match text.chars().count() {
        0..=MAX_ID => Ok(text),
        count => {
            Err(format!("the mapper gives a {what} of {count} characters, of {MAX_ID} at most"))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::envelope::time;

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
        message.routing_key = Some("customer 7".into());
        message.headers.insert("colour", "grün");
        let letter = from_foreign(&message, MessageId::new()).unwrap();
        assert_eq!(foreign(&letter), message);
    }

    #[test]
    fn a_text_that_the_service_does_not_take_is_said_and_a_message_always_has_an_id() {
        let (mut message, id) = (ForeignMessage::default(), MessageId::new());
        let letter = from_foreign(&message, id).unwrap();
        assert_eq!(foreign(&letter).id, Some(id.to_string()));
        message.id = Some("x".repeat(MAX_ID + 1));
        assert!(from_foreign(&message, id).unwrap_err().contains("id of 129 characters"));
    }
}
