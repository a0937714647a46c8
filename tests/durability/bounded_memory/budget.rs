//! The bytes that a process holds, over all queues and endpoints.

use std::sync::Arc;
use std::time::Duration;

use futures_util::FutureExt;
use jasper::prelude::*;
use jasper::runtime::Builder;
use serde::{Deserialize, Serialize};
use tests::{Fixture, Journal};
use tokio::sync::Semaphore;

const KIB: usize = 1024;
const BUDGET: usize = 1024 * KIB;

/// Handlers wait until the test lets them go on.
#[derive(Clone)]
struct Gate(Arc<Semaphore>);

impl Gate {
    async fn pass(&self) {
        self.0.acquire().await.unwrap().forget();
    }

    fn open(&self) {
        self.0.add_permits(10_000);
    }
}

#[derive(Command, Serialize, Deserialize)]
struct Held {
    text: String,
}

impl Held {
    fn of(size: usize) -> Self {
        Self { text: "x".repeat(size) }
    }
}

#[handler(queue = "held")]
async fn hold(cmd: Held, gate: State<Gate>, journal: State<Journal>) {
    journal.note(format!("held {}", cmd.text.len()));
    gate.pass().await;
    journal.note("let go");
}

#[derive(Command, Serialize, Deserialize)]
struct Kept {
    text: String,
}

impl Kept {
    fn of(size: usize) -> Self {
        Self { text: "x".repeat(size) }
    }
}

#[handler(queue = "kept")]
#[durable]
async fn keep(cmd: Kept, gate: State<Gate>, journal: State<Journal>) {
    journal.note(format!("kept {}", cmd.text.len()));
    gate.pass().await;
}

#[derive(Command, Serialize, Deserialize)]
struct Other {
    text: String,
}

#[handler(queue = "other")]
async fn other(_cmd: Other, journal: State<Journal>) {
    journal.note("other");
}

#[derive(Command, Serialize, Deserialize)]
#[command(to = "down")]
struct Away {
    text: String,
}

struct Stage {
    gate: Gate,
    journal: Journal,
}

impl Stage {
    fn new() -> Self {
        Self { gate: Gate(Arc::new(Semaphore::new(0))), journal: Journal::default() }
    }

    fn builder(&self) -> Builder {
        // What a closed gate keeps is not waited for.
        let builder = Jasper::builder().memory_budget(BUDGET).drain_timeout(Duration::ZERO);
        builder.state(self.gate.clone()).state(self.journal.clone())
    }
}

/// How many rows are in memory.
async fn owned(fixture: &Fixture) -> i64 {
    let owned = "select count(*) from jasper_incoming where owner > 0";
    sqlx::query_scalar(owned).fetch_one(fixture.store().await.pool()).await.unwrap()
}

/// How many of these are accepted without a wait.
async fn accepted_at_once(app: &Jasper, size: usize, most: usize) -> usize {
    for number in 0..most {
        let sent = tokio::task::unconstrained(app.bus().send(Held::of(size)).into_future());
        match sent.now_or_never() {
            Some(sent) => _ = sent.unwrap(),
            None => return number,
        }
    }
    most
}

#[tokio::test]
async fn a_sender_of_messages_in_memory_waits_for_bytes() {
    let stage = Stage::new();
    let app = stage.builder().handler(hold).handler(other).start().await.unwrap();
    // Of 100 KiB each, as many as leave as much free as they take.
    assert_eq!(accepted_at_once(&app, 100 * KIB, 20).await, 5);
    let bus = app.bus().clone();
    let waiting = tokio::spawn(async move { bus.send(Held::of(100 * KIB)).await });
    // Others have what is left, and one message in any case.
    app.bus().send(Other { text: "x".repeat(100 * KIB) }).await.unwrap();
    stage.journal.wait_for("other").await;
    app.bus().send(Other { text: "x".repeat(2 * BUDGET) }).await.unwrap();
    assert!(!waiting.is_finished());
    stage.gate.open();
    waiting.await.unwrap().unwrap();
    app.until_idle().await.unwrap();
    assert_eq!(accepted_at_once(&app, 100 * KIB, 4).await, 4, "all of it was given back");
    app.stop().await.unwrap();
}

#[tokio::test]
async fn a_message_larger_than_the_budget_passes_alone() {
    let stage = Stage::new();
    let app = stage.builder().handler(hold).start().await.unwrap();
    let bus = app.bus().clone();
    app.bus().send(Held::of(1)).await.unwrap();
    let large = tokio::spawn(async move { bus.send(Held::of(3 * BUDGET)).await });
    stage.journal.wait_for("held 1").await;
    assert!(!large.is_finished());
    stage.gate.0.add_permits(1);
    large.await.unwrap().unwrap();
    stage.journal.wait_for(&format!("held {}", 3 * BUDGET)).await;
    stage.gate.open();
    app.until_idle().await.unwrap();
    app.stop().await.unwrap();
}

#[tokio::test]
async fn stored_messages_wait_in_the_store_for_bytes() {
    let (stage, fixture) = (Stage::new(), Fixture::create());
    let app = stage
        .builder()
        .store(fixture.store().await)
        .handler(keep)
        .poll_interval(Duration::from_millis(20))
        .start()
        .await
        .unwrap();
    let texts = (0..64).map(|_| Kept::of(100 * KIB));
    assert_eq!(app.bus().send_all(texts).await.unwrap(), 64);
    stage.journal.wait_for(&format!("kept {}", 100 * KIB)).await;
    let owned = owned(&fixture).await;
    assert!((1..=10).contains(&owned), "{owned}");
    stage.gate.open();
    app.until_idle().await.unwrap();
    assert_eq!(stage.journal.notes().len(), 64);
    app.stop().await.unwrap();
}

#[tokio::test]
async fn a_claim_takes_no_more_than_there_are_bytes_for() {
    let (stage, fixture) = (Stage::new(), Fixture::create());
    // Left by a process that has ended.
    let before = Stage::new();
    let first = before
        .builder()
        .store(fixture.store().await)
        .handler(keep)
        .memory_budget(0)
        .start()
        .await
        .unwrap();
    first.bus().send_all((0..200).map(|_| Kept::of(100 * KIB))).await.unwrap();
    first.stop().await.unwrap();
    let app = stage
        .builder()
        .store(fixture.store().await)
        .handler(keep)
        .poll_interval(Duration::from_millis(20))
        .start()
        .await
        .unwrap();
    stage.journal.wait_for(&format!("kept {}", 100 * KIB)).await;
    let owned = owned(&fixture).await;
    assert!((1..=16).contains(&owned), "{owned}");
    stage.gate.open();
    app.until_idle().await.unwrap();
    app.stop().await.unwrap();
}

#[tokio::test]
async fn an_endpoint_that_is_down_leaves_bytes_for_the_rest() {
    let stage = Stage::new();
    let app =
        stage.builder().handler(hold).endpoint("down", "tcp://127.0.0.1:9").start().await.unwrap();
    let mut full = 0;
    for _ in 0..200 {
        let sent = app.bus().send(Away { text: "x".repeat(50 * KIB) });
        full += usize::from(sent.await.is_err());
    }
    assert!(full > 150, "{full} were told that it is full");
    assert!(accepted_at_once(&app, 50 * KIB, 20).await >= 5);
    stage.gate.open();
    app.stop().await.unwrap();
}
