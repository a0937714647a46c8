//! Rows that something else than this library has written, or a newer version of it: each spoils
//! only itself, whatever the database.

#[path = "../mariadb_database.rs"]
mod mariadb_database;
#[path = "../postgres_schema.rs"]
mod postgres_schema;

use std::time::Duration;

use bytes::Bytes;
use jasper::envelope::{Address, Envelope};
use jasper::message::{Message, MessageType};
use jasper::prelude::*;
use jasper::store::memory::MemoryStore;
use jasper::store::mysql::MysqlStore;
use jasper::store::postgres::PostgresStore;
use jasper::store::{
    DeadLetter, DeadLetterId, DeadLetterQuery, DeadLetterReason, Incoming, MessageStore, Outgoing,
    Placement,
};
use mariadb_database::Database;
use postgres_schema::Schema;
use serde::{Deserialize, Serialize};
use sqlx::AssertSqlSafe;
use tests::{Fixture, Journal};

#[derive(Command, Serialize, Deserialize)]
#[command(name = "spoiled-rows.work")]
struct Work {
    text: String,
}

#[derive(Command, Serialize, Deserialize)]
#[command(name = "spoiled-rows.parcel", to = "parcels")]
struct Parcel {
    text: String,
}

#[handler(attempts = 3)]
async fn work(cmd: Work, journal: State<Journal>) {
    journal.note(cmd.text);
}

#[handler]
async fn take_parcel(cmd: Parcel, journal: State<Journal>) {
    journal.note(cmd.text);
}

/// A store whose tables are written by hand.
trait ByHand: MessageStore + Clone {
    async fn execute(&self, sql: &str);
}

macro_rules! by_hand {
    ($($store:ty),+) => {$(
        impl ByHand for $store {
            async fn execute(&self, sql: &str) {
                let done = sqlx::raw_sql(AssertSqlSafe(sql.to_owned())).execute(self.pool()).await;
                done.unwrap_or_else(|error| panic!("{sql}: {error}"));
            }
        }
    )+};
}

by_hand!(SqliteStore, PostgresStore, MysqlStore);

/// What is written into the row of a message that is handled all the same.
const HARMLESS: [(&str, &str); 8] = [
    ("type", "message_type = 'no type at all'"),
    ("owner", "owner = 4611686018427387904"),
    ("old", "sent_at = -9223372036854775808"),
    ("new", "sent_at = 9223372036854775807"),
    ("early", "status = 'scheduled', due_at = -9223372036854775808"),
    ("kept", "retention = 9223372036854775807"),
    ("forgotten", "retention = -9223372036854775808"),
    ("moved", "destination = 'local://work/old_name'"),
];

/// What cannot be handled, and why.
const HARMFUL: [(&str, &str, DeadLetterReason); 3] = [
    ("nowhere", "destination = 'nowhere'", DeadLetterReason::UnknownType),
    ("worn", "attempts = 5000000000", DeadLetterReason::Exhausted),
    ("cut", "body = substring(body, 1, 3)", DeadLetterReason::Undecodable),
];

#[tokio::test]
async fn sqlite_rows_that_are_spoiled_spoil_no_other() {
    let fixture = Fixture::create();
    let store = fixture.store().await;
    store.admin().prepare().await.unwrap();
    let not_utf8 = [("bytes", "message_type = cast(x'ff41' as text)")];
    let takes = "cast(x'ff0a41' as text)";
    spoil_no_other(store, &not_utf8, takes).await;
}

#[tokio::test]
async fn sqlite_destinations_that_are_no_text_spoil_no_other() {
    let fixture = Fixture::create();
    let store = fixture.store().await;
    store.admin().prepare().await.unwrap();
    put(&store, "lost").await;
    put(&store, "good").await;
    put_out(&store, "lost parcel").await;
    for table in ["jasper_incoming", "jasper_outgoing"] {
        let spoil = "destination = cast(x'ff41' as text) where correlation_id like 'lost%'";
        store.execute(&format!("update {table} set {spoil}")).await;
    }
    let (journal, letters) = run(&store, &["good"]).await;
    assert_eq!(journal, ["good"]);
    assert_eq!(letters.len(), 2);
    for letter in letters {
        assert_eq!(letter.id.destination.as_str(), "\u{FFFD}A");
    }
}

