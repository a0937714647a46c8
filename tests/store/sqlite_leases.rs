//! The lease of a node on SQLite depends on nothing that a handler holds: neither the writing
//! connection nor the thread.

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, mpsc};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use bytes::Bytes;
use jasper::envelope::{Address, Envelope};
use jasper::message::MessageType;
use jasper::store::sqlite::SqliteStore;
use jasper::store::{
    Completion, Incoming, MessageStore, Owner, Ownership, Placement, Settled, StoreError,
    StoreTransaction, TransactionOptions,
};
use sqlx::{SqliteConnection, query, query_scalar};
use tempfile::TempDir;
use tokio::runtime::Runtime;

const LEASE: Duration = Duration::from_secs(1);

/// Longer than the lease, and shorter than SQLite waits for a lock.
const HELD: Duration = Duration::from_secs(4);

/// Something that goes on in a thread and a runtime of its own.
struct Aside {
    ends: Arc<AtomicBool>,
    thread: JoinHandle<Vec<String>>,
}

impl Aside {
    /// Does this at intervals, and keeps what it says.
    fn repeat<S: Send + 'static>(
        pause: Duration,
        open: impl AsyncFnOnce() -> S + Send + 'static,
        step: impl AsyncFn(&S) -> Option<String> + Send + 'static,
    ) -> Self {
        let ends = Arc::new(AtomicBool::new(false));
        let end = Arc::clone(&ends);
        let (ready, opened) = mpsc::channel();
        let thread = thread::spawn(move || {
            current_thread().block_on(async {
                let state = open().await;
                ready.send(()).unwrap();
                let mut said = Vec::new();
                while !end.load(Ordering::Acquire) {
                    said.extend(step(&state).await);
                    // Real time: leases run in it.
                    tokio::time::sleep(pause).await;
                }
                said
            })
        });
        opened.recv().unwrap();
        Self { ends, thread }
    }

    fn end(self) -> Vec<String> {
        self.ends.store(true, Ordering::Release);
        self.thread.join().unwrap()
    }
}

/// Another node on the same file, which takes over the work of those that it finds gone. Says whom
/// it has found.
fn other_node(file: PathBuf) -> Aside {
    let open = async move || {
        let store = SqliteStore::open(file).await.unwrap();
        let node = store.nodes().join("other", Duration::from_secs(60), &[]).await.unwrap();
        (store, node.owner)
    };
    Aside::repeat(Duration::from_millis(50), open, async |(store, own)| {
        let gone = match store.nodes().expired(Some(*own)).await {
            Ok(gone) => gone.owners,
            Err(error) if error.is_transient() => return None,
            Err(error) => return Some(error.to_string()),
        };
        for owner in &gone {
            store.inbox().release(*owner, 10).await.unwrap();
        }
        (!gone.is_empty()).then(|| format!("gone: {gone:?}"))
    })
}

/// What renews the lease of a node although its own runtime may be blocked. Says what failed.
fn watchdog(store: SqliteStore, owner: Owner) -> Aside {
    Aside::repeat(
        LEASE / 6,
        async || store,
        async move |store| match store.nodes().renew(owner, LEASE).await {
            Ok(true) => None,
            Ok(false) => Some("lost".to_owned()),
            Err(StoreError::Busy { .. }) => Some("busy".to_owned()),
            Err(error) => Some(error.to_string()),
        },
    )
}

fn current_thread() -> Runtime {
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap()
}

#[expect(clippy::disallowed_methods, reason = "the thread is to be blocked")]
fn block_the_thread(pause: Duration) {
    // Real time: leases run in it.
    thread::sleep(pause);
}

struct Bench {
    directory: TempDir,
    store: SqliteStore,
    owner: Owner,
}

impl Bench {
    async fn start() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let store = SqliteStore::open(file(directory.path())).await.unwrap();
        store.admin().prepare().await.unwrap();
        query("create table effects (number integer)").execute(store.pool()).await.unwrap();
        let owner = store.nodes().join("node", LEASE, &[]).await.unwrap().owner;
        Self { directory, store, owner }
    }

    fn other_node(&self) -> Aside {
        other_node(file(self.directory.path()))
    }

    fn watchdog(&self) -> Aside {
        watchdog(self.store.clone(), self.owner)
    }

    /// A message of this node.
    async fn message(&self) -> Ownership {
        let destination = Address::local("leases", "handler");
        let message_type = MessageType::new("leases.message", 1);
        let body = Bytes::from_static(b"{}");
        let envelope = Envelope::new(message_type, "application/json", body, destination);
        let placement = Placement::Owned(self.owner);
        let row = Incoming { envelope: envelope.clone(), placement, retention: None };
        self.store.inbox().store(vec![row]).await.unwrap();
        Ownership::of(&envelope, self.owner)
    }

    /// One effect, and the transaction still open.
    async fn begin(&self) -> Box<dyn StoreTransaction> {
        let mut transaction = self.store.begin(TransactionOptions::of("slow")).await.unwrap();
        let connection =
            transaction.connection().unwrap().downcast_mut::<SqliteConnection>().unwrap();
        query("insert into effects values (1)").execute(connection).await.unwrap();
        transaction
    }

    async fn effects(&self) -> i64 {
        let count = query_scalar("select count(*) from effects");
        count.fetch_one(self.store.pool()).await.unwrap()
    }

    /// The node goes on under its number.
    async fn assert_same_node(&self) {
        assert!(self.store.nodes().renew(self.owner, LEASE).await.unwrap());
        assert!(!self.store.nodes().expired(None).await.unwrap().owners.contains(&self.owner));
    }
}

