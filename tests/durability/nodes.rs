//! Several nodes on one store: what each takes, and what it leaves to others.

#[path = "nodes/locks.rs"]
mod locks;

use std::time::{Duration, Instant};

use bytes::Bytes;
use jasper::Error;
use jasper::envelope::{Address, Envelope};
use jasper::message::Message;
use jasper::prelude::*;
use jasper::store::memory::MemoryStore;
use jasper::store::{
    DeadLetterQuery, DeadLetterReason, Incoming, MessageStore, Placement, StoreError,
};
use jasper::testing::{Faults, FaultyStore};
use serde::{Deserialize, Serialize};
use tests::Journal;

/// Longer than any of these tests takes.
const LONG: Duration = Duration::from_secs(600);

/// One version of an application.
mod old {
    use super::*;

    #[derive(Command, Serialize, Deserialize)]
    #[command(name = "nodes.work", version = 1)]
    pub struct Work;

    #[handler(queue = "work")]
    #[durable]
    pub async fn work(_cmd: Work, journal: State<Journal>) {
        journal.note("old");
    }
}

/// The next one, whose handler takes another version of the message at the same place.
mod new {
    use super::*;

    #[derive(Command, Serialize, Deserialize)]
    #[command(name = "nodes.work", version = 2)]
    pub struct Work;

    #[handler(queue = "work")]
    #[durable]
    pub async fn work(_cmd: Work, journal: State<Journal>) {
        journal.note("new");
    }
}

struct Cluster {
    store: MemoryStore,
    journal: Journal,
}

impl Cluster {
    fn new() -> Self {
        Self { store: MemoryStore::new(), journal: Journal::default() }
    }

    fn builder(&self) -> jasper::runtime::Builder {
        let builder = Jasper::builder().store(self.store.clone()).state(self.journal.clone());
        builder.unhandled_timeout(LONG).poll_interval(Duration::from_millis(20))
    }

    /// Stores a message that is unowned.
    async fn put<M: Message + Serialize>(&self, message: &M) {
        self.put_at(message, Placement::Unowned).await;
    }

    async fn put_at<M: Message + Serialize>(&self, message: &M, placement: Placement) {
        let payload = serde_json::to_vec(message).unwrap();
        let envelope = Envelope::new(
            M::TYPE,
            "application/json",
            Bytes::from(payload),
            Address::local("work", "work"),
        );
        let row = Incoming { envelope, placement, retention: None };
        self.store.inbox().store(vec![row]).await.unwrap();
    }

    async fn letters(&self) -> Vec<DeadLetterReason> {
        let letters = self.store.dead_letters().list(DeadLetterQuery::default()).await.unwrap();
        letters.iter().map(|letter| letter.reason).collect()
    }
}

#[tokio::test]
async fn a_version_that_only_another_node_takes_is_left_to_it() {
    let cluster = Cluster::new();
    let old = cluster.builder().handler(old::work).start().await.unwrap();
    cluster.put(&new::Work).await;
    cluster.put(&old::Work).await;
    cluster.journal.wait_for("old").await;
    // The old node has had its chance; the new one comes only now.
    let new = cluster.builder().handler(new::work).start().await.unwrap();
    cluster.journal.wait_for("new").await;
    cluster.put(&new::Work).await;
    cluster.put(&old::Work).await;
    new.until_idle().await.unwrap();
    assert_eq!(cluster.journal.sorted(), ["new", "new", "old", "old"]);
    assert_eq!(cluster.letters().await, []);
    old.stop().await.unwrap();
    new.stop().await.unwrap();
}

#[tokio::test]
async fn what_a_living_node_takes_is_left_alone_however_long_that_lasts() {
    let cluster = Cluster::new();
    // Alive, but not at work: it joined and handles nothing.
    let takes = jasper::store::Subscription {
        destination: Address::local("work", "work"),
        message_type: new::Work::TYPE.to_string(),
    };
    cluster.store.nodes().join("busy", LONG, &[takes]).await.unwrap();
    cluster.put(&new::Work).await;
    let old = cluster
        .builder()
        .unhandled_timeout(Duration::ZERO)
        .handler(old::work)
        .start()
        .await
        .unwrap();
    cluster.put(&old::Work).await;
    cluster.journal.wait_for("old").await;
    assert_eq!(cluster.letters().await, []);
    assert_eq!(cluster.store.admin().counts().await.unwrap().incoming, 1);
    old.stop().await.unwrap();
}

