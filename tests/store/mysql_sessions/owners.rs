//! What a process that is gone has left at the server.

use std::process::Stdio;
use std::time::{Duration, Instant};

use jasper::prelude::*;
use jasper::store::{Completion, MessageStore, TransactionOptions};
use sqlx::MySqlConnection;
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::{Child, Command};

use tests::proxy::Proxy;

use super::database::{LEASE, Shop, Touch, soon, touch};

/// A process that handles one message, and has written when this returns.
async fn process_that_has_touched(shop: &Shop) -> Child {
    let mut command = Command::new(env!("CARGO_BIN_EXE_session-node"));
    let mut process =
        command.arg(&shop.url).kill_on_drop(true).stdout(Stdio::piped()).spawn().unwrap();
    let mut lines = BufReader::new(process.stdout.take().unwrap()).lines();
    assert_eq!(lines.next_line().await.unwrap().as_deref(), Some("touched 1"));
    process
}

async fn signal(process: &Child, signal: &str) {
    let id = process.id().expect("it runs").to_string();
    let status = Command::new("kill").args(["-s", signal, &id]).status().await;
    assert!(status.unwrap().success());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_process_that_freezes_in_a_handler_keeps_its_message_for_no_longer_than_its_lease() {
    let shop = Shop::open().await;
    let mut process = process_that_has_touched(&shop).await;
    signal(&process, "STOP").await;
    let frozen = Instant::now();
    let app = Jasper::builder()
        .store(shop.store().await)
        .lease(LEASE)
        .state(shop.journal.clone())
        .handler(touch)
        .start()
        .await
        .unwrap();
    soon("another node takes it over", async || shop.effects().await == [1]).await;
    println!("taken over after {:?}", frozen.elapsed());
    assert!(frozen.elapsed() < Duration::from_secs(15), "{:?}", frozen.elapsed());

    // It finds out that it is late, does nothing twice, and goes on.
    signal(&process, "CONT").await;
    let ends = tokio::time::timeout(Duration::from_secs(30), process.wait()).await;
    assert!(ends.unwrap().unwrap().success());
    assert_eq!(shop.effects().await, [1]);
    app.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_process_that_is_cut_off_in_a_handler_keeps_its_message_for_no_longer_than_its_lease() {
    let shop = Shop::open().await;
    let proxy = Proxy::in_front_of(&shop.url).await;
    let application = async |store| {
        let app = Jasper::builder().store(store).lease(LEASE).state(shop.journal.clone());
        app.handler(touch).start().await.unwrap()
    };
    let cut = application(MysqlStore::connect(&proxy.url(&shop.url)).await.unwrap()).await;
    cut.bus().send(Touch { id: 1, millis: 300 }).await.unwrap();
    shop.journal.wait_for("touched 1").await;
    proxy.pause();
    let since = Instant::now();
    let app = application(shop.store().await).await;
    soon("another node takes it over", async || shop.effects().await == [1]).await;
    assert!(since.elapsed() < Duration::from_secs(15), "{:?}", since.elapsed());

    // What it said meanwhile arrives late.
    proxy.resume();
    cut.until_idle().await.unwrap();
    soon("both are nodes", async || app_nodes(&shop).await == 2).await;
    assert_eq!(shop.effects().await, [1]);
    cut.stop().await.unwrap();
    app.stop().await.unwrap();
}

async fn app_nodes(shop: &Shop) -> usize {
    shop.store().await.nodes().alive().await.unwrap().len()
}

/// A transaction of this store that has locked the row.
async fn locking(store: &MysqlStore) -> Box<dyn jasper::store::StoreTransaction> {
    let mut run = store.begin(TransactionOptions::of("locking")).await.unwrap();
    let db: &mut MySqlConnection = run.connection().unwrap().downcast_mut().unwrap();
    sqlx::query("update accounts set balance = balance + 1").execute(db).await.unwrap();
    run
}

#[tokio::test]
async fn sessions_are_ended_of_a_process_that_is_gone_and_of_no_other() {
    let shop = Shop::open().await;
    let (store, other) = (shop.store().await, shop.store().await);
    let short = Duration::from_millis(1);
    let gone = store.nodes().join("late", short, &[]).await.unwrap().owner;

    // It has joined again, as a process does that was late.
    let back = store.nodes().join("late", 30 * LEASE, &[]).await.unwrap().owner;
    let run = locking(&store).await;
    assert_eq!(other.nodes().expired(None).await.unwrap().owners, [gone]);
    run.commit(Completion::default()).await.unwrap();

    // It is gone, with a connection of its pool, too.
    let mut users = store.pool().begin().await.unwrap();
    sqlx::query("insert into effects values (1)").execute(&mut *users).await.unwrap();
    let run = locking(&store).await;
    let ended = "update jasper_nodes set lease_until = 1 where node = ?";
    sqlx::query(ended).bind(back.number()).execute(&mut shop.connect().await).await.unwrap();
    let asked = Instant::now();
    assert!(other.nodes().expired(None).await.unwrap().owners.contains(&back));
    shop.execute("set innodb_lock_wait_timeout = 2; update accounts set balance = 7").await;
    assert!(asked.elapsed() < Duration::from_secs(2), "{:?}", asked.elapsed());
    assert!(run.commit(Completion::default()).await.unwrap_err().is_transient());
    users.commit().await.unwrap_err();
    assert!(shop.effects().await.is_empty());
    // New sessions take the place of those that are gone.
    locking(&store).await.commit(Completion::default()).await.unwrap();
}

#[tokio::test]
async fn sessions_of_a_process_that_has_left_are_left_alone() {
    let shop = Shop::open().await;
    let (store, other) = (shop.store().await, shop.store().await);
    // It had another number before, which it has lost.
    let lost = store.nodes().join("leaver", Duration::from_millis(1), &[]).await.unwrap().owner;
    let owner = store.nodes().join("leaver", LEASE, &[]).await.unwrap().owner;
    let run = locking(&store).await;
    soon("one is over", async || other.nodes().expired(None).await.unwrap().owners == [lost]).await;
    store.nodes().leave(owner).await.unwrap();
    let mut gone = other.nodes().expired(None).await.unwrap().owners;
    gone.sort_unstable();
    assert_eq!(gone, [lost, owner]);
    run.commit(Completion::default()).await.unwrap();
}

#[tokio::test]
async fn a_store_does_not_end_its_own_sessions() {
    let shop = Shop::open().await;
    let store = shop.store().await;
    let owner = store.nodes().join("late", Duration::from_millis(1), &[]).await.unwrap().owner;
    let run = locking(&store).await;
    soon("its lease is over", async || {
        store.nodes().expired(None).await.unwrap().owners == [owner]
    })
    .await;
    run.commit(Completion::default()).await.unwrap();
}

#[tokio::test]
async fn a_node_that_may_not_end_the_sessions_of_others_recovers_their_work_all_the_same() {
    let shop = Shop::open().await;
    let store = shop.store().await;
    let name = shop.url.rsplit('/').next().unwrap();
    let user = format!("s{}", std::process::id());
    shop.execute(&format!(
        "create user {user}; grant select, insert, update, delete on {name}.* to {user}"
    ))
    .await;
    let other = MysqlStore::connect(&shop.url.replace("root@", &format!("{user}@"))).await.unwrap();
    let gone = store.nodes().join("gone", Duration::from_millis(1), &[]).await.unwrap().owner;
    let run = locking(&store).await;
    soon("it is found", async || other.nodes().expired(None).await.unwrap().owners == [gone]).await;
    run.commit(Completion::default()).await.unwrap();
    shop.execute(&format!("drop user {user}")).await;
}