fn file(directory: &Path) -> PathBuf {
    directory.join("shop.db")
}

async fn commit(transaction: Box<dyn StoreTransaction>, handled: Ownership) {
    let completion = Completion { handled: Some(handled), ..Completion::default() };
    assert_eq!(transaction.commit(completion).await.unwrap().settled, Settled::Done);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_handler_that_holds_the_connection_longer_than_the_lease_commits() {
    let bench = Bench::start().await;
    let (other, watchdog) = (bench.other_node(), bench.watchdog());
    let message = bench.message().await;
    let transaction = bench.begin().await;
    // Real time: leases run in it.
    tokio::time::sleep(HELD).await;
    commit(transaction, message).await;
    bench.assert_same_node().await;
    assert_eq!(bench.effects().await, 1);
    assert_eq!(other.end(), [""; 0]);
    let said = watchdog.end();
    assert!(said.len() >= 3 && said.iter().all(|said| said == "busy"), "{said:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn handlers_that_hold_the_connection_one_after_the_other_all_commit() {
    let bench = Bench::start().await;
    let (other, watchdog) = (bench.other_node(), bench.watchdog());
    let runs = (0..20).map(async |_| {
        let message = bench.message().await;
        let transaction = bench.begin().await;
        // Real time: leases run in it.
        tokio::time::sleep(LEASE / 4).await;
        commit(transaction, message).await;
    });
    futures_util::future::join_all(runs).await;
    bench.assert_same_node().await;
    assert_eq!(bench.effects().await, 20);
    assert_eq!(other.end(), [""; 0]);
    assert!(!watchdog.end().contains(&"lost".to_owned()));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_slow_handler_that_rolls_back_keeps_the_lease_too() {
    let bench = Bench::start().await;
    let (other, watchdog) = (bench.other_node(), bench.watchdog());
    let message = bench.message().await;
    let transaction = bench.begin().await;
    // Real time: leases run in it.
    tokio::time::sleep(LEASE * 2).await;
    transaction.rollback().await.unwrap();
    commit(bench.begin().await, message).await;
    bench.assert_same_node().await;
    assert_eq!(other.end(), [""; 0]);
    watchdog.end();
}

#[test]
fn a_handler_that_blocks_the_only_thread_while_it_holds_the_connection_commits() {
    current_thread().block_on(async {
        let bench = Bench::start().await;
        let (other, watchdog) = (bench.other_node(), bench.watchdog());
        for _ in 0..2 {
            let message = bench.message().await;
            let transaction = bench.begin().await;
            block_the_thread(LEASE * 2);
            commit(transaction, message).await;
        }
        bench.assert_same_node().await;
        assert_eq!(bench.effects().await, 2);
        assert_eq!(other.end(), [""; 0]);
        assert!(!watchdog.end().contains(&"lost".to_owned()));
    });
}

#[test]
fn a_lease_is_renewed_from_another_runtime_while_that_of_the_store_is_blocked() {
    current_thread().block_on(async {
        let bench = Bench::start().await;
        let (other, watchdog) = (bench.other_node(), bench.watchdog());
        block_the_thread(LEASE * 3);
        assert_eq!(watchdog.end(), [""; 0], "the file is not locked");
        bench.assert_same_node().await;
        assert_eq!(other.end(), [""; 0]);
    });
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_write_transaction_of_the_user_that_outlasts_the_lease_costs_the_node_nothing() {
    let bench = Bench::start().await;
    let (other, watchdog) = (bench.other_node(), bench.watchdog());
    let message = bench.message().await;
    let mut own = bench.store.pool().begin_with("begin immediate").await.unwrap();
    query("insert into effects values (1)").execute(&mut *own).await.unwrap();
    // Real time: leases run in it.
    tokio::time::sleep(LEASE * 3).await;
    own.commit().await.unwrap();
    commit(bench.begin().await, message).await;
    bench.assert_same_node().await;
    assert_eq!(bench.effects().await, 2);
    assert_eq!(other.end(), [""; 0]);
    let said = watchdog.end();
    assert!(!said.is_empty() && said.iter().all(|said| said == "busy"), "{said:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_node_that_asks_for_no_renewal_any_more_is_found_gone() {
    let bench = Bench::start().await;
    let began = Instant::now();
    // What is written with the same store does not keep it alive.
    while bench.store.nodes().expired(None).await.unwrap().owners != [bench.owner] {
        bench.message().await;
        assert!(began.elapsed() < LEASE * 10, "it is still taken for alive");
        // Real time: leases run in it.
        tokio::time::sleep(LEASE / 10).await;
    }
}

#[tokio::test]
async fn rows_of_an_owner_whose_lease_runs_are_not_released() {
    let bench = Bench::start().await;
    bench.message().await;
    assert_eq!(bench.store.inbox().release(bench.owner, 10).await.unwrap(), 0);
    bench.store.nodes().leave(bench.owner).await.unwrap();
    assert_eq!(bench.store.inbox().release(bench.owner, 10).await.unwrap(), 1);
}
