//! Answers as messages of the protocol.

use bytes::Bytes;
use lapin::BasicProperties;
use lapin::types::{AMQPValue, FieldTable, ShortString};

use crate::transport::{Answer, FailureKind, RemoteFailure, RemoteReply};

/// There where the answer is a failure: its kind. The payload is what it says.
const FAILURE: &str = "jasper-failure";

const KINDS: [(&str, FailureKind); 6] = [
    ("failed", FailureKind::Failed),
    ("timed-out", FailureKind::TimedOut),
    ("no-handler", FailureKind::NoHandler),
    ("codec", FailureKind::Codec),
    ("forbidden", FailureKind::Forbidden),
    ("unavailable", FailureKind::Unavailable),
];

pub(super) fn write(answer: Answer, request: ShortString) -> (BasicProperties, Bytes) {
    let properties = BasicProperties::default().with_correlation_id(request);
    match answer {
        Ok(reply) => {
            let content_type = ShortString::try_new(reply.content_type.into_owned());
            // No content type that a codec of this library has is as long as that.
            let content_type = content_type.unwrap_or_default();
            (properties.with_content_type(content_type), reply.payload)
        }
        Err(failure) => {
            let kind = KINDS
                .iter()
                .find(|(_, kind)| *kind == failure.kind)
                .map_or("failed", |(name, _)| name);
            let mut headers = FieldTable::default();
            headers.insert(FAILURE.into(), AMQPValue::LongString(kind.into()));
            (properties.with_headers(headers), failure.message.into())
        }
    }
}

pub(super) fn read(properties: &BasicProperties, payload: Bytes) -> Answer {
    let headers = properties.headers().as_ref();
    let Some(kind) = headers.and_then(|headers| headers.inner().get(FAILURE)) else {
        let content_type = properties.content_type().as_ref().map(ToString::to_string);
        return Ok(RemoteReply { content_type: content_type.unwrap_or_default().into(), payload });
    };
    let name = match kind {
        AMQPValue::LongString(name) => name.to_string(),
        _ => String::new(),
    };
    let kind = KINDS.iter().find(|(known, _)| *known == name);
    let kind = kind.map_or(FailureKind::Failed, |(_, kind)| *kind);
    Err(RemoteFailure::new(kind, String::from_utf8_lossy(&payload)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_answer_comes_back_as_it_was() {
        let reply = RemoteReply { content_type: "text/plain".into(), payload: "four".into() };
        let failures = FailureKind::ALL.map(|kind| Err(RemoteFailure::new(kind, "why")));
        for answer in failures.into_iter().chain([Ok(reply)]) {
            let (properties, payload) = write(answer.clone(), "1".into());
            assert_eq!(read(&properties, payload), answer);
        }
    }
}
