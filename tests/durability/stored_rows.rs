//! What becomes of rows that stand in the store at the start: interrupted, unknown, unreadable,
//! moved.

use std::time::Duration;

use bytes::Bytes;
use jasper::envelope::Envelope;
use jasper::message::{Message, MessageType};
use jasper::prelude::*;
use jasper::store::{
    ClaimRequest, DeadLetter, DeadLetterQuery, DeadLetterReason, Incoming, MessageStore, Ownership,
    Placement, Settlement,
};
use serde::{Deserialize, Serialize};
use sqlx::query;
use tempfile::TempDir;
use tests::Journal;

#[derive(Command, Serialize, Deserialize)]
struct Work {
    number: usize,
}

#[handler(attempts = 3)]
async fn work(cmd: Work, envelope: Envelope, journal: State<Journal>) {
    journal.note(format!("{} attempt {}", cmd.number, envelope.attempts));
}

struct Fixture {
    _folder: TempDir,
    store: SqliteStore,
    journal: Journal,
}

impl Fixture {
    async fn new() -> Self {
        let folder = TempDir::new().unwrap();
        let store = SqliteStore::open(folder.path().join("test.db")).await.unwrap();
        store.admin().prepare().await.unwrap();
        Self { _folder: folder, store, journal: Journal::default() }
    }

    async fn put(&self, envelope: Envelope) {
        let row = Incoming { envelope, placement: Placement::Unowned, retention: None };
        self.store.inbox().store(vec![row]).await.unwrap();
    }

    /// Runs an application until it is idle, and gives the dead letters.
    async fn run(&self) -> Vec<DeadLetter> {
        let app = Jasper::builder()
            .store(self.store.clone())
            .state(self.journal.clone())
            .unhandled_timeout(Duration::ZERO)
            .handler(work)
            .start()
            .await
            .unwrap();
        app.until_idle().await.unwrap();
        app.stop().await.unwrap();
        self.store.dead_letters().list(DeadLetterQuery::default()).await.unwrap()
    }
}

fn envelope(message_type: MessageType, payload: &'static str, destination: &str) -> Envelope {
    let payload = Bytes::from_static(payload.as_bytes());
    Envelope::new(message_type, "application/json", payload, destination.parse().unwrap())
}

