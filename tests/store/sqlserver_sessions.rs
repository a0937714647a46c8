//! Sessions at SQL Server that are silent, frozen or cut: none keeps a row from the others for
//! long, none takes a connection away for good, and nothing takes effect twice.

#[path = "sqlserver_sessions/database.rs"]
mod database;
#[path = "sqlserver_sessions/owners.rs"]
mod owners;
#[path = "sqlserver_sessions/shop.rs"]
mod shop;
#[expect(dead_code, reason = "other tests use the rest of it")]
#[path = "../sqlserver_schema.rs"]
mod sqlserver_schema;
#[path = "sqlserver_sessions/sweep.rs"]
mod sweep;

use std::time::{Duration, Instant};

use database::{LEASE, Tables, Touch, application, by_way_of, open, proxy, soon};
use jasper::prelude::*;
use jasper::store::sqlserver::{SqlServerConnection, SqlServerStore, tiberius};
use jasper::store::{
    Completion, DeadLetterQuery, MessageStore, StoreError, StoreTransaction, TransactionOptions,
};
use serde::{Deserialize, Serialize};
use shop::Shop;
use sqlserver_schema::connect;
use tests::Journal;
use tests::proxy::Lost;

type DriverError = tiberius::error::Error;

/// What the store sends to commit a run.
fn is_commit(bytes: &[u8]) -> bool {
    let commit: Vec<u8> = "commit transaction".encode_utf16().flat_map(u16::to_le_bytes).collect();
    bytes.windows(commit.len()).any(|window| window == commit)
}

#[derive(Command, Serialize, Deserialize)]
struct Slow;

/// One row is locked, and another one waited for, when the time is over.
#[handler(queue = "slow", attempts = 1, timeout = "1500ms")]
#[durable]
async fn slow(
    _cmd: Slow,
    db: &mut SqlServerConnection,
    tables: State<Tables>,
    journal: State<Journal>,
) -> Result<(), DriverError> {
    let change = tables.statement("update {schema}.accounts set balance = balance + 1");
    db.execute(change, &[]).await?;
    journal.note("waits");
    let wait = tables.statement("update {schema}.gate set balance = balance + 1");
    db.execute(wait, &[]).await.map(drop)
}

/// A run in which the accounts are locked.
async fn locking(store: &SqlServerStore, shop: &Shop) -> Box<dyn StoreTransaction> {
    let mut run = store.begin(TransactionOptions::of("locking")).await.unwrap();
    let db: &mut SqlServerConnection = run.connection().unwrap().downcast_mut().unwrap();
    shop.execute_on(db, "update {schema}.accounts set balance = balance + 1").await;
    run
}

