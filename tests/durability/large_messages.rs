//! Many large messages at once take little memory beside their own, on every store.
//!
//! Each test is a process of its own, whose largest size is looked at.

use std::time::Duration;

use bytes::Bytes;
use jasper::envelope::{Address, Envelope};
use jasper::message::MessageType;
use jasper::prelude::{MysqlStore, PostgresStore, SqliteStore};
use jasper::store::{
    ClaimRequest, ClaimableRequest, Completion, Incoming, Inserted, MessageStore, Placement,
    Settled, TransactionOptions,
};
use tests::Fixture;
use tests::servers::{new_mariadb_database, new_postgres_database};

const ROWS: usize = 100;

const LARGE: usize = 2 << 20;

/// A fraction of what the messages have together.
const MOST: u64 = 96 << 20;

/// All share one payload, so that what is measured is the store's.
fn rows() -> Vec<Incoming> {
    let payload = Bytes::from(vec![b'7'; LARGE]);
    let row = |_| {
        let to = Address::local("large", "handler");
        let message_type = MessageType::new("large.message", 1);
        let envelope = Envelope::new(message_type, "text/plain", payload.clone(), to);
        Incoming { envelope, placement: Placement::Unowned, retention: None }
    };
    (0..ROWS).map(row).collect()
}

/// The most memory that this process has had, in bytes.
fn peak() -> u64 {
    tests::memory::peak_kib(std::process::id()) * 1024
}

async fn store_commit_and_claim(store: &impl MessageStore) {
    store.admin().prepare().await.unwrap();
    let node = store.nodes().join("large", Duration::from_secs(3600), &[]).await.unwrap();
    let stored = store.inbox().store(rows()).await.unwrap();
    assert_eq!(stored, vec![Inserted::New; ROWS]);
    assert!(peak() < MOST, "stored: {} MiB", peak() >> 20);

    let transaction = store.begin(TransactionOptions::of("large")).await.unwrap();
    let completion = Completion { incoming: rows(), ..Completion::default() };
    assert_eq!(transaction.commit(completion).await.unwrap().settled, Settled::Done);
    assert!(peak() < MOST, "committed: {} MiB", peak() >> 20);

    let mut claimed = 0;
    while claimed < 2 * ROWS {
        let subscriptions = store.inbox().claimable(ClaimableRequest::default()).await.unwrap().now;
        let request =
            ClaimRequest { owner: node.owner, subscriptions, limit: 250, count_attempt: true };
        claimed += store.inbox().claim(request).await.unwrap().len();
    }
    println!("{} MiB", peak() >> 20);
    assert!(peak() < MOST, "claimed: {} MiB", peak() >> 20);
}

#[tokio::test]
async fn on_postgres() {
    let url = new_postgres_database("large").await;
    store_commit_and_claim(&PostgresStore::connect(&url).await.unwrap()).await;
}

#[tokio::test]
async fn on_mariadb() {
    let url = new_mariadb_database("large").await;
    store_commit_and_claim(&MysqlStore::connect(&url).await.unwrap()).await;
}

#[tokio::test]
async fn on_sqlite() {
    let fixture = Fixture::create();
    let store: SqliteStore = fixture.store().await;
    store_commit_and_claim(&store).await;
}
