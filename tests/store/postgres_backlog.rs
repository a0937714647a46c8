//! A large backlog in PostgreSQL, while a transaction with an old snapshot keeps its dead rows.

#[path = "../postgres_schema.rs"]
mod postgres_schema;

use std::collections::HashSet;
use std::ops::RangeInclusive;
use std::time::{Duration, Instant, UNIX_EPOCH};

use bytes::Bytes;
use jasper::envelope::{Address, Envelope, MessageId};
use jasper::message::MessageType;
use jasper::store::postgres::PostgresStore;
use jasper::store::{
    ClaimRequest, ClaimableRequest, Claimed, Incoming, MessageStore, NextPage, Outgoing,
    OutgoingSettlement, Owner, Ownership, Placement, Settlement, Subscription,
};
use sqlx::{AssertSqlSafe, Connection, PgConnection};
use tests::servers::postgres_url;

use postgres_schema::Schema;

const PAGE: usize = 250;

/// How long what other nodes give back may stay unseen.
const PATIENCE: Duration = Duration::from_secs(20);

/// When the first message was sent.
const FIRST: Duration = Duration::from_secs(1_700_000_000);

const READ: &str = "\
select coalesce(sum(idx_tup_read), 0)::bigint, coalesce(sum(idx_scan), 0)::bigint
from pg_stat_user_indexes where schemaname = $1 and indexrelname = $2";

#[tokio::test]
async fn a_claim_reads_no_more_after_many_others_although_an_old_snapshot_is_open() {
    let (store, schema) = Schema::open().await;
    let mut reader = PgConnection::connect(&postgres_url()).await.unwrap();
    let mut snapshot = reader.begin_with("begin isolation level repeatable read").await.unwrap();
    sqlx::raw_sql("select 1").execute(&mut *snapshot).await.unwrap();
    let rows = 20_000;
    let owner = with_backlog(&store, rows).await;
    store.inbox().claimable(ClaimableRequest::default()).await.unwrap();
    for _ in 0..rows / PAGE {
        assert_eq!(claim(&store, owner, PAGE).await.len(), PAGE);
    }
    drop(store);
    let read = entries_read(&schema, "jasper_incoming_unowned", rows / PAGE).await;
    drop(snapshot);
    assert!(read < 4 * rows as i64, "{read} entries were read for {rows} rows");
}

