//! Stored messages whose handlers write nothing are settled many at a time, and none of them
//! spoils another.

#[path = "../postgres_schema.rs"]
mod postgres_schema;

use std::collections::BTreeSet;
use std::sync::Arc;

use bytes::Bytes;
use jasper::envelope::{Address, Envelope};
use jasper::message::Message;
use jasper::prelude::*;
use jasper::store::memory::MemoryStore;
use jasper::store::{Incoming, MessageStore, Placement};
use jasper::testing::{Faults, FaultyStore};
use postgres_schema::Schema;
use serde::{Deserialize, Serialize};
use sqlx::AssertSqlSafe;
use tests::Journal;
use tokio::sync::Semaphore;

#[derive(Command, Serialize, Deserialize)]
#[command(name = "together.work")]
struct Work {
    number: u32,
}

/// Writes nothing, so that its row is settled after it.
#[handler(queue = "together")]
async fn work(cmd: Work, gate: State<Arc<Semaphore>>, journal: State<Journal>) {
    journal.note(format!("began {}", cmd.number));
    gate.acquire().await.unwrap().forget();
    journal.note(cmd.number.to_string());
}

fn row(number: u32) -> Incoming {
    let payload = Bytes::from(format!(r#"{{"number":{number}}}"#));
    let place = Address::local("together", "work");
    let envelope = Envelope::new(Work::TYPE, "application/json", payload, place);
    Incoming { envelope, placement: Placement::Unowned, retention: None }
}

async fn fill(store: &impl MessageStore, count: u32) {
    let rows: Vec<_> = (0..count).map(row).collect();
    for page in rows.chunks(500) {
        store.inbox().store(page.to_vec()).await.unwrap();
    }
}

struct Node {
    app: Jasper,
    gate: Arc<Semaphore>,
    journal: Journal,
}

impl Node {
    async fn start(store: impl MessageStore, at_once: usize) -> Self {
        let (gate, journal) = (Arc::new(Semaphore::new(0)), Journal::default());
        let app = Jasper::builder()
            .store(store)
            .state(Arc::clone(&gate))
            .state(journal.clone())
            .queue("together", QueueOptions::new().concurrency(at_once))
            .handler(work)
            .start()
            .await
            .unwrap();
        Self { app, gate, journal }
    }

    /// What was handled, which nothing was twice.
    fn handled(&self) -> BTreeSet<String> {
        let notes = self.journal.notes().into_iter().filter(|note| !note.starts_with("began"));
        let all: Vec<_> = notes.collect();
        let once: BTreeSet<_> = all.iter().cloned().collect();
        assert_eq!(once.len(), all.len(), "some were handled twice: {all:?}");
        once
    }
}

/// The clock stands still, so that a look can only come for another reason than the time.
#[tokio::test(start_paused = true)]
async fn a_backlog_is_worked_off_by_many_claims_for_a_look() {
    let store = FaultyStore::new(MemoryStore::new(), Faults::seeded(1));
    fill(&store, 20_000).await;
    let node = Node::start(store.clone(), 5).await;
    node.gate.add_permits(20_000);
    node.app.until_idle().await.unwrap();
    assert_eq!(node.handled().len(), 20_000);
    let (claims, looks) = (store.calls("claim"), store.calls("claimable"));
    assert!(claims >= 80 && looks * 8 <= claims, "{claims} claims and {looks} looks");
    let settlements = store.calls("settle");
    assert!(settlements <= 10_000, "{settlements} calls for 20,000 messages");
    node.app.stop().await.unwrap();
}

#[tokio::test]
async fn settlements_that_fail_are_repeated_and_no_handler_runs_again() {
    for seed in 1..=5 {
        let faults = Faults::seeded(seed).fail("settle", 0.3).fail_after("settle", 0.3);
        let store = FaultyStore::new(MemoryStore::new(), faults);
        fill(&store, 1_000).await;
        let node = Node::start(store.clone(), 5).await;
        node.gate.add_permits(1_000);
        node.app.until_idle().await.unwrap();
        assert_eq!(node.handled().len(), 1_000, "seed {seed}");
        assert!(store.injected().contains_key("settle"), "seed {seed} has failed nothing");
        node.app.stop().await.unwrap();
    }
}

#[tokio::test]
async fn a_row_that_is_locked_keeps_no_other_from_being_settled() {
    const ROWS: u32 = 50;
    let (store, schema) = Schema::open().await;
    fill(&store, ROWS).await;
    let node = Node::start(schema.connect().await, ROWS as usize).await;
    for number in 0..ROWS {
        node.journal.wait_for(&format!("began {number}")).await;
    }
    let table = format!("{}.jasper_incoming", schema.name);
    let lock = format!("select 1 from {table} order by sent_at, id limit 1 for update");
    let mut other = store.pool().begin().await.unwrap();
    sqlx::raw_sql(AssertSqlSafe(lock)).execute(&mut *other).await.unwrap();
    node.gate.add_permits(ROWS as usize);
    let left = format!("select count(*) from {table}");
    let left = async || {
        let count = sqlx::query_scalar::<_, i64>(AssertSqlSafe(left.clone()));
        count.fetch_one(store.pool()).await.unwrap()
    };
    while left().await > 1 {
        tokio::task::yield_now().await;
    }
    assert_eq!(left().await, 1, "the row is locked");
    other.rollback().await.unwrap();
    node.app.until_idle().await.unwrap();
    assert_eq!((left().await, node.handled().len()), (0, ROWS as usize));
    node.app.stop().await.unwrap();
}

#[derive(Command, Serialize, Deserialize)]
#[command(name = "together.beside")]
struct Beside {
    number: u32,
}

/// Of a queue of its own, with little room.
#[handler(queue = "beside")]
#[durable]
async fn beside(cmd: Beside, journal: State<Journal>) {
    journal.note(format!("beside {}", cmd.number));
}

/// The clock stands still, and goes on only where nothing else does: to the next look, for example.
#[tokio::test(start_paused = true)]
async fn a_backlog_without_room_keeps_no_other_queue_waiting_for_the_next_look() {
    let store = MemoryStore::new();
    fill(&store, 100).await;
    let (gate, journal) = (Arc::new(Semaphore::new(0)), Journal::default());
    let app = Jasper::builder()
        .store(store)
        .state(Arc::clone(&gate))
        .state(journal.clone())
        .queue("together", QueueOptions::new().concurrency(1).capacity(2))
        .queue("beside", QueueOptions::new().concurrency(1).capacity(2))
        .handler(work)
        .handler(beside)
        .start()
        .await
        .unwrap();
    for round in 0..20 {
        // One goes, so that the backlog is worked off while the others come.
        gate.add_permits(1);
        let began = tokio::time::Instant::now();
        for number in 0..10 {
            app.bus().send(Beside { number: round * 10 + number }).await.unwrap();
        }
        for number in 0..10 {
            journal.wait_for(&format!("beside {}", round * 10 + number)).await;
        }
        let took = began.elapsed();
        assert!(took < std::time::Duration::from_millis(500), "round {round}: {took:?}");
    }
    gate.add_permits(100);
    app.until_idle().await.unwrap();
    app.stop().await.unwrap();
}
