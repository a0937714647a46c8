//! Rows that a living node owns and does not hold in memory, although no call has failed: they are
//! found and given back within a lease, and what it holds is left alone.

#[path = "../mariadb_database.rs"]
mod mariadb_database;
#[path = "../postgres_schema.rs"]
mod postgres_schema;

use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use jasper::envelope::Envelope;
use jasper::message::Message;
use jasper::prelude::*;
use jasper::store::memory::MemoryStore;
use jasper::store::mysql::MysqlStore;
use jasper::store::{Incoming, Inserted, MessageStore, Outgoing, Placement};
use jasper::testing::{Faults, FaultyStore};
use mariadb_database::Database;
use postgres_schema::Schema;
use serde::{Deserialize, Serialize};
use tests::{Fixture, Journal};
use tokio::sync::Semaphore;

const LEASE: Duration = Duration::from_secs(3);

#[derive(Command, Serialize, Deserialize)]
#[command(name = "missing-rows.work")]
struct Work {
    text: String,
}

#[derive(Command, Serialize, Deserialize)]
#[command(name = "missing-rows.parcel", to = "parcels")]
struct Parcel {
    text: String,
}

/// Lets the long run end.
type End = Arc<Semaphore>;

/// Runs until a test ends it where the message says so.
#[handler(attempts = 3)]
async fn work(cmd: Work, envelope: Envelope, journal: State<Journal>, end: State<End>) {
    journal.note(format!("{} begins, attempt {}", cmd.text, envelope.attempts));
    if cmd.text == "long" {
        end.acquire().await.unwrap().forget();
    }
    journal.note(format!("{} ends", cmd.text));
}

#[handler]
async fn take_parcel(cmd: Parcel, journal: State<Journal>) {
    journal.note(cmd.text);
}

#[tokio::test]
async fn sqlite_rows_that_are_not_in_memory_are_given_back_within_a_lease() {
    let fixture = Fixture::create();
    are_given_back(fixture.store().await).await;
}

#[tokio::test]
async fn postgres_rows_that_are_not_in_memory_are_given_back_within_a_lease() {
    let (store, _schema) = Schema::open().await;
    are_given_back(store).await;
}

#[tokio::test]
async fn mariadb_rows_that_are_not_in_memory_are_given_back_within_a_lease() {
    let database = Database::create().await;
    are_given_back(MysqlStore::connect(database.url()).await.unwrap()).await;
}

/// With a handler that runs for longer than that, whose row stays where it is.
async fn are_given_back(store: impl MessageStore + Clone) {
    let (journal, end) = (Journal::default(), End::new(Semaphore::new(0)));
    let receiver = Jasper::builder()
        .handler(take_parcel)
        .state(journal.clone())
        .store(MemoryStore::new())
        .listen("durable://127.0.0.1:0")
        .start()
        .await
        .unwrap();
    let app = Jasper::builder().store(store.clone()).lease(LEASE).handler(work);
    // Nothing but the comparison is to find them.
    let app = app.state(journal.clone()).state(Arc::clone(&end));
    let app = app.poll_interval(Duration::from_secs(3_600));
    let address = receiver.addresses()[0].to_string();
    let app = app.endpoint("parcels", address).start().await.unwrap();
    app.bus().send(Work { text: "long".into() }).await.unwrap();
    journal.wait_for("long begins, attempt 1").await;
    let long_began = Instant::now();
    lose_rows(&store).await;
    journal.wait_for("lost ends").await;
    journal.wait_for("lost parcel").await;
    // Real time: leases run in the time of the database.
    tokio::time::sleep((LEASE + LEASE / 2).saturating_sub(long_began.elapsed())).await;
    end.add_permits(1);
    journal.wait_for("long ends").await;
    app.until_idle().await.unwrap();
    let mut notes = journal.sorted();
    notes.retain(|note| note.contains("begins"));
    assert_eq!(notes, ["long begins, attempt 1", "lost begins, attempt 2"]);
    let counts = store.admin().counts().await.unwrap();
    assert_eq!((counts.incoming, counts.outgoing, counts.dead_letters), (0, 0, 0));
    app.stop().await.unwrap();
    receiver.stop().await.unwrap();
}

