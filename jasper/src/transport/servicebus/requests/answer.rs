//! Answers as messages of the protocol.

use fe2o3_amqp_types::messaging::{ApplicationProperties, MessageId, Properties};
use fe2o3_amqp_types::primitives::{OrderedMap, SimpleValue, Symbol};

use super::super::message::{Letter, letter_of, payload, property, text_property};
use super::names::{FAILURE, TAKEN};
use crate::transport::{Answer, FailureKind, RemoteFailure, RemoteReply};

const KINDS: [(&str, FailureKind); 6] = [
    ("failed", FailureKind::Failed),
    ("timed-out", FailureKind::TimedOut),
    ("no-handler", FailureKind::NoHandler),
    ("codec", FailureKind::Codec),
    ("forbidden", FailureKind::Forbidden),
    ("unavailable", FailureKind::Unavailable),
];

/// What has come back.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Reply {
    /// A process has taken the request, and its handler runs.
    Taken,
    Answered(Answer),
}

/// A message for the process whose request had this id, at its session.
pub(super) fn write(reply: Reply, request: MessageId, session: Option<String>) -> Letter {
    let mut own = OrderedMap::new();
    let (mut content_type, mut payload) = (None, bytes::Bytes::new());
    match reply {
        Reply::Taken => {
            own.insert(TAKEN.to_owned(), SimpleValue::Bool(true));
        }
        Reply::Answered(Ok(reply)) => {
            content_type = Some(Symbol::from(reply.content_type.as_ref()));
            payload = reply.payload;
        }
        Reply::Answered(Err(failure)) => {
            let mut kinds = KINDS.iter();
            let kind = kinds.find(|(_, kind)| *kind == failure.kind);
            let kind = kind.map_or("failed", |(name, _)| name);
            own.insert(FAILURE.to_owned(), SimpleValue::String(kind.to_owned()));
            payload = failure.message.into();
        }
    }
    let mut letter = letter_of(&payload);
    letter.properties = Some(Properties {
        correlation_id: Some(request),
        group_id: session,
        content_type,
        ..Properties::default()
    });
    letter.application_properties = Some(ApplicationProperties(own));
    letter
}

pub(super) fn read(letter: &Letter) -> Reply {
    if property(letter, TAKEN).is_some() {
        return Reply::Taken;
    }
    let payload = payload(letter).unwrap_or_default();
    let Some(name) = text_property(letter, FAILURE) else {
        let content_type = letter.properties.as_ref().and_then(|it| it.content_type.as_ref());
        let content_type = content_type.map(|it| it.as_str().to_owned()).unwrap_or_default();
        return Reply::Answered(Ok(RemoteReply { content_type: content_type.into(), payload }));
    };
    let kind = KINDS.iter().find(|(known, _)| *known == name);
    let kind = kind.map_or(FailureKind::Failed, |(_, kind)| *kind);
    let message = String::from_utf8_lossy(&payload);
    Reply::Answered(Err(RemoteFailure::new(kind, message)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_answer_comes_back_as_it_was() {
        let reply = RemoteReply { content_type: "text/plain".into(), payload: "four".into() };
        let failures = FailureKind::ALL.map(|kind| Err(RemoteFailure::new(kind, "why")));
        let answers = failures.into_iter().chain([Ok(reply)]).map(Reply::Answered);
        for reply in answers.chain([Reply::Taken]) {
            let request = MessageId::String("1".into());
            let letter = write(reply.clone(), request, Some("node".into()));
            assert_eq!(read(&letter), reply);
            assert_eq!(letter.properties.unwrap().group_id.as_deref(), Some("node"));
        }
    }
}
