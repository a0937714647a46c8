//! A lease does not depend on the thread on which the application and its handlers run.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;
use std::time::Duration;

use jasper::prelude::*;
use jasper::runtime::Builder;
use jasper::store::mysql::MysqlStore;
use jasper::store::{DeadLetterQuery, MessageStore};
use serde::{Deserialize, Serialize};
use sqlx::PgConnection;
use tests::servers::{new_mariadb_database, new_postgres_database};
use tokio::time::timeout;

const LEASE: Duration = Duration::from_secs(3);

/// How long a handler blocks: three leases.
const BLOCKED: Duration = Duration::from_secs(9);

const STUCK: Duration = Duration::from_secs(60);

/// How often handlers ran, on all nodes.
type Runs = Arc<AtomicU64>;

/// Blocks its thread, as no handler should.
#[expect(clippy::disallowed_methods, reason = "what is tested is a handler that blocks")]
fn block(runs: &Runs) {
    if runs.fetch_add(1, Ordering::SeqCst) == 0 {
        // Real time: the lease is counted in the database's time.
        thread::sleep(BLOCKED);
    }
}

#[derive(Command, Serialize, Deserialize)]
#[command(name = "leases.block")]
struct Block;

/// One attempt: were the lease lost, another node would take the message for one that has killed
/// its process.
#[handler(queue = "block", attempts = 1)]
async fn on_block(_cmd: Block, runs: State<Runs>) {
    block(&runs);
}

#[derive(Command, Serialize, Deserialize)]
#[command(name = "leases.block-within")]
struct BlockWithin;

#[handler(queue = "block-within", attempts = 1)]
#[durable]
async fn on_block_within(
    _cmd: BlockWithin,
    db: &mut PgConnection,
    runs: State<Runs>,
) -> sqlx::Result<()> {
    sqlx::query("create table done ()").execute(db).await?;
    block(&runs);
    Ok(())
}

fn node(store: impl MessageStore, runs: &Runs) -> Builder {
    let app = Jasper::builder().store(store).state(Arc::clone(runs)).lease(LEASE);
    app.queue("block", QueueOptions::new().durable()).handler(on_block)
}

/// Starts the node that is blocked, with a runtime of one thread, and one beside it, which must
/// take nothing from it.
async fn is_left_alone(
    beside: Builder,
    runs: Runs,
    blocked: impl Future<Output = Builder> + Send + 'static,
    send: impl AsyncFnOnce(&Bus) + Send + 'static,
) {
    let beside = beside.start().await.unwrap();
    let blocked = tokio::task::spawn_blocking(move || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let app = blocked.await.start().await.unwrap();
            send(app.bus()).await;
            timeout(STUCK, app.until_idle()).await.unwrap().unwrap();
            app.stop().await.unwrap();
        });
    });
    blocked.await.unwrap();
    assert_eq!(runs.load(Ordering::SeqCst), 1);
    let letters = beside.store().unwrap().dead_letters().list(DeadLetterQuery::default());
    assert_eq!(letters.await.unwrap(), []);
    beside.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_handler_that_blocks_the_only_thread_keeps_its_lease_on_postgres() {
    let url = new_postgres_database("leases").await;
    let runs = Runs::default();
    let beside = node(PostgresStore::connect(&url).await.unwrap(), &runs);
    let of_blocked = Arc::clone(&runs);
    let blocked = async move { node(PostgresStore::connect(&url).await.unwrap(), &of_blocked) };
    let send = async |bus: &Bus| assert!(!bus.send(Block).await.unwrap().duplicate);
    is_left_alone(beside, runs, blocked, send).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_transaction_that_blocks_the_only_thread_commits_on_postgres() {
    let url = new_postgres_database("leases").await;
    let runs = Runs::default();
    let beside = node(PostgresStore::connect(&url).await.unwrap(), &runs).handler(on_block_within);
    let of_blocked = Arc::clone(&runs);
    let blocked = async move {
        let node = node(PostgresStore::connect(&url).await.unwrap(), &of_blocked);
        node.handler(on_block_within)
    };
    let send = async |bus: &Bus| assert!(!bus.send(BlockWithin).await.unwrap().duplicate);
    is_left_alone(beside, runs, blocked, send).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_handler_that_blocks_the_only_thread_keeps_its_lease_on_mariadb() {
    let url = new_mariadb_database("leases").await;
    let runs = Runs::default();
    let beside = node(MysqlStore::connect(&url).await.unwrap(), &runs);
    let of_blocked = Arc::clone(&runs);
    let blocked = async move { node(MysqlStore::connect(&url).await.unwrap(), &of_blocked) };
    let send = async |bus: &Bus| assert!(!bus.send(Block).await.unwrap().duplicate);
    is_left_alone(beside, runs, blocked, send).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_handler_that_blocks_the_only_thread_keeps_its_lease_on_sqlite() {
    let folder = tempfile::TempDir::new().unwrap();
    let file = folder.path().join("leases.db");
    let runs = Runs::default();
    let beside = node(SqliteStore::open(&file).await.unwrap(), &runs);
    let of_blocked = Arc::clone(&runs);
    let blocked = async move { node(SqliteStore::open(&file).await.unwrap(), &of_blocked) };
    let send = async |bus: &Bus| assert!(!bus.send(Block).await.unwrap().duplicate);
    is_left_alone(beside, runs, blocked, send).await;
}
