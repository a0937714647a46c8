//! Recovery that sweeps all the time, beside a node that receives and one that is always late.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use jasper::store::MessageStore;
use jasper::store::sqlserver::SqlServerStore;
use tokio::time::timeout;

use super::database::{Touch, application, soon};
use super::shop::Shop;

/// What a node does to recover the work of others, with no pause to speak of, until it is over.
async fn sweep(store: SqlServerStore, is_over: Arc<AtomicBool>, sweeps: Arc<AtomicU64>) {
    while !is_over.load(Ordering::SeqCst) {
        // Two that sweep at once may end each other's transaction as a deadlock.
        let gone = store.nodes().expired(None).await.map(|gone| gone.owners);
        for owner in gone.unwrap_or_default() {
            drop(store.inbox().release(owner, 1_000).await);
            drop(store.outbox().release(owner, 1_000).await);
            drop(store.nodes().forget(owner).await);
        }
        sweeps.fetch_add(1, Ordering::SeqCst);
        // Real time: it is the rate of the sweeps.
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
}

mod on_sqlserver {
    use super::*;

    /// As many messages as `JASPER_SWEPT` says.
    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn sweeping_all_the_time_takes_nothing_from_a_node_that_lives() {
        let messages = std::env::var("JASPER_SWEPT").map_or(100, |text| text.parse().unwrap());
        let shop = Shop::open().await;
        let store = shop.store().await;
        let app = application(store.clone(), &shop.tables, &shop.journal).start().await.unwrap();
        let (is_over, sweeps) = (Arc::<AtomicBool>::default(), Arc::<AtomicU64>::default());
        let mut sweepers = tokio::task::JoinSet::new();
        for _ in 0..2 {
            let store = shop.store().await;
            sweepers.spawn(sweep(store, Arc::clone(&is_over), Arc::clone(&sweeps)));
        }
        for page in 0..messages / 50 {
            let ids = page * 50..(page + 1) * 50;
            let touches = ids.map(|id| Touch { id, millis: 0 });
            app.bus().send_all(touches).await.unwrap();
            // It owns nothing, and its lease is over at once: there is something to forget.
            store.nodes().join("late", Duration::from_millis(1), &[]).await.unwrap();
        }
        let idle = timeout(Duration::from_secs(600), app.until_idle()).await;
        idle.expect("it becomes idle").unwrap();
        soon("it sweeps", async || sweeps.load(Ordering::SeqCst) > 2).await;
        is_over.store(true, Ordering::SeqCst);
        sweepers.join_all().await;
        println!("{messages} messages, {} sweeps", sweeps.load(Ordering::SeqCst));
        assert_eq!(shop.effects().await, (0..messages).collect::<Vec<_>>());
        app.stop().await.unwrap();
    }
}