#[tokio::test]
async fn postgres_rows_that_are_spoiled_spoil_no_other() {
    let (store, schema) = Schema::open().await;
    spoil_no_other(store, &[], "'gibberish'").await;
    drop(schema);
}

#[tokio::test]
async fn mariadb_rows_that_are_spoiled_spoil_no_other() {
    let database = Database::create().await;
    let store = MysqlStore::connect(database.url()).await.unwrap();
    store.admin().prepare().await.unwrap();
    spoil_no_other(store, &[], "'gibberish'").await;
}

async fn spoil_no_other(store: impl ByHand, more: &[(&str, &str)], takes: &str) {
    let harmless = HARMLESS.iter().chain(more);
    let harmful = HARMFUL.map(|(text, change, _)| (text, change));
    for (text, change) in harmless.clone().chain(&harmful) {
        put(&store, text).await;
        let update = format!("update jasper_incoming set {change} where correlation_id = '{text}'");
        store.execute(&update).await;
    }
    for (text, change) in [("far", "destination = 'nowhere'"), ("often", "attempts = 5000000000")] {
        put_out(&store, text).await;
        let update = format!("update jasper_outgoing set {change} where correlation_id = '{text}'");
        store.execute(&update).await;
    }
    let node = format!("values ('odd', 9223372036854775807, {takes})");
    store.execute(&format!("insert into jasper_nodes (name, lease_until, takes) {node}")).await;
    put(&store, "good").await;
    put_out(&store, "good parcel").await;
    let mut handled = vec!["good", "good parcel", "often"];
    handled.extend(harmless.map(|(text, _)| text));
    handled.sort_unstable();
    let (journal, letters) = run(&store, &handled).await;
    assert_eq!(journal, handled);
    let reason_of = |text: &str| {
        let of_text = |letter: &&DeadLetter| text_of(letter).as_deref() == Some(text);
        letters.iter().find(of_text).map(|letter| letter.reason)
    };
    assert_eq!(letters.len(), HARMFUL.len() + 1, "{letters:?}");
    assert_eq!(reason_of("far"), Some(DeadLetterReason::Refused));
    assert_eq!(reason_of("nowhere"), Some(DeadLetterReason::UnknownType));
    assert_eq!(reason_of("worn"), Some(DeadLetterReason::Exhausted));
    assert!(letters.iter().any(|letter| letter.reason == DeadLetterReason::Undecodable));
    odd_letters_are_listed(&store, letters).await;
}

#[tokio::test]
async fn sqlite_rows_of_a_living_node_that_are_spoiled_are_given_back() {
    let fixture = Fixture::create();
    are_given_back(fixture.store().await).await;
}

#[tokio::test]
async fn postgres_rows_of_a_living_node_that_are_spoiled_are_given_back() {
    let (store, schema) = Schema::open().await;
    are_given_back(store).await;
    drop(schema);
}

#[tokio::test]
async fn mariadb_rows_of_a_living_node_that_are_spoiled_are_given_back() {
    let database = Database::create().await;
    are_given_back(MysqlStore::connect(database.url()).await.unwrap()).await;
}

/// Although the node that owns them does not know of them, and can read only a part.
async fn are_given_back(store: impl ByHand) {
    let journal = Journal::default();
    let app = Jasper::builder()
        .store(store.clone())
        .handler(work)
        .state(journal.clone())
        .lease(Duration::from_secs(2))
        .unhandled_timeout(Duration::ZERO)
        .start()
        .await
        .unwrap();
    let owner = store.nodes().alive().await.unwrap()[0].owner;
    for text in ["nowhere", "worn", "good"] {
        let envelope = envelope(Work::TYPE, text, Address::local("work", "work"));
        let row = Incoming { envelope, placement: Placement::Owned(owner), retention: None };
        store.inbox().store(vec![row]).await.unwrap();
    }
    for (text, change, _) in HARMFUL.iter().take(2) {
        let update = format!("update jasper_incoming set {change} where correlation_id = '{text}'");
        store.execute(&update).await;
    }
    journal.wait_for("good").await;
    app.until_idle().await.unwrap();
    let counts = store.admin().counts().await.unwrap();
    assert_eq!((counts.incoming, counts.dead_letters), (0, 2));
    app.stop().await.unwrap();
}

