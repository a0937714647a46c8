//! What a process that is gone has left at the server.

use std::process::Stdio;
use std::time::{Duration, Instant};

use jasper::store::{Completion, MessageStore};
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::{Child, Command};

use super::database::{LEASE, Touch, application, by_way_of, open, proxy, soon};
use super::locking;
use super::shop::Shop;

/// In which another node is to go on.
const TAKEN_OVER: Duration = Duration::from_secs(15);

/// A process that handles one message, and has written when this returns.
async fn process_that_has_touched(shop: &Shop) -> Child {
    let mut command = Command::new(env!("CARGO_BIN_EXE_sqlserver-session-node"));
    let mut process =
        command.arg(&shop.tables.0).kill_on_drop(true).stdout(Stdio::piped()).spawn().unwrap();
    let mut lines = BufReader::new(process.stdout.take().unwrap()).lines();
    assert_eq!(lines.next_line().await.unwrap().as_deref(), Some("touched 1"));
    process
}

async fn signal(process: &Child, signal: &str) {
    let id = process.id().expect("it runs").to_string();
    let status = Command::new("kill").args(["-s", signal, &id]).status().await;
    assert!(status.unwrap().success());
}

mod on_sqlserver {
    use super::*;

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn a_process_that_freezes_in_a_handler_keeps_its_message_for_no_longer_than_its_lease() {
        let shop = Shop::open().await;
        let mut process = process_that_has_touched(&shop).await;
        signal(&process, "STOP").await;
        let frozen = Instant::now();
        let app = application(shop.store().await, &shop.tables, &shop.journal);
        let app = app.start().await.unwrap();
        soon("another node takes it over", async || shop.effects().await == [1]).await;
        println!("taken over after {:?}", frozen.elapsed());
        assert!(frozen.elapsed() < TAKEN_OVER, "{:?}", frozen.elapsed());

        // It finds out that it is late, does nothing twice, and goes on.
        signal(&process, "CONT").await;
        let ends = tokio::time::timeout(Duration::from_secs(60), process.wait()).await;
        assert!(ends.unwrap().unwrap().success());
        assert_eq!(shop.effects().await, [1]);
        app.stop().await.unwrap();
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn a_process_that_is_cut_off_in_a_handler_keeps_its_message_for_no_longer_than_its_lease()
    {
        let shop = Shop::open().await;
        let proxy = proxy().await;
        let behind = open(&shop.tables, by_way_of(&proxy)).await;
        let cut = application(behind, &shop.tables, &shop.journal).start().await.unwrap();
        cut.bus().send(Touch { id: 1, millis: 300 }).await.unwrap();
        shop.journal.wait_for("touched 1").await;
        proxy.pause();
        let since = Instant::now();
        let store = shop.store().await;
        let app = application(store.clone(), &shop.tables, &shop.journal).start().await.unwrap();
        soon("another node takes it over", async || shop.effects().await == [1]).await;
        println!("taken over after {:?}", since.elapsed());
        assert!(since.elapsed() < TAKEN_OVER, "{:?}", since.elapsed());

        // What it said meanwhile arrives late.
        proxy.resume();
        cut.until_idle().await.unwrap();
        soon("both are nodes", async || store.nodes().alive().await.unwrap().len() == 2).await;
        assert_eq!(shop.effects().await, [1]);
        cut.stop().await.unwrap();
        app.stop().await.unwrap();
    }

    #[tokio::test]
    async fn sessions_are_ended_of_a_process_that_is_gone_and_of_no_other() {
        let shop = Shop::open().await;
        let (store, other) = (shop.store().await, shop.store().await);
        let short = Duration::from_millis(1);
        let gone = store.nodes().join("late", short, &[]).await.unwrap().owner;

        // It has joined again, as a process does that was late.
        let back = store.nodes().join("late", 30 * LEASE, &[]).await.unwrap().owner;
        let run = locking(&store, &shop).await;
        assert_eq!(other.nodes().expired(None).await.unwrap().owners, [gone]);
        run.commit(Completion::default()).await.unwrap();

        // It is gone, with a connection of its pool, too.
        let mut users = store.pool().begin().await.unwrap();
        let insert = shop.tables.statement("insert into {schema}.effects values (1)");
        users.execute(insert, &[]).await.unwrap();
        let run = locking(&store, &shop).await;
        let ended = "update {schema}.jasper_nodes set lease_until = 1 where node = ";
        shop.execute(&format!("{ended}{}", back.number())).await;
        assert!(other.nodes().expired(None).await.unwrap().owners.contains(&back));
        shop.reach_accounts().await;
        assert!(run.commit(Completion::default()).await.unwrap_err().is_transient());
        users.commit().await.unwrap_err();
        assert!(shop.effects().await.is_empty());
        // New sessions take the place of those that are gone.
        locking(&store, &shop).await.commit(Completion::default()).await.unwrap();
    }

    #[tokio::test]
    async fn sessions_of_a_process_that_has_left_are_left_alone() {
        let shop = Shop::open().await;
        let (store, other) = (shop.store().await, shop.store().await);
        // It had another number before, which it has lost.
        let lost = store.nodes().join("leaver", Duration::from_millis(1), &[]).await.unwrap().owner;
        let owner = store.nodes().join("leaver", LEASE, &[]).await.unwrap().owner;
        let run = locking(&store, &shop).await;
        soon("one is over", async || {
            other.nodes().expired(None).await.unwrap().owners.contains(&lost)
        })
        .await;
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
        let run = locking(&store, &shop).await;
        soon("its lease is over", async || {
            store.nodes().expired(None).await.unwrap().owners == [owner]
        })
        .await;
        run.commit(Completion::default()).await.unwrap();
    }
}
