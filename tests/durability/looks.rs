//! How often nodes look into the store: no oftener than it is of use.

#[path = "../mariadb_database.rs"]
mod mariadb_database;
#[path = "../postgres_schema.rs"]
mod postgres_schema;

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use bytes::Bytes;
use jasper::envelope::{Address, Envelope};
use jasper::handler::HandlerError;
use jasper::message::Message;
use jasper::prelude::*;
use jasper::store::memory::MemoryStore;
use jasper::store::mysql::MysqlStore;
use jasper::store::{Incoming, MessageStore, Ownership, Placement, Settled, Settlement};
use jasper::testing::{Faults, FaultyStore};
use mariadb_database::Database;
use postgres_schema::Schema;
use serde::{Deserialize, Serialize};
use sqlx::AssertSqlSafe;
use sqlx::postgres::PgListener;
use tests::Journal;
use tokio::sync::Semaphore;
use tokio::time::Instant;

#[derive(Command, Serialize, Deserialize)]
#[command(name = "looks.work")]
struct Work {
    number: u32,
}

/// Waits until it is let through.
#[handler(queue = "looks")]
#[durable]
async fn work(cmd: Work, gate: State<Arc<Semaphore>>, journal: State<Journal>) {
    gate.acquire().await.unwrap().forget();
    journal.note(cmd.number.to_string());
}

#[derive(Command, Serialize, Deserialize)]
#[command(name = "looks.again")]
struct Again;

/// Whether the node fails each of these.
#[derive(Clone, Copy)]
struct Fails(bool);

#[handler(queue = "looks", attempts = 2, delays = ["2s"])]
#[durable]
async fn again(_: Again, fails: State<Fails>, journal: State<Journal>) -> Result<(), HandlerError> {
    let Fails(fails) = *fails;
    if fails {
        journal.note("failed");
        return Err(HandlerError::new("not here"));
    }
    journal.note("again");
    Ok(())
}

#[derive(Command, Serialize, Deserialize)]
#[command(name = "looks.elsewhere")]
struct Elsewhere;

/// Its queue is one to which these nodes only send: it is never filled here.
#[handler(queue = "elsewhere")]
#[durable]
async fn elsewhere(_: Elsewhere) {}