#[tokio::test]
async fn a_message_that_kills_the_process_becomes_a_dead_letter_after_exactly_its_attempts() {
    let fixture = Fixture::new().await;
    fixture.put(envelope(Work::TYPE, r#"{"number":1}"#, "local://work/work")).await;
    for run in 1..=3 {
        let store = &fixture.store;
        let node = store.nodes().join("victim", Duration::from_millis(1), &[]).await.unwrap();
        let claim = ClaimRequest {
            owner: node.owner,
            subscriptions: store.inbox().claimable(Default::default()).await.unwrap().now,
            limit: 1,
            count_attempt: true,
        };
        let claimed = store.inbox().claim(claim).await.unwrap().remove(0);
        if !claimed.attempt_counted {
            let ownership = Ownership { ..claimed.ownership };
            store.inbox().settle(vec![Settlement::Attempt(ownership)]).await.unwrap();
        }
        assert_eq!(run > 1, !claimed.attempt_counted);
        // The victim dies here, in the middle of the run, and its lease runs out.
        store.nodes().leave(node.owner).await.unwrap();
        store.inbox().release(node.owner, 10).await.unwrap();
    }
    let letters = fixture.run().await;
    assert_eq!(fixture.journal.notes(), [""; 0], "a fourth attempt began");
    assert_eq!(letters.len(), 1);
    assert_eq!((letters[0].reason, letters[0].attempts), (DeadLetterReason::Exhausted, 3));
}

#[tokio::test]
async fn a_message_that_was_interrupted_once_has_its_other_attempts() {
    let fixture = Fixture::new().await;
    let mut interrupted = envelope(Work::TYPE, r#"{"number":1}"#, "local://work/work");
    interrupted.attempts = 1;
    fixture.put(interrupted).await;
    assert_eq!(fixture.run().await, []);
    assert_eq!(fixture.journal.notes(), ["1 attempt 2"]);
}

#[tokio::test]
async fn an_unknown_type_becomes_an_invalid_message_with_its_bytes() {
    let fixture = Fixture::new().await;
    let unknown = envelope(MessageType::new("gone", 1), r#"{"a":1}"#, "local://gone/gone");
    fixture.put(unknown.clone()).await;
    let letters = fixture.run().await;
    assert_eq!(letters[0].reason, DeadLetterReason::UnknownType);
    assert!(letters[0].reason.is_invalid_message());
    assert_eq!(letters[0].message_type, "gone@1");
    assert!(letters[0].error_message.contains("`gone@1`"), "{}", letters[0].error_message);
    assert_eq!(Envelope::from_bytes(&letters[0].body).unwrap().payload, unknown.payload);
}

#[tokio::test]
async fn a_payload_that_does_not_fit_its_type_becomes_an_invalid_message_at_once() {
    let fixture = Fixture::new().await;
    fixture.put(envelope(Work::TYPE, r#"{"number":"one"}"#, "local://work/work")).await;
    let letters = fixture.run().await;
    assert_eq!(letters[0].reason, DeadLetterReason::Undecodable);
    assert_eq!(letters[0].attempts, 1);
    assert_eq!(fixture.journal.notes(), [""; 0]);
}

#[tokio::test]
async fn bytes_that_are_no_envelope_become_an_invalid_message_and_stop_no_other() {
    let fixture = Fixture::new().await;
    fixture.put(envelope(Work::TYPE, r#"{"number":1}"#, "local://work/work")).await;
    let spoil = query("update jasper_incoming set body = x'ff00ff'");
    spoil.execute(fixture.store.pool()).await.unwrap();
    fixture.put(envelope(Work::TYPE, r#"{"number":2}"#, "local://work/work")).await;
    let letters = fixture.run().await;
    assert_eq!(letters.len(), 1);
    assert_eq!(letters[0].reason, DeadLetterReason::Undecodable);
    assert_eq!(&letters[0].body[..], [0xff, 0x00, 0xff]);
    assert_eq!(fixture.journal.notes(), ["2 attempt 1"]);
}

#[tokio::test]
async fn a_message_for_a_handler_that_moved_to_another_queue_still_reaches_it() {
    let fixture = Fixture::new().await;
    fixture.put(envelope(Work::TYPE, r#"{"number":1}"#, "local://old_queue/work")).await;
    fixture.put(envelope(Work::TYPE, r#"{"number":2}"#, "local://work/old_name")).await;
    assert_eq!(fixture.run().await, []);
    assert_eq!(fixture.journal.sorted(), ["1 attempt 1", "2 attempt 1"]);
}

#[tokio::test]
async fn a_dead_letter_that_is_replayed_starts_with_all_its_attempts() {
    let fixture = Fixture::new().await;
    let mut worn = envelope(Work::TYPE, r#"{"number":1}"#, "local://work/work");
    worn.attempts = 3;
    fixture.put(worn).await;
    let letters = fixture.run().await;
    assert_eq!(letters.len(), 1);
    let replayed = fixture.store.dead_letters().replay(vec![letters[0].id.clone()]).await.unwrap();
    assert_eq!(replayed, 1);
    assert_eq!(fixture.run().await, []);
    assert_eq!(fixture.journal.notes(), ["1 attempt 1"]);
}

#[tokio::test]
async fn any_number_of_unknown_types_become_invalid_messages() {
    let fixture = Fixture::new().await;
    let mut rows = Vec::new();
    for number in 0..1_200 {
        let mut envelope = envelope(Work::TYPE, "{}", "local://work/work");
        envelope.message_type = format!("unknown{number}@1").parse().unwrap();
        rows.push(Incoming { envelope, placement: Placement::Unowned, retention: None });
    }
    fixture.store.inbox().store(rows).await.unwrap();
    fixture.put(envelope(Work::TYPE, r#"{"number":1}"#, "local://work/work")).await;
    fixture.run().await;
    assert_eq!(fixture.journal.notes(), ["1 attempt 1"]);
    let query = DeadLetterQuery { limit: 2_000, ..DeadLetterQuery::default() };
    let letters = fixture.store.dead_letters().list(query).await.unwrap();
    assert_eq!(letters.len(), 1_200);
    assert!(letters.iter().all(|letter| letter.reason == DeadLetterReason::UnknownType));
}
