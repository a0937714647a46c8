//! What a run costs that was cut short with the lease of its node: an attempt where its process is
//! gone, and none where it lives on.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use bytes::Bytes;
use jasper::envelope::{Address, Envelope};
use jasper::message::Message;
use jasper::prelude::*;
use jasper::runtime::Builder;
use jasper::store::memory::MemoryStore;
use jasper::store::{
    ClaimRequest, DeadLetter, DeadLetterQuery, Incoming, MessageStore, Owner, Placement, Settled,
    Settlement, Subscription,
};
use serde::{Deserialize, Serialize};
use tests::Journal;
use tokio::sync::Semaphore;
use tokio::time::timeout;

/// Its renewal finds out within a second that another node has ended it.
const LEASE: Duration = Duration::from_secs(3);

const LONG: Duration = Duration::from_secs(600);

const STUCK: Duration = Duration::from_secs(60);

/// How often the handler ran, and what its first and second run wait for.
#[derive(Clone)]
struct Runs {
    begun: Arc<AtomicU32>,
    first: Arc<Semaphore>,
    second: Arc<Semaphore>,
    journal: Journal,
}

impl Runs {
    fn new() -> Self {
        let shut = || Arc::new(Semaphore::new(0));
        Self { begun: Arc::default(), first: shut(), second: shut(), journal: Journal::default() }
    }

    async fn begin(&self) -> u32 {
        let number = self.begun.fetch_add(1, Ordering::SeqCst) + 1;
        self.journal.note(format!("run {number}"));
        match number {
            1 => self.first.acquire().await.unwrap().forget(),
            2 => self.second.acquire().await.unwrap().forget(),
            _ => {}
        }
        number
    }
}

#[derive(Command, Serialize, Deserialize)]
#[command(name = "interrupted.once")]
struct Once;

#[handler(queue = "once", attempts = 1)]
#[durable]
async fn once(_cmd: Once, runs: State<Runs>) {
    runs.begin().await;
}

#[derive(Command, Serialize, Deserialize)]
#[command(name = "interrupted.failing")]
struct Failing;

#[handler(queue = "failing", attempts = 2)]
#[durable]
async fn failing(_cmd: Failing, runs: State<Runs>) -> Result<(), std::fmt::Error> {
    runs.begin().await;
    Err(std::fmt::Error)
}

#[derive(Command, Serialize, Deserialize)]
#[command(name = "interrupted.single")]
struct Single;

#[handler(queue = "single", attempts = 1, concurrency = 1)]
#[durable]
async fn single(_cmd: Single, runs: State<Runs>) {
    runs.begin().await;
}

fn node(store: &MemoryStore, runs: &Runs) -> Builder {
    let node = Jasper::builder().store(store.clone()).state(runs.clone()).lease(LEASE);
    node.poll_interval(Duration::from_millis(20)).handler(once).handler(failing).handler(single)
}

async fn letters(store: &MemoryStore) -> Vec<DeadLetter> {
    store.dead_letters().list(DeadLetterQuery::default()).await.unwrap()
}

/// Ends the lease of the only node, as another does that takes it for gone.
async fn end_lease(store: &MemoryStore) -> Owner {
    let alive = store.nodes().alive().await.unwrap();
    assert_eq!(alive.len(), 1);
    store.nodes().leave(alive[0].owner).await.unwrap();
    alive[0].owner
}