/// What the node owns cannot be listed, and it asks for that after a failed call, and regularly.
#[tokio::test]
async fn what_waits_is_handled_and_sent_although_the_rows_of_the_node_cannot_be_listed() {
    let journal = Journal::default();
    let receiver = Jasper::builder()
        .handler(take_parcel)
        .state(journal.clone())
        .store(MemoryStore::new())
        .listen("durable://127.0.0.1:0")
        .start()
        .await
        .unwrap();
    let faults = Faults::seeded(1)
        .fail("owned", 1.0)
        .fail("outbox_owned", 1.0)
        .fail("claim", 0.5)
        .fail("outbox_claim", 0.5);
    let store = FaultyStore::new(MemoryStore::new(), faults);
    let app = Jasper::builder()
        .store(store.clone())
        .handler(work)
        .state(journal.clone())
        .state(End::new(Semaphore::new(0)))
        .poll_interval(Duration::from_millis(20))
        .lease(Duration::from_millis(900));
    let address = receiver.addresses()[0].to_string();
    let app = app.endpoint("parcels", address).start().await.unwrap();
    let mut asked = (0, 0);
    for number in 0..5 {
        store_for_anybody(&store, number).await;
        journal.wait_for(&format!("work {number} ends")).await;
        journal.wait_for(&format!("parcel {number}")).await;
        // The next ones come once it was asked for again, in vain.
        while store.count("owned") == asked.0 || store.count("outbox_owned") == asked.1 {
            // Real time: the node asks by itself, and nothing says when it has.
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        asked = (store.count("owned"), store.count("outbox_owned"));
    }
    store.calm();
    app.until_idle().await.unwrap();
    app.stop().await.unwrap();
    receiver.stop().await.unwrap();
}

async fn store_for_anybody(store: &dyn MessageStore, number: u32) {
    let payload = |text: String| Bytes::from(format!(r#"{{"text":"{text}"}}"#));
    let mut work = envelope(Work::TYPE, "", "local://work/work");
    work.payload = payload(format!("work {number}"));
    let incoming = Incoming { envelope: work, placement: Placement::Unowned, retention: None };
    assert_eq!(store.inbox().store(vec![incoming]).await.unwrap(), [Inserted::New]);
    let mut parcel = envelope(Parcel::TYPE, "", "endpoint://parcels");
    parcel.payload = payload(format!("parcel {number}"));
    let outgoing = Outgoing { envelope: parcel, owner: None };
    assert_eq!(store.outbox().store(vec![outgoing]).await.unwrap(), [Inserted::New]);
}

/// Rows that the only node owns, as one that a fault without a sign has taken out of its memory.
async fn lose_rows(store: &dyn MessageStore) {
    let owner = store.nodes().alive().await.unwrap()[0].owner;
    let mut lost = envelope(Work::TYPE, r#"{"text":"lost"}"#, "local://work/work");
    lost.attempts = 1;
    let incoming = Incoming { envelope: lost, placement: Placement::Owned(owner), retention: None };
    assert_eq!(store.inbox().store(vec![incoming]).await.unwrap(), [Inserted::New]);
    let parcel = envelope(Parcel::TYPE, r#"{"text":"lost parcel"}"#, "endpoint://parcels");
    let outgoing = Outgoing { envelope: parcel, owner: Some(owner) };
    assert_eq!(store.outbox().store(vec![outgoing]).await.unwrap(), [Inserted::New]);
}

fn envelope(
    message_type: jasper::message::MessageType,
    payload: &'static str,
    destination: &str,
) -> Envelope {
    let payload = Bytes::from_static(payload.as_bytes());
    Envelope::new(message_type, "application/json", payload, destination.parse().unwrap())
}