fn row(message_type: &str, number: u32) -> Incoming {
    let payload = Bytes::from(format!(r#"{{"number":{number}}}"#));
    let place = Address::local("looks", "work");
    let mut envelope = Envelope::new(Work::TYPE, "application/json", payload, place);
    envelope.message_type = message_type.parse().unwrap();
    Incoming { envelope, placement: Placement::Unowned, retention: None }
}

fn counting<S: MessageStore>(store: S) -> FaultyStore<S> {
    FaultyStore::new(store, Faults::seeded(1))
}

struct Node<S> {
    app: Jasper,
    store: FaultyStore<S>,
    gate: Arc<Semaphore>,
    journal: Journal,
}

impl<S: MessageStore> Node<S> {
    async fn start(store: FaultyStore<S>) -> Self {
        Self::start_with(store, Fails(false)).await
    }

    async fn start_with(store: FaultyStore<S>, fails: Fails) -> Self {
        let (gate, journal) = (Arc::new(Semaphore::new(0)), Journal::default());
        let app = Jasper::builder().store(store.clone()).state(Arc::clone(&gate));
        let one = QueueOptions::new().concurrency(1).capacity(2);
        let app = app
            .state(journal.clone())
            .queue("looks", one)
            .queue("elsewhere", QueueOptions::new().send_only())
            .handler(elsewhere)
            .handler(work)
            .state(fails)
            .handler(again)
            .start()
            .await
            .unwrap();
        Self { app, store, gate, journal }
    }

    fn looks(&self) -> u64 {
        self.store.calls("claimable")
    }

    async fn stop(self) {
        self.gate.add_permits(1_000);
        self.app.stop().await.unwrap();
    }
}

#[tokio::test]
async fn nodes_with_full_queues_do_not_look_for_what_others_send() {
    let (sender, schema) = Schema::open().await;
    let mut nodes = Vec::new();
    for _ in 0..5 {
        nodes.push(Node::start(counting(schema.connect().await)).await);
    }
    for number in 0..10 {
        sender.inbox().store(vec![row("looks.work@1", number)]).await.unwrap();
    }
    // Real time: notifications are on their way, and nothing says when the last has come.
    tokio::time::sleep(Duration::from_secs(1)).await;
    let (began, before) = (Instant::now(), nodes.iter().map(Node::looks).sum::<u64>());
    for number in 10..71 {
        sender.inbox().store(vec![row("looks.work@1", number)]).await.unwrap();
    }
    // Real time: as above.
    tokio::time::sleep(Duration::from_secs(1)).await;
    let looks = nodes.iter().map(Node::looks).sum::<u64>() - before;
    let most = 5 * (began.elapsed().as_secs() + 2);
    assert!(looks <= most, "{looks} looks for 61 sends in {:?}", began.elapsed());
    for node in &nodes {
        node.gate.add_permits(1_000);
    }
    // None of the looks that were left out was needed.
    nodes[0].app.until_idle().await.unwrap();
    let handled: usize = nodes.iter().map(|node| node.journal.notes().len()).sum();
    assert_eq!(handled, 71);
    for node in nodes {
        node.stop().await;
    }
}

#[tokio::test]
async fn word_of_many_rows_for_others_is_served_by_few_looks() {
    let (sender, schema) = Schema::open().await;
    let node = Node::start(counting(schema.connect().await)).await;
    let (began, before) = (Instant::now(), node.looks());
    for number in 0..300 {
        sender.inbox().store(vec![row("looks.other@1", number)]).await.unwrap();
    }
    let looks = node.looks() - before;
    // One in 32 ms, and a few before it has slowed down.
    let most = 20 + began.elapsed().as_millis() as u64 / 30;
    assert!(looks <= most, "{looks} looks in {:?}", began.elapsed());
    sender.inbox().store(vec![row("looks.work@1", 7)]).await.unwrap();
    node.gate.add_permits(1);
    node.journal.wait_for("7").await;
    node.stop().await;
}

#[tokio::test]
async fn a_due_row_that_is_locked_is_looked_for_seldom_and_handled_when_it_is_free() {
    let database = Database::create().await;
    let store = counting(MysqlStore::connect(database.url()).await.unwrap());
    let node = Node::start(store).await;
    let due_at = SystemTime::now() + Duration::from_millis(1500);
    let scheduled = Incoming { placement: Placement::Scheduled(due_at), ..row("looks.work@1", 7) };
    let store = node.store.inner();
    store.inbox().store(vec![scheduled]).await.unwrap();
    let mut other = store.pool().begin().await.unwrap();
    let lock = "select 1 from jasper_incoming where status = 'scheduled' for update";
    sqlx::query(lock).execute(&mut *other).await.unwrap();
    // Real time: it becomes due by the clock of the database.
    tokio::time::sleep(Duration::from_millis(1600)).await;
    let before = node.looks();
    // Real time: the looks of one second are counted.
    tokio::time::sleep(Duration::from_secs(1)).await;
    let looks = node.looks() - before;
    assert!(looks <= 20, "{looks} looks in a second");
    other.rollback().await.unwrap();
    node.gate.add_permits(1);
    node.journal.wait_for("7").await;
    node.stop().await;
}

#[tokio::test]
async fn a_store_that_cannot_be_looked_at_is_asked_seldom_whatever_wakes_the_node() {
    let store = FaultyStore::new(MemoryStore::new(), Faults::seeded(1).fail("claimable", 1.0));
    let node = Node::start(store).await;
    // More than there is room for, so that each later one is left in the store.
    for number in 0..2 {
        node.app.bus().send(Work { number }).await.unwrap();
    }
    let (began, before) = (Instant::now(), node.looks());
    for number in 2..200 {
        node.app.bus().send(Work { number }).await.unwrap();
        node.gate.add_permits(1);
        tokio::task::yield_now().await;
    }
    let looks = node.looks() - before;
    let most = 20 + began.elapsed().as_millis() as u64 / 30;
    assert!(looks <= most, "{looks} looks in {:?}", began.elapsed());
    node.store.calm();
    node.gate.add_permits(1_000);
    node.app.until_idle().await.unwrap();
    assert_eq!(node.journal.notes().len(), 200);
    node.stop().await;
}

#[tokio::test]
async fn one_message_from_another_process_is_handled_at_once() {
    let (sender, schema) = Schema::open().await;
    let node = Node::start(counting(schema.connect().await)).await;
    node.gate.add_permits(1_000);
    let mut waits = Vec::new();
    for number in 0..5 {
        // Real time: what is looked for here is what happens after a quiet time.
        tokio::time::sleep(Duration::from_millis(1200)).await;
        let sent = Instant::now();
        sender.inbox().store(vec![row("looks.work@1", number)]).await.unwrap();
        node.journal.wait_for(&number.to_string()).await;
        waits.push(sent.elapsed());
    }
    waits.sort();
    // By itself it would look some fifteen seconds later.
    assert!(waits[2] < Duration::from_millis(500), "{waits:?}");
    assert!(waits[4] < Duration::from_secs(5), "{waits:?}");
    node.stop().await;
}

/// It would look for it by itself some fifteen seconds later.
#[tokio::test]
async fn a_quiet_node_takes_up_a_retry_of_a_node_that_has_no_room_when_it_is_due() {
    let (other, schema) = Schema::open().await;
    let quiet = Node::start(counting(other)).await;
    let full = Node::start_with(counting(schema.connect().await), Fails(true)).await;
    full.app.bus().send(Again).await.unwrap();
    full.journal.wait_for("failed").await;
    let scheduled = "select exists (select from jasper_incoming where status = 'scheduled')";
    let pool = full.store.inner().pool();
    while !sqlx::query_scalar::<_, bool>(scheduled).fetch_one(pool).await.unwrap() {
        tokio::task::yield_now().await;
    }
    for number in 0..2 {
        full.app.bus().send(Work { number }).await.unwrap();
    }
    let failed = Instant::now();
    quiet.journal.wait_for("again").await;
    assert!(failed.elapsed() < Duration::from_secs(8), "{:?}", failed.elapsed());
    full.stop().await;
    quiet.stop().await;
}

/// As the look of a node does that has no room for it: it is another's once that look has ended.
#[tokio::test]
async fn a_due_row_that_another_look_has_locked_on_postgres_is_looked_for_again() {
    let (store, schema) = Schema::open().await;
    let node = Node::start(counting(store)).await;
    let due_at = SystemTime::now() + Duration::from_millis(1500);
    let scheduled = Incoming { placement: Placement::Scheduled(due_at), ..row("looks.work@1", 7) };
    let store = node.store.inner();
    store.inbox().store(vec![scheduled]).await.unwrap();
    let mut other = store.pool().begin().await.unwrap();
    let due =
        format!("update {}.jasper_incoming set status = 'incoming', due_at = null", schema.name);
    sqlx::raw_sql(AssertSqlSafe(due)).execute(&mut *other).await.unwrap();
    // Real time: it becomes due by the clock of the database.
    tokio::time::sleep(Duration::from_millis(1600)).await;
    let before = node.looks();
    // Real time: the looks of one second are counted.
    tokio::time::sleep(Duration::from_secs(1)).await;
    let looks = node.looks() - before;
    assert!(looks <= 20, "{looks} looks in a second");
    node.gate.add_permits(1);
    let free = Instant::now();
    other.commit().await.unwrap();
    node.journal.wait_for("7").await;
    assert!(free.elapsed() < Duration::from_secs(5), "{:?}", free.elapsed());
    node.stop().await;
}

/// The others look at the first of them, and learn what is due next.
#[tokio::test]
async fn many_retries_are_notified_to_others_once() {
    let (store, schema) = Schema::open().await;
    let owner = store.nodes().join("test", Duration::from_secs(60), &[]).await.unwrap().owner;
    let mut listener = PgListener::connect_with(store.pool()).await.unwrap();
    let mut slow = 0;
    let mut schedule = async |number, delay: u64| {
        let mut row = row("looks.work@1", number);
        row.placement = Placement::Owned(owner);
        row.envelope.attempts = 1;
        let ownership = Ownership::of(&row.envelope, owner);
        store.inbox().store(vec![row]).await.unwrap();
        let due_at = store.nodes().now().await.unwrap().unwrap() + Duration::from_secs(delay);
        let began = Instant::now();
        let settled = store.inbox().settle(vec![Settlement::Schedule(ownership, due_at)]).await;
        assert_eq!(settled.unwrap(), [Settled::Done]);
        slow += usize::from(began.elapsed() >= Duration::from_millis(200));
    };
    // Word from before is no word of what follows.
    schedule(0, 60).await;
    listener.listen(&format!("jasper:{}", schema.name)).await.unwrap();
    for number in 1..20 {
        schedule(number, 10).await;
    }
    schedule(20, 5).await;
    schedule(21, 60).await;
    listener.listen("end").await.unwrap();
    sqlx::raw_sql("select pg_notify('end', '')").execute(store.pool()).await.unwrap();
    let mut words = 0;
    while listener.recv().await.unwrap().channel() != "end" {
        words += 1;
    }
    // After a commit that took long, others are notified again: they may have looked before it.
    let expected = 2..=2 + slow;
    assert!(expected.contains(&words), "{words}: of the first, and of one that is due before it");
}
