//! A node that stops while another transaction has locked what it has to change: it goes on once
//! that ends, and leaves the store.

use std::time::Duration;

use futures_util::join;
use jasper::prelude::*;
use jasper::store::MessageStore;
use jasper::store::mysql::MysqlStore;
use tests::servers::{new_mariadb_database, new_postgres_database};
use tests::{Fixture, Journal};

use super::LONG;

/// Half of it is the limit of a call.
const LEASE: Duration = Duration::from_secs(4);

/// Longer than a call waits, and shorter than a stop does.
const HELD: Duration = Duration::from_secs(3);

async fn start(store: impl MessageStore) -> Jasper {
    // Nothing but the stop meets the lock.
    let app = Jasper::builder().store(store).state(Journal::default());
    app.lease(LEASE).poll_interval(LONG).start().await.unwrap()
}

/// `unlock` ends the transaction that has locked what the stop needs.
async fn leaves_once_it_is_unlocked(
    app: Jasper,
    store: impl MessageStore,
    unlock: impl Future<Output = ()>,
) {
    let unlock = async {
        // Real time: the database counts how long a call waits.
        tokio::time::sleep(HELD).await;
        unlock.await;
    };
    let (stopped, ()) = join!(app.stop(), unlock);
    stopped.unwrap();
    assert_eq!(store.nodes().alive().await.unwrap(), []);
}

#[tokio::test]
async fn a_stop_waits_for_a_row_that_is_locked_on_postgres() {
    let store = PostgresStore::connect(&new_postgres_database("nodes").await).await.unwrap();
    let app = start(store.clone()).await;
    let mut other = store.pool().begin().await.unwrap();
    sqlx::query("select from jasper.jasper_nodes for update").execute(&mut *other).await.unwrap();
    let unlock = async { other.rollback().await.unwrap() };
    leaves_once_it_is_unlocked(app, store, unlock).await;
}

#[tokio::test]
async fn a_stop_waits_for_a_row_that_is_locked_on_mariadb() {
    let store = MysqlStore::connect(&new_mariadb_database("nodes").await).await.unwrap();
    let app = start(store.clone()).await;
    let mut other = store.pool().begin().await.unwrap();
    sqlx::query("select 1 from jasper_nodes for update").execute(&mut *other).await.unwrap();
    let unlock = async { other.rollback().await.unwrap() };
    leaves_once_it_is_unlocked(app, store, unlock).await;
}

#[tokio::test]
async fn a_stop_waits_for_a_file_that_is_locked() {
    let fixture = Fixture::create();
    let (store, other) = (fixture.store().await, fixture.store().await);
    let app = start(store.clone()).await;
    let mut other = other.pool().acquire().await.unwrap();
    sqlx::raw_sql("begin immediate").execute(&mut *other).await.unwrap();
    let unlock = async {
        sqlx::raw_sql("rollback").execute(&mut *other).await.unwrap();
    };
    leaves_once_it_is_unlocked(app, store, unlock).await;
}
