//! Sessions at MariaDB that are silent, frozen or cut: none keeps a row from the others for long,
//! none takes a connection away for good, and nothing takes effect twice.

#[path = "mysql_sessions/blame.rs"]
mod blame;
#[path = "mysql_sessions/credentials.rs"]
mod credentials;
#[path = "mysql_sessions/database.rs"]
mod database;
#[path = "mysql_sessions/owners.rs"]
mod owners;
#[path = "mysql_sessions/poison.rs"]
mod poison;

use std::time::{Duration, Instant};

use database::{LEASE, Shop, Touch, soon, touch};
use jasper::prelude::*;
use jasper::store::{Completion, DeadLetterQuery, MessageStore, StoreError, TransactionOptions};
use serde::{Deserialize, Serialize};
use sqlx::MySqlConnection;
use tests::proxy::{Lost, Proxy};
use tests::servers::Server;

/// What the store sends to commit a run.
fn is_commit(bytes: &[u8]) -> bool {
    bytes.windows(b"; commit".len()).any(|window| window == b"; commit")
}

async fn application(shop: &Shop, url: &str, connections: u32) -> Jasper {
    let store = MysqlStore::builder().connections(connections).connect(url).await.unwrap();
    let app = Jasper::builder().store(store).lease(LEASE).state(shop.journal.clone());
    app.handler(touch).handler(slow).start().await.unwrap()
}

#[derive(Command, Serialize, Deserialize)]
struct Slow;

