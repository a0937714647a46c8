//! What a message holds is in no line of the log and in no text of a dead letter, and what a peer
//! writes makes no line of its own.

use bytes::Bytes;
use jasper::envelope::Envelope;
use jasper::message::MessageType;
use jasper::store::DeadLetterQuery;
use tests::Journal;
use tests::log::Log;
use tracing::Level;

use crate::document::{application, connected_as_python};
use crate::raw::{RECEIPTS, batch};
use crate::receiver::within;

/// A message that is wrong in one way, with a canary wherever a sender may put text.
fn envelope(message_type: &'static str, payload: &'static str) -> Vec<u8> {
    let mut envelope = Envelope::new(
        MessageType::new(message_type, 1),
        "application/json",
        Bytes::from_static(payload.as_bytes()),
        "local://anything".parse().unwrap(),
    );
    envelope.headers.insert("canary-name", "canary-value");
    envelope.deduplication_id = Some("canary-key".to_owned());
    envelope.tenant_id = Some("canary-tenant".to_owned());
    envelope.correlation_id = Some("canary-correlation".to_owned());
    envelope.to_bytes().to_vec()
}

#[tokio::test]
async fn canaries_in_payload_headers_and_keys_are_in_no_log_and_no_letter() {
    let log = Log::default();
    let _guard = tracing::subscriber::set_default(log.subscriber(Level::TRACE));

    let app = application(&Journal::default(), "durable://127.0.0.1:9");
    let app = app.listen("durable://127.0.0.1:0").start().await.unwrap();
    let mut raw = connected_as_python(app.addresses()[0].rest()).await;
    let wrong = [
        envelope("python.double", r#"{"number":"canary"}"#),
        envelope("python.double", r#"{"canary":1}"#),
        envelope("python.double", "canary"),
        envelope("python.note", r#"{"text":{"canary":"canary"}}"#),
    ];
    raw.send(&batch(1, &wrong)).await;
    assert_eq!(raw.read_news().await.unwrap().0, RECEIPTS);
    within(app.until_idle()).await.unwrap();

    let letters = app.store().unwrap().dead_letters();
    let letters = letters.list(DeadLetterQuery::default()).await.unwrap();
    assert_eq!(letters.len(), wrong.len());
    for letter in &letters {
        assert!(!letter.error_message.contains("canary"), "{}", letter.error_message);
        assert!(letter.error_message.contains(" at line 1 column "), "{}", letter.error_message);
    }
    app.stop().await.unwrap();
    let log = log.text();
    assert!(log.contains("given up; kept as a dead letter"), "the log is looked at: {log}");
    assert!(!log.contains("canary"), "{log}");
}

#[tokio::test]
async fn no_text_of_a_peer_makes_a_line_of_its_own_in_the_log() {
    let log = Log::default();
    let _guard = tracing::subscriber::set_default(log.subscriber(Level::TRACE));
    let app = application(&Journal::default(), "durable://127.0.0.1:9");
    let app = app.listen("durable://127.0.0.1:0").start().await.unwrap();
    let mut raw = connected_as_python(app.addresses()[0].rest()).await;
    let mut elsewhere = Envelope::from_bytes(&envelope("python.note", "{}").into()).unwrap();
    elsewhere.source = Some("shop\nERROR forged".to_owned());
    elsewhere.content_type = "text/plain\nERROR forged".into();
    let forged = [
        envelope("python.note\nERROR forged", "{}"),
        envelope("nobody.knows\r\nERROR forged", "{}"),
        elsewhere.to_bytes().to_vec(),
    ];
    raw.send(&batch(1, &forged)).await;
    assert_eq!(raw.read_news().await.unwrap().0, RECEIPTS);
    within(app.until_idle()).await.unwrap();
    let letters = app.store().unwrap().dead_letters();
    let letters = letters.list(DeadLetterQuery::default()).await.unwrap();
    let errors: Vec<_> = letters.iter().map(|letter| &*letter.error_message).collect();
    assert_eq!(letters.len(), forged.len(), "{errors:?}");
    assert!(errors.contains(&"the envelope's message type is not valid"), "{errors:?}");
    app.stop().await.unwrap();
    let log = log.text();
    assert!(!log.lines().any(|line| line.starts_with("ERROR forged")), "{log}");
}