#[tokio::test]
async fn what_no_living_node_takes_becomes_an_invalid_message_after_its_time() {
    let cluster = Cluster::new();
    let old = cluster.builder().unhandled_timeout(Duration::from_millis(100));
    let old = old.handler(old::work).start().await.unwrap();
    cluster.put(&new::Work).await;
    old.until_idle().await.unwrap();
    assert_eq!(cluster.letters().await, [DeadLetterReason::UnknownType]);
    old.stop().await.unwrap();
}

#[tokio::test]
async fn a_node_that_stops_leaves_its_messages_to_others_at_once() {
    let cluster = Cluster::new();
    let first = cluster.builder().lease(LONG).handler(old::work).start().await.unwrap();
    for _ in 0..20 {
        first.bus().send(old::Work).await.unwrap();
    }
    first.stop().await.unwrap();
    let alive = cluster.store.nodes().alive().await.unwrap();
    assert_eq!(alive, []);
    let second = cluster.builder().handler(old::work).start().await.unwrap();
    second.until_idle().await.unwrap();
    assert_eq!(cluster.journal.notes().len(), 20);
    second.stop().await.unwrap();
}

/// The others' leases end by themselves, however rarely this node looks by its own.
#[tokio::test]
async fn the_work_of_each_lost_node_goes_on_when_its_lease_ends() {
    let cluster = Cluster::new();
    for lease in [100, 300, 600] {
        let lease = Duration::from_millis(lease);
        let lost = cluster.store.nodes().join("lost", lease, &[]).await.unwrap().owner;
        cluster.put_at(&old::Work, Placement::Owned(lost)).await;
    }
    let node = cluster.builder().lease(LONG).handler(old::work).start().await.unwrap();
    cluster.journal.wait_for_number(3).await;
    node.stop().await.unwrap();
}

/// One that is renewed after all is no lost one, and is looked for again when it ends.
#[tokio::test]
async fn a_node_that_renews_late_keeps_its_work_until_it_is_lost() {
    let cluster = Cluster::new();
    let lease = Duration::from_secs(1);
    let late = cluster.store.nodes().join("late", lease, &[]).await.unwrap().owner;
    cluster.put_at(&old::Work, Placement::Owned(late)).await;
    let node = cluster.builder().lease(LONG).handler(old::work).start().await.unwrap();
    let renewed = Instant::now();
    assert!(cluster.store.nodes().renew(late, lease * 2).await.unwrap());
    cluster.journal.wait_for("old").await;
    assert!(renewed.elapsed() > lease * 3 / 2);
    assert!(!cluster.store.nodes().renew(late, lease).await.unwrap());
    node.stop().await.unwrap();
}

/// The calls of a store that each start makes.
const CALLS_OF_A_START: [&str; 3] = ["prepare", "join", "now"];

/// A store in which this call fails until it is calmed, and an application on it.
fn on_a_store_that_fails(operation: &str) -> (FaultyStore<MemoryStore>, jasper::runtime::Builder) {
    let store = FaultyStore::new(MemoryStore::new(), Faults::seeded(1).fail(operation, 1.0));
    let builder = Jasper::builder().handler(new::work).state(Journal::default());
    (store.clone(), builder.store(store))
}

/// As where the database is at its limit just then.
#[tokio::test]
async fn a_store_that_is_busy_for_a_moment_keeps_no_node_from_starting() {
    for operation in CALLS_OF_A_START {
        let (store, builder) = on_a_store_that_fails(operation);
        let calm_after_three = async {
            while store.count(operation) < 3 {
                tokio::task::yield_now().await;
            }
            store.calm();
        };
        let (app, ()) = tokio::join!(builder.start(), calm_after_three);
        app.unwrap_or_else(|error| panic!("{operation}: {error}")).stop().await.unwrap();
    }
}

#[tokio::test]
async fn a_store_that_stays_away_is_the_error_of_the_start() {
    for operation in CALLS_OF_A_START {
        let (store, builder) = on_a_store_that_fails(operation);
        let error = builder.start().await.unwrap_err();
        let is_away = matches!(error, Error::Store(StoreError::Unreachable { .. }));
        assert!(is_away, "{operation}: {error}");
        assert_eq!(store.calls(operation), 5, "{operation}");
    }
}