/// The row is locked and the statement runs when the time is over.
#[handler(queue = "slow", attempts = 1, timeout = "500ms")]
#[durable]
async fn slow(_cmd: Slow, db: &mut MySqlConnection) -> sqlx::Result<()> {
    sqlx::query("update accounts set balance = balance + 1").execute(&mut *db).await?;
    sqlx::query("select sleep(20)").execute(db).await.map(drop)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_statement_of_a_handler_that_times_out_is_cancelled_at_the_server() {
    let shop = Shop::open().await;
    let app = application(&shop, &shop.url, 4).await;
    let sent = Instant::now();
    app.bus().send(Slow).await.unwrap();
    soon("it runs", async || shop.executing("sleep(20)").await == 1).await;
    app.until_idle().await.unwrap();
    soon("it is cancelled", async || shop.executing("sleep(20)").await == 0).await;
    shop.execute("update accounts set balance = 7").await;
    assert!(sent.elapsed() < Duration::from_secs(10), "{:?}", sent.elapsed());
    // The handler's fault, and counted as such.
    let store = shop.store().await;
    let letters = store.dead_letters().list(DeadLetterQuery::default());
    assert_eq!(letters.await.unwrap().len(), 1);
    app.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_run_that_is_dropped_leaves_nothing_at_the_server() {
    let shop = Shop::open().await;
    let store = shop.store().await;
    let mut run = store.begin(TransactionOptions::of("dropped")).await.unwrap();
    let db: &mut MySqlConnection = run.connection().unwrap().downcast_mut().unwrap();
    sqlx::query("update accounts set balance = 1").execute(&mut *db).await.unwrap();
    let query = sqlx::query("select sleep(20)").execute(db);
    tokio::time::timeout(Duration::from_millis(100), query).await.unwrap_err();
    let dropped = Instant::now();
    drop(run);
    shop.execute("update accounts set balance = 7").await;
    assert!(dropped.elapsed() < Duration::from_secs(2), "{:?}", dropped.elapsed());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn commits_that_the_network_swallows_take_effect_once_and_use_up_no_connection() {
    for lost in [Lost::Request, Lost::Answer] {
        let shop = Shop::open().await;
        let proxy = Proxy::in_front_of(&shop.url).await;
        let app = application(&shop, &proxy.url(&shop.url), 3).await;
        // More than there are connections.
        proxy.swallow_after(is_commit, lost, 7);
        for id in 0..10 {
            app.bus().send(Touch { id, millis: 0 }).await.unwrap();
        }
        let begun = Instant::now();
        soon("all take effect", async || shop.effects().await.len() == 10).await;
        app.until_idle().await.unwrap();
        println!("{lost:?}: {:?}", begun.elapsed());
        assert_eq!(proxy.swallowed(), 7);
        assert_eq!(shop.effects().await, (0..10).collect::<Vec<_>>());
        app.stop().await.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn connections_that_fall_silent_while_handlers_run_keep_no_row() {
    let shop = Shop::open().await;
    let proxy = Proxy::in_front_of(&shop.url).await;
    let app = application(&shop, &proxy.url(&shop.url), 3).await;
    app.bus().send(Touch { id: 1, millis: 300 }).await.unwrap();
    shop.journal.wait_for("touched 1").await;
    // Of the store's own work, too.
    proxy.swallow_all();
    let silent = Instant::now();
    soon("it takes effect", async || shop.effects().await == [1]).await;
    assert!(silent.elapsed() < 5 * LEASE, "{:?}", silent.elapsed());
    app.until_idle().await.unwrap();
    assert_eq!(shop.effects().await, [1]);
    app.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_rollback_says_whether_the_transaction_is_undone() {
    let shop = Shop::open().await;
    let proxy = Proxy::in_front_of(&shop.url).await;
    let store = MysqlStore::connect(&proxy.url(&shop.url)).await.unwrap();
    store.nodes().join("node", LEASE, &[]).await.unwrap();
    let begin = async || {
        let mut run = store.begin(TransactionOptions::of("silent")).await.unwrap();
        let db: &mut MySqlConnection = run.connection().unwrap().downcast_mut().unwrap();
        sqlx::query("update accounts set balance = 1").execute(db).await.unwrap();
        run
    };
    // It is silent, and the server answers on another connection.
    let run = begin().await;
    proxy.swallow_all();
    run.rollback().await.unwrap();
    shop.execute("update accounts set balance = 7").await;

    // Nothing answers.
    let run = begin().await;
    proxy.pause();
    let asked = Instant::now();
    let error = run.rollback().await.unwrap_err();
    assert!(error.is_transient(), "{error:?}");
    assert!(asked.elapsed() < 3 * LEASE, "{:?}", asked.elapsed());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_call_waits_for_a_silent_server_longer_than_the_lease() {
    let shop = Shop::open().await;
    let proxy = Proxy::in_front_of(&shop.url).await;
    let store = MysqlStore::connect(&proxy.url(&shop.url)).await.unwrap();
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

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_that_starts_anew_is_found_and_no_session_of_its_own_is_ended_for_an_old_one() {
    let server = Server::mariadb().await;
    let shop = Shop::open_on(&server).await;
    let app = application(&shop, &shop.url, 3).await;
    for id in 0..5 {
        app.bus().send(Touch { id, millis: 0 }).await.unwrap();
    }
    app.until_idle().await.unwrap();
    let store = shop.store().await;
    let lost = store.begin(TransactionOptions::of("lost")).await.unwrap();
    server.restart_immediately().await;
    // These have the numbers that others had before.
    let mut after = Vec::new();
    for _number in 0..30 {
        after.push(shop.connect().await);
    }
    lost.rollback().await.expect("what was done in a session that is gone is undone");
    store
        .begin(TransactionOptions::of("found"))
        .await
        .unwrap()
        .commit(Completion::default())
        .await
        .unwrap();
    for id in 5..10 {
        let send = || app.bus().send(Touch { id, millis: 0 }).deduplicate(id.to_string());
        soon("it is sent", async || send().await.is_ok()).await;
    }
    soon("all take effect", async || shop.effects().await.len() == 10).await;
    app.until_idle().await.unwrap();
    assert_eq!(shop.effects().await, (0..10).collect::<Vec<_>>());
    for mut connection in after {
        sqlx::query("select 1").execute(&mut connection).await.expect("it is another's");
    }
    app.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_server_ends_a_transaction_in_which_nothing_happens() {
    let shop = Shop::open().await;
    let store = shop.store().await;
    store.nodes().join("node", LEASE, &[]).await.unwrap();
    let limit = Duration::from_secs(1);
    let mut run =
        store.begin(TransactionOptions { limit, ..TransactionOptions::of("idle") }).await.unwrap();
    let db: &mut MySqlConnection = run.connection().unwrap().downcast_mut().unwrap();
    sqlx::query("update accounts set balance = 1").execute(&mut *db).await.unwrap();
    let begun = Instant::now();
    shop.execute("update accounts set balance = 7").await;
    // Not before the handler's time is over.
    assert!(begun.elapsed() > limit, "{:?}", begun.elapsed());
    assert!(begun.elapsed() < Duration::from_secs(8), "{:?}", begun.elapsed());
}