/// How many entries of this index were read in more than this many scans, once that is known.
async fn entries_read(schema: &Schema, index: &str, scans: usize) -> i64 {
    // Statistics of a session are there once it has ended.
    let mut connection = PgConnection::connect(&postgres_url()).await.unwrap();
    let began = Instant::now();
    loop {
        let read = sqlx::query_as(READ).bind(&schema.name).bind(index);
        let (read, seen): (i64, i64) = read.fetch_one(&mut connection).await.unwrap();
        if seen > scans as i64 {
            return read;
        }
        assert!(began.elapsed() < PATIENCE, "{seen} scans");
        // Real time: the server gives no word of its statistics.
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

#[tokio::test]
async fn a_claim_of_outgoing_rows_reads_no_more_after_many_others_either() {
    let (store, schema) = Schema::open().await;
    let mut reader = PgConnection::connect(&postgres_url()).await.unwrap();
    let mut snapshot = reader.begin_with("begin isolation level repeatable read").await.unwrap();
    sqlx::raw_sql("select 1").execute(&mut *snapshot).await.unwrap();
    let rows = 20_000;
    let owner = with_outgoing(&store, 1..=rows).await;
    assert_eq!(store.outbox().destinations().await.unwrap(), [remote()]);
    for _ in 0..rows as usize / PAGE {
        assert_eq!(send(&store, owner, PAGE).await.len(), PAGE);
    }
    drop(store);
    let index = "jasper_outgoing_unowned";
    let read = entries_read(&schema, index, rows as usize / PAGE).await;
    drop(snapshot);
    assert!(read < 4 * rows as i64, "{read} entries were read for {rows} rows");
}

#[tokio::test]
async fn outgoing_rows_are_found_although_newer_ones_were_claimed() {
    let (store, schema) = Schema::open().await;
    let other = schema.connect().await;
    let owner = with_outgoing(&store, 100..=2_000).await;
    let of_other = other.nodes().join("other", PATIENCE * 10, &[]).await.unwrap().owner;
    let (held, gone) = (claim_out(&other, of_other, 3).await, claim_out(&other, of_other, 2).await);
    let own = claim_out(&store, owner, 2).await;
    store.outbox().destinations().await.unwrap();
    for _ in 0..6 {
        send(&store, owner, PAGE).await;
    }
    let released = |row: &Envelope, owner| OutgoingSettlement::Released(Ownership::of(row, owner));
    let all = held.iter().map(|row| released(row, of_other)).collect();
    other.outbox().settle(all).await.unwrap();
    let all = own.iter().map(|row| released(row, owner)).collect();
    store.outbox().settle(all).await.unwrap();
    other.nodes().leave(of_other).await.unwrap();
    other.outbox().release(of_other, 1_000).await.unwrap();
    // Sent long ago, and stored now: by this store and by another.
    with_outgoing(&store, 1..=1).await;
    with_outgoing(&other, 2..=2).await;
    let returned = held.iter().chain(&gone).chain(&own).map(|row| row.id);
    let mut expected: HashSet<MessageId> = returned.collect();
    let (began, mut old) = (Instant::now(), 0);
    while !expected.is_empty() || old < 2 {
        if store.outbox().destinations().await.unwrap().contains(&remote()) {
            for row in send(&store, owner, 1).await {
                expected.remove(&row.id);
                old += usize::from(row.sent_at < UNIX_EPOCH + FIRST + Duration::from_secs(100));
            }
        }
        assert!(began.elapsed() < PATIENCE, "{expected:?} are not found, and {old} old ones");
        // Real time: a store looks at intervals for what others have given back.
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

/// A node, and rows with these numbers that wait to be sent.
async fn with_outgoing(store: &PostgresStore, rows: RangeInclusive<u64>) -> Owner {
    let row = |number| {
        let mut envelope = envelope(number);
        envelope.destination = remote();
        Outgoing { envelope, owner: None }
    };
    let all = rows.map(row).collect();
    store.outbox().store(all).await.unwrap();
    store.nodes().join("test", PATIENCE * 10, &[]).await.unwrap().owner
}

async fn claim_out(store: &PostgresStore, owner: Owner, limit: usize) -> Vec<Envelope> {
    store.outbox().claim(owner, &remote(), limit).await.unwrap()
}

/// Claims rows, and settles them as sent.
async fn send(store: &PostgresStore, owner: Owner, limit: usize) -> Vec<Envelope> {
    let claimed = claim_out(store, owner, limit).await;
    let sent = claimed.iter().map(|row| OutgoingSettlement::Sent(Ownership::of(row, owner)));
    store.outbox().settle(sent.collect()).await.unwrap();
    claimed
}

fn remote() -> Address {
    "endpoint://remote".parse().unwrap()
}

#[tokio::test]
async fn what_another_node_gives_back_is_found_although_newer_rows_were_claimed() {
    let (store, schema) = Schema::open().await;
    let other = schema.connect().await;
    let owner = with_backlog(&store, 2_000).await;
    let of_other = other.nodes().join("other", PATIENCE * 10, &[]).await.unwrap().owner;
    let (held, gone) = (claim(&other, of_other, 3).await, claim(&other, of_other, 2).await);
    look_and_claim(&store, owner, 1).await;
    for _ in 0..6 {
        look_and_claim(&store, owner, PAGE).await;
    }
    let mut expected: HashSet<MessageId> =
        held.iter().chain(&gone).map(|row| row.ownership.id).collect();
    for row in held {
        let release = Settlement::Release { ownership: row.ownership, attempt_began: true };
        other.inbox().settle(vec![release]).await.unwrap();
    }
    other.nodes().leave(of_other).await.unwrap();
    other.inbox().release(of_other, 1_000).await.unwrap();
    // By hand, as an operator does.
    let late = envelope(0);
    let insert = format!(
        "insert into {}.jasper_incoming (id, destination, status, owner, attempts, message_type,
            body, sent_at) select $1, destination, status, 0, 0, message_type, $2, 0
        from {}.jasper_incoming limit 1",
        schema.name, schema.name
    );
    let insert = sqlx::query(AssertSqlSafe(insert)).bind(late.id.as_uuid());
    insert.bind(&late.to_bytes()[..]).execute(store.pool()).await.unwrap();
    expected.insert(late.id);
    let began = Instant::now();
    while !expected.is_empty() {
        for row in look_and_claim(&store, owner, 1).await {
            expected.remove(&row.ownership.id);
        }
        assert!(began.elapsed() < PATIENCE, "{expected:?} are not found");
        // Real time: a store looks at intervals for what others have given back.
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

/// A node with this many rows that wait for it.
async fn with_backlog(store: &PostgresStore, rows: usize) -> Owner {
    let all: Vec<_> = (1..=rows as u64).map(|n| unowned(envelope(n))).collect();
    store.inbox().store(all).await.unwrap();
    store.nodes().join("test", PATIENCE * 10, &takes()).await.unwrap().owner
}

async fn claim(store: &PostgresStore, owner: Owner, limit: usize) -> Vec<Claimed> {
    let request = ClaimRequest { owner, subscriptions: takes(), limit, count_attempt: true };
    store.inbox().claim(request).await.unwrap()
}

async fn look_and_claim(store: &PostgresStore, owner: Owner, limit: usize) -> Vec<Claimed> {
    let subscriptions = store.inbox().claimable(ClaimableRequest::default()).await.unwrap().now;
    store
        .inbox()
        .claim(ClaimRequest { owner, subscriptions, limit, count_attempt: true })
        .await
        .unwrap()
}

fn takes() -> Vec<Subscription> {
    let message_type = message_type().to_string();
    vec![Subscription { destination: destination(), message_type }]
}

fn destination() -> Address {
    Address::local("queue", "handler")
}

fn message_type() -> MessageType {
    MessageType::new("test.message", 1)
}

/// Sent one second after another.
fn envelope(order: u64) -> Envelope {
    let payload = Bytes::from_static(b"{}");
    let mut envelope = Envelope::new(message_type(), "application/json", payload, destination());
    envelope.sent_at = UNIX_EPOCH + FIRST + Duration::from_secs(order);
    envelope
}

fn unowned(envelope: Envelope) -> Incoming {
    Incoming { envelope, placement: Placement::Unowned, retention: None }
}

/// Else a node would take what waits on other pages for gone, again and again.
#[tokio::test]
async fn a_look_past_what_is_taken_says_that_it_has_seen_no_page() {
    let (store, _schema) = Schema::open().await;
    let rows = 1_500;
    let owner = with_backlog(&store, rows).await;
    store.inbox().claimable(ClaimableRequest::default()).await.unwrap();
    for _ in 0..5 {
        assert_eq!(claim(&store, owner, 250).await.len(), 250);
    }
    let mut unseen = 0;
    // Now and then a look begins at the start.
    for _ in 0..100 {
        let seen = store.inbox().claimable(ClaimableRequest::default()).await.unwrap();
        assert_eq!(seen.now, takes());
        match seen.next_page {
            NextPage::First => {}
            NextPage::Unseen => unseen += 1,
            NextPage::After(last) => panic!("the page of {last:?} is not full"),
        }
    }
    assert!(unseen > 0, "some looks begin past what is taken");
}

/// Else it would be asked again and again, and never be answered.
#[tokio::test]
async fn after_a_full_look_without_an_answer_the_next_one_begins_past_what_is_taken() {
    let (store, schema) = Schema::open().await;
    let owner = with_backlog(&store, 10).await;
    // The limit of a statement follows the lease.
    store.nodes().join("short", Duration::from_secs(1), &takes()).await.unwrap();
    assert_eq!(look_and_claim(&store, owner, 5).await.len(), 5);
    let mut other = PgConnection::connect(&postgres_url()).await.unwrap();
    let mut transaction = other.begin().await.unwrap();
    let lock = format!("lock table {}.jasper_incoming in access exclusive mode", schema.name);
    sqlx::raw_sql(AssertSqlSafe(lock)).execute(&mut *transaction).await.unwrap();
    store.inbox().claimable(ClaimableRequest::default()).await.unwrap_err();
    transaction.rollback().await.unwrap();
    let look = store.inbox().claimable(ClaimableRequest::default()).await.unwrap();
    assert_eq!((look.now, look.next_page), (takes(), NextPage::Unseen));
    assert_eq!(claim(&store, owner, 9).await.len(), 5);
}