/// `tests/run` leaves them out by this name where there is no server.
mod on_sqlserver {
    use super::*;

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn a_statement_of_a_handler_that_times_out_is_cancelled_at_the_server() {
        let shop = Shop::open().await;
        let store = shop.store().await;
        let app = application(store.clone(), &shop.tables, &shop.journal).handler(slow);
        let app = app.start().await.unwrap();
        let mut gate = connect().await;
        let lock = "begin transaction; update {schema}.gate set balance = 1";
        shop.execute_on(&mut gate, lock).await;
        app.bus().send(Slow).await.unwrap();
        shop.journal.wait_for("waits").await;
        app.until_idle().await.unwrap();
        shop.reach_accounts().await;
        // The handler's fault, and counted as such.
        let letters = store.dead_letters().list(DeadLetterQuery::default());
        assert_eq!(letters.await.unwrap().len(), 1);
        drop(gate);
        app.stop().await.unwrap();
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn a_run_that_is_dropped_leaves_nothing_at_the_server() {
        let shop = Shop::open().await;
        let store = shop.store().await;
        let mut run = locking(&store, &shop).await;
        let mut gate = connect().await;
        let lock = "begin transaction; update {schema}.gate set balance = 1";
        shop.execute_on(&mut gate, lock).await;
        let db: &mut SqlServerConnection = run.connection().unwrap().downcast_mut().unwrap();
        let wait = shop.tables.statement("update {schema}.gate set balance = 2");
        let waits = db.execute(wait, &[]);
        tokio::time::timeout(Duration::from_millis(300), waits).await.unwrap_err();
        drop(run);
        shop.reach_accounts().await;
        drop(gate);
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn commits_that_the_network_swallows_take_effect_once_and_use_up_no_connection() {
        for lost in [Lost::Request, Lost::Answer] {
            let shop = Shop::open().await;
            let proxy = proxy().await;
            let builder = SqlServerStore::builder().schema(&shop.tables.0).connections(3);
            let store = builder.connect_with(by_way_of(&proxy)).await.unwrap();
            let app = application(store, &shop.tables, &shop.journal).start().await.unwrap();
            // More than there are connections.
            proxy.swallow_after(is_commit, lost, 5);
            for id in 0..8 {
                app.bus().send(Touch { id, millis: 0 }).await.unwrap();
            }
            let begun = Instant::now();
            soon("all take effect", async || shop.effects().await.len() == 8).await;
            app.until_idle().await.unwrap();
            println!("{lost:?}: {:?}", begun.elapsed());
            assert_eq!(proxy.swallowed(), 5);
            assert_eq!(shop.effects().await, (0..8).collect::<Vec<_>>());
            app.stop().await.unwrap();
        }
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn connections_that_fall_silent_while_handlers_run_keep_no_row() {
        let shop = Shop::open().await;
        let proxy = proxy().await;
        let store = open(&shop.tables, by_way_of(&proxy)).await;
        let app = application(store, &shop.tables, &shop.journal).start().await.unwrap();
        app.bus().send(Touch { id: 1, millis: 300 }).await.unwrap();
        shop.journal.wait_for("touched 1").await;
        // Of the store's own work, too.
        proxy.swallow_all();
        let silent = Instant::now();
        soon("it takes effect", async || shop.effects().await == [1]).await;
        println!("after {:?}", silent.elapsed());
        assert!(silent.elapsed() < 5 * LEASE, "{:?}", silent.elapsed());
        app.until_idle().await.unwrap();
        assert_eq!(shop.effects().await, [1]);
        app.stop().await.unwrap();
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn a_rollback_says_whether_the_transaction_is_undone() {
        let shop = Shop::open().await;
        let proxy = proxy().await;
        let store = open(&shop.tables, by_way_of(&proxy)).await;
        store.nodes().join("node", LEASE, &[]).await.unwrap();
        // It is silent, and the server answers on another connection.
        let run = locking(&store, &shop).await;
        proxy.swallow_all();
        run.rollback().await.unwrap();
        shop.reach_accounts().await;

        // Nothing answers.
        let run = locking(&store, &shop).await;
        proxy.pause();
        let asked = Instant::now();
        let error = run.rollback().await.unwrap_err();
        assert!(error.is_transient(), "{error:?}");
        assert!(asked.elapsed() < 2 * LEASE, "{:?}", asked.elapsed());
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn no_call_waits_for_a_silent_server_longer_than_the_lease() {
        let shop = Shop::open().await;
        let proxy = proxy().await;
        let store = open(&shop.tables, by_way_of(&proxy)).await;
        store.nodes().join("node", LEASE, &[]).await.unwrap();
        let run = store.begin(TransactionOptions::of("silent")).await.unwrap();
        proxy.pause();
        let asked = Instant::now();
        let begun = store.begin(TransactionOptions::of("late")).await.map(drop);
        let (committed, looked) = (
            run.commit(Completion::default()).await,
            store.inbox().claimable(Default::default()).await,
        );
        for error in [begun.unwrap_err(), committed.unwrap_err(), looked.unwrap_err()] {
            let in_time = matches!(error, StoreError::Deadline { .. } | StoreError::Busy { .. });
            assert!(in_time, "{error:?}");
        }
        assert!(asked.elapsed() < 3 * LEASE, "{:?}", asked.elapsed());
    }
}