/// They are what a newer version may have written, or a mistake.
async fn odd_letters_are_listed(store: &impl ByHand, before: Vec<DeadLetter>) {
    let changes = "reason = 'too_new', attempts = 5000000000, \
                   dead_lettered_at = -9223372036854775808, \
                   destination = 'no place', message_type = 'no type'";
    let worn = format!("update jasper_dead_letters set {changes} where correlation_id = 'worn'");
    store.execute(&worn).await;
    let letters = letters(store).await;
    assert_eq!(letters.len(), before.len());
    let odd = letters.iter().find(|letter| letter.reason == DeadLetterReason::Unknown).unwrap();
    assert_eq!((odd.id.destination.as_str(), odd.attempts), ("no place", u32::MAX));
    let ids: Vec<DeadLetterId> = letters.iter().map(|letter| letter.id.clone()).collect();
    let discarded = store.dead_letters().discard(ids).await.unwrap();
    assert_eq!(discarded, letters.len() as u64);
}

fn text_of(letter: &DeadLetter) -> Option<String> {
    Envelope::from_bytes(&letter.body).ok()?.correlation_id
}

async fn letters(store: &dyn MessageStore) -> Vec<DeadLetter> {
    store.dead_letters().list(DeadLetterQuery::default()).await.unwrap()
}

/// Runs an application until these are handled and it is idle; gives what was handled, and letters.
async fn run(store: &impl ByHand, handled: &[&str]) -> (Vec<String>, Vec<DeadLetter>) {
    let journal = Journal::default();
    let receiver = Jasper::builder()
        .handler(take_parcel)
        .state(journal.clone())
        .store(MemoryStore::new())
        .listen("durable://127.0.0.1:0")
        .start()
        .await
        .unwrap();
    let app = Jasper::builder()
        .store(store.clone())
        .handler(work)
        .state(journal.clone())
        .endpoint("parcels", receiver.addresses()[0].to_string());
    // What one look leaves is there for the next.
    let app = app
        .lease(Duration::from_secs(3))
        .poll_interval(Duration::from_millis(100))
        .unhandled_timeout(Duration::ZERO)
        .start()
        .await
        .unwrap();
    for text in handled {
        journal.wait_for(text).await;
    }
    app.until_idle().await.unwrap();
    let counts = store.admin().counts().await.unwrap();
    assert_eq!((counts.incoming, counts.scheduled, counts.outgoing), (0, 0, 0));
    is_at_rest().await;
    app.stop().await.unwrap();
    receiver.stop().await.unwrap();
    (journal.sorted(), letters(store).await)
}

/// Nothing is tried over and over again without a pause.
async fn is_at_rest() {
    let before = ticks();
    // Real time: it is the time of the processor that is measured.
    tokio::time::sleep(Duration::from_millis(500)).await;
    let used = ticks() - before;
    assert!(used < 25, "it has used {used} of 50 ticks");
}

/// Of the processor, for this process: hundredths of a second; none where the system does not tell.
fn ticks() -> u64 {
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap_or_default();
    let fields = stat.rsplit(')').next().unwrap_or_default().split_whitespace();
    fields.skip(11).take(2).filter_map(|ticks| ticks.parse::<u64>().ok()).sum()
}

async fn put(store: &dyn MessageStore, text: &str) {
    let place = Address::local("work", "work");
    let envelope = envelope(Work::TYPE, text, place);
    let row = Incoming { envelope, placement: Placement::Unowned, retention: None };
    store.inbox().store(vec![row]).await.unwrap();
}

async fn put_out(store: &dyn MessageStore, text: &str) {
    let envelope = envelope(Parcel::TYPE, text, Address::endpoint("parcels"));
    store.outbox().store(vec![Outgoing { envelope, owner: None }]).await.unwrap();
}

fn envelope(message_type: MessageType, text: &str, place: Address) -> Envelope {
    let payload = Bytes::from(format!(r#"{{"text":"{text}"}}"#));
    let mut envelope = Envelope::new(message_type, "application/json", payload, place);
    envelope.correlation_id = Some(text.to_owned());
    envelope
}
