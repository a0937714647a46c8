//! Rows of the outbox whose bytes are no envelope: they keep no other from being sent, and lie with
//! the invalid messages, whatever the database.

#[path = "../mariadb_database.rs"]
mod mariadb_database;
#[path = "../postgres_schema.rs"]
mod postgres_schema;

use jasper::envelope::{Address, Envelope};
use jasper::message::MessageType;
use jasper::store::mysql::MysqlStore;
use jasper::store::sqlite::SqliteStore;
use jasper::store::{
    DeadLetterQuery, DeadLetterReason, Inserted, MessageStore, Outgoing, Owner, Ownership,
};
use mariadb_database::Database;
use postgres_schema::Schema;
use tempfile::TempDir;

const SPOIL_ALL: &str = "update jasper_outgoing set body = substring(body, 1, 3)";

#[tokio::test]
async fn sqlite_buries_an_outgoing_row_that_cannot_be_read() {
    let folder = TempDir::new().unwrap();
    let store = SqliteStore::open(folder.path().join("test.db")).await.unwrap();
    store.admin().prepare().await.unwrap();
    let unreadable = store_two(&store).await;
    sqlx::query(SPOIL_ALL).execute(store.pool()).await.unwrap();
    become_dead_letters(&store, unreadable).await;
}

#[tokio::test]
async fn postgres_buries_an_outgoing_row_that_cannot_be_read() {
    let (store, _schema) = Schema::open().await;
    let unreadable = store_two(&store).await;
    sqlx::query(SPOIL_ALL).execute(store.pool()).await.unwrap();
    become_dead_letters(&store, unreadable).await;
}

#[tokio::test]
async fn mariadb_buries_an_outgoing_row_that_cannot_be_read() {
    let database = Database::create().await;
    let store = MysqlStore::connect(database.url()).await.unwrap();
    store.admin().prepare().await.unwrap();
    let unreadable = store_two(&store).await;
    sqlx::query(SPOIL_ALL).execute(store.pool()).await.unwrap();
    become_dead_letters(&store, unreadable).await;
}

async fn store_two(store: &dyn MessageStore) -> [Envelope; 2] {
    let envelopes = [tried(3), tried(0)];
    for envelope in envelopes.clone() {
        let row = Outgoing { envelope, owner: None };
        assert_eq!(store.outbox().store(vec![row]).await.unwrap(), [Inserted::New]);
    }
    envelopes
}

async fn become_dead_letters(store: &dyn MessageStore, unreadable: [Envelope; 2]) {
    let owner = Owner::new(1);
    let readable = tried(1);
    let row = Outgoing { envelope: readable.clone(), owner: None };
    store.outbox().store(vec![row]).await.unwrap();
    let claimed = store.outbox().claim(owner, &readable.destination, 10).await.unwrap();
    assert!(claimed == std::slice::from_ref(&readable));
    let held = store.outbox().owned(owner, 10).await.unwrap();
    assert_eq!(held, [Ownership::of(&readable, owner)]);
    assert_eq!(store.admin().counts().await.unwrap().outgoing, 1);
    let letters = store.dead_letters().list(DeadLetterQuery::default()).await.unwrap();
    assert_eq!(letters.len(), 2);
    for envelope in unreadable {
        let letter = letters.iter().find(|letter| letter.id.id == envelope.id).unwrap();
        assert_eq!(letter.id.destination, envelope.destination);
        assert_eq!(letter.reason, DeadLetterReason::Undecodable);
        assert!(letter.error_type.ends_with("DecodeError"), "{}", letter.error_type);
        assert!(!letter.error_message.is_empty());
        assert_eq!(letter.attempts, envelope.attempts);
        assert_eq!(letter.body, envelope.to_bytes()[..3]);
    }
}

fn tried(attempts: u32) -> Envelope {
    let place: Address = "tcp://host:5580".parse().unwrap();
    let message_type = MessageType::new("unreadable.message", 1);
    let mut envelope = Envelope::new(message_type, "text/plain", "hello".into(), place);
    envelope.attempts = attempts;
    envelope
}