/// Waits until the process that had this number has joined again.
async fn is_back(store: &MemoryStore, lost: Owner) {
    let is_back = async || {
        let alive = store.nodes().alive().await.unwrap();
        alive.iter().any(|node| node.owner != lost && node.is_or_was(lost))
    };
    while !is_back().await {
        // Real time: the node renews its lease by the clock.
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

#[tokio::test]
async fn the_only_attempt_is_not_over_where_its_process_lost_its_lease_and_lives_on() {
    let (store, runs) = (MemoryStore::new(), Runs::new());
    runs.second.add_permits(1);
    let late = node(&store, &runs).start().await.unwrap();
    late.bus().send(Once).await.unwrap();
    runs.journal.wait_for("run 1").await;
    let lost = end_lease(&store).await;
    timeout(STUCK, is_back(&store, lost)).await.unwrap();
    let other = node(&store, &runs).start().await.unwrap();
    timeout(STUCK, runs.journal.wait_for("run 2")).await.unwrap();
    runs.first.add_permits(1);
    timeout(STUCK, late.until_idle()).await.unwrap().unwrap();
    timeout(STUCK, other.until_idle()).await.unwrap().unwrap();
    assert_eq!(letters(&store).await, []);
    assert_eq!(runs.begun.load(Ordering::SeqCst), 2);
    late.stop().await.unwrap();
    other.stop().await.unwrap();
}

#[tokio::test]
async fn a_run_that_was_cut_short_is_no_failure_whether_or_not_its_process_comes_back() {
    let (store, runs) = (MemoryStore::new(), Runs::new());
    let late = node(&store, &runs).lease(LONG).start().await.unwrap();
    late.bus().send(Failing).await.unwrap();
    runs.journal.wait_for("run 1").await;
    let lost = end_lease(&store).await;
    let other = node(&store, &runs).start().await.unwrap();
    timeout(STUCK, runs.journal.wait_for("run 2")).await.unwrap();
    assert!(store.nodes().alive().await.unwrap().iter().all(|node| !node.is_or_was(lost)));
    runs.second.add_permits(1);
    timeout(STUCK, runs.journal.wait_for("run 3")).await.unwrap();
    runs.first.add_permits(1);
    timeout(STUCK, late.until_idle()).await.unwrap().unwrap();
    timeout(STUCK, other.until_idle()).await.unwrap().unwrap();
    // One that was cut short, and two that failed.
    assert_eq!(runs.begun.load(Ordering::SeqCst), 3);
    let letters = letters(&store).await;
    assert_eq!(letters.len(), 1);
    assert_eq!(letters[0].attempts, 3);
    late.stop().await.unwrap();
    other.stop().await.unwrap();
}

/// Stores a message that was on these nodes, one after the other, and whose next attempt has begun
/// on each, or not.
async fn was_on<M: Message + Serialize>(
    store: &MemoryStore,
    message: &M,
    owners: &[Owner],
    has_begun: bool,
) {
    let payload = Bytes::from(serde_json::to_vec(message).unwrap());
    let name = M::TYPE.name().rsplit_once('.').unwrap().1.to_owned();
    let destination = Address::local(&name, &name);
    let mut envelope = Envelope::new(M::TYPE, "application/json", payload, destination.clone());
    envelope.attempts = 1;
    let subscriptions = vec![Subscription { destination, message_type: M::TYPE.to_string() }];
    let row = Incoming { envelope, placement: Placement::Unowned, retention: None };
    store.inbox().store(vec![row]).await.unwrap();
    for owner in owners {
        let subscriptions = subscriptions.clone();
        let request = ClaimRequest { owner: *owner, subscriptions, limit: 1, count_attempt: true };
        let claimed = store.inbox().claim(request).await.unwrap().remove(0);
        if has_begun && *owner != owners[0] {
            let next = Settlement::Attempt(claimed.ownership);
            assert_eq!(store.inbox().settle(vec![next]).await.unwrap(), [Settled::Done]);
        }
        assert_eq!(store.inbox().release(*owner, 1).await.unwrap(), 1);
    }
}

async fn join(store: &MemoryStore) -> Owner {
    store.nodes().join("node", LONG, &[]).await.unwrap().owner
}

/// How often a message with one attempt runs that has begun on these nodes.
async fn runs_after(store: &MemoryStore, owners: &[Owner]) -> u32 {
    was_on(store, &Once, owners, true).await;
    let runs = Runs::new();
    runs.first.add_permits(1);
    let app = node(store, &runs).start().await.unwrap();
    timeout(STUCK, app.until_idle()).await.unwrap().unwrap();
    app.stop().await.unwrap();
    let begun = runs.begun.load(Ordering::SeqCst);
    assert_eq!(letters(store).await.len(), usize::from(begun == 0));
    begun
}

#[tokio::test]
async fn an_attempt_counts_that_began_in_a_process_that_is_gone() {
    let store = MemoryStore::new();
    let gone = join(&store).await;
    store.nodes().leave(gone).await.unwrap();
    assert_eq!(runs_after(&store, &[gone]).await, 0);
}

#[tokio::test]
async fn an_attempt_counts_however_many_other_processes_live_on() {
    let store = MemoryStore::new();
    let (gone, alive) = (join(&store).await, join(&store).await);
    store.nodes().leave(gone).await.unwrap();
    store.nodes().note_earlier(alive, &[Owner::new(4711)]).await.unwrap();
    assert_eq!(runs_after(&store, &[gone]).await, 0);
}

#[tokio::test]
async fn a_message_in_which_processes_lose_their_leases_again_and_again_is_given_up() {
    for (often, runs) in [(10, 1), (11, 0)] {
        let store = MemoryStore::new();
        let mut owners = Vec::new();
        for _ in 0..often {
            owners.push(join(&store).await);
        }
        let alive = join(&store).await;
        store.nodes().note_earlier(alive, &owners).await.unwrap();
        assert_eq!(runs_after(&store, &owners).await, runs, "after {often} attempts");
    }
}

#[tokio::test]
async fn processes_that_died_before_the_next_attempt_began_have_cut_none_short() {
    let (store, runs) = (MemoryStore::new(), Runs::new());
    let mut owners = Vec::new();
    for _ in 0..20 {
        owners.push(join(&store).await);
        store.nodes().leave(owners[owners.len() - 1]).await.unwrap();
    }
    was_on(&store, &Failing, &owners, false).await;
    runs.first.add_permits(1);
    runs.second.add_permits(1);
    let app = node(&store, &runs).start().await.unwrap();
    timeout(STUCK, app.until_idle()).await.unwrap().unwrap();
    app.stop().await.unwrap();
    assert_eq!(runs.begun.load(Ordering::SeqCst), 2, "its attempts");
    assert_eq!(letters(&store).await.len(), 1);
}

/// Messages whose handler has one attempt, and of which one runs at a time, come into memory from
/// the store; their process is gone while the first runs. Says how often they run after that.
async fn runs_after_a_crash(placements: [Placement; 3]) -> u32 {
    let (store, runs) = (MemoryStore::new(), Runs::new());
    for placement in placements {
        let destination = Address::local("single", "single");
        let payload = Bytes::from_static(b"null");
        let envelope = Envelope::new(Single::TYPE, "application/json", payload, destination);
        store.inbox().store(vec![Incoming { envelope, placement, retention: None }]).await.unwrap();
    }
    let lost = node(&store, &runs).start().await.unwrap();
    runs.journal.wait_for("run 1").await;
    // The run ends without an attempt, as at a stop; the others are in memory and have not begun.
    drop(lost);
    end_lease(&store).await;
    runs.second.add_permits(1);
    let other = node(&store, &runs).start().await.unwrap();
    timeout(STUCK, other.until_idle()).await.unwrap().unwrap();
    other.stop().await.unwrap();
    assert_eq!(letters(&store).await, []);
    runs.begun.load(Ordering::SeqCst) - 1
}

#[tokio::test]
async fn a_message_that_was_in_memory_and_never_began_keeps_its_only_attempt() {
    assert_eq!(runs_after_a_crash([Placement::Unowned; 3]).await, 3);
}

#[tokio::test]
async fn a_message_that_had_become_due_and_never_began_keeps_its_only_attempt() {
    let due = Placement::Scheduled(std::time::SystemTime::now());
    assert_eq!(runs_after_a_crash([due; 3]).await, 3);
}

#[derive(Command, Serialize, Deserialize)]
#[command(name = "interrupted.numbered")]
struct Numbered(String);

#[handler(queue = "numbered", concurrency = 1)]
#[durable]
async fn numbered(cmd: Numbered, runs: State<Runs>) {
    runs.journal.note(cmd.0);
    runs.begin().await;
}

/// They have waited for the end of a lease, while the others have come since.
#[tokio::test]
async fn messages_of_a_lost_node_go_before_those_in_memory() {
    let (store, runs) = (MemoryStore::new(), Runs::new());
    let lost = store.nodes().join("lost", LONG, &[]).await.unwrap().owner;
    let payload = serde_json::to_vec(&Numbered("old".to_owned())).unwrap();
    let at = Address::local("numbered", "numbered");
    let mut envelope = Envelope::new(Numbered::TYPE, "application/json", payload.into(), at);
    envelope.attempts = 1;
    let row = Incoming { envelope, placement: Placement::Owned(lost), retention: None };
    store.inbox().store(vec![row]).await.unwrap();
    let node = node(&store, &runs).handler(numbered).start().await.unwrap();
    for number in 0..10 {
        node.bus().send(Numbered(format!("new {number}"))).await.unwrap();
    }
    runs.journal.wait_for("run 1").await;
    store.nodes().leave(lost).await.unwrap();
    let own = store.nodes().alive().await.unwrap()[0].owner;
    while store.inbox().owned(own, 100).await.unwrap().len() < 11 {
        // Real time: the node looks for lost ones by the clock.
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    runs.first.add_permits(1);
    runs.second.add_permits(1);
    timeout(STUCK, node.until_idle()).await.unwrap().unwrap();
    let notes = runs.journal.notes();
    let handled = notes.iter().filter(|note| !note.starts_with("run"));
    // One runs; before the others comes the old one.
    assert_eq!(handled.clone().position(|note| note == "old"), Some(1), "{notes:?}");
    assert_eq!(handled.count(), 11);
    node.stop().await.unwrap();
}
