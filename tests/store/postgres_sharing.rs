//! Handlers that share transactions, in an application that is busy.

#[path = "../postgres_schema.rs"]
mod postgres_schema;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use jasper::prelude::*;
use jasper::store::postgres::PostgresStore;
use jasper::store::{DeadLetterQuery, MessageStore};
use serde::{Deserialize, Serialize};
use sqlx::PgConnection;

use postgres_schema::Schema;

const TABLES: &str = "create table numbers (number bigint primary key);
    create table effects (number bigint references numbers deferrable initially deferred);
    insert into numbers values (1)";

/// How long a message may take that fails whenever it runs.
const PATIENCE: Duration = Duration::from_secs(20);

#[derive(Command, Serialize, Deserialize)]
struct Write {
    number: i64,
}

#[handler(attempts = 2, delays = [], concurrency = 50)]
#[durable(share = 50)]
async fn write(cmd: Write, db: &mut PgConnection) -> sqlx::Result<()> {
    let write = sqlx::query("insert into effects values ($1)").bind(cmd.number);
    write.execute(db).await.map(drop)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_that_the_database_never_commits_is_given_up_however_busy_the_others_are() {
    let (store, _schema) = Schema::open().await;
    sqlx::raw_sql(TABLES).execute(store.pool()).await.unwrap();
    let app = Jasper::builder().store(store.clone()).handler(write).start().await.unwrap();
    let is_busy = Arc::new(AtomicBool::new(true));
    let others = (0..60).map(|_| {
        let (bus, is_busy) = (app.bus().clone(), Arc::clone(&is_busy));
        tokio::spawn(async move {
            while is_busy.load(Ordering::Relaxed) {
                bus.send(Write { number: 1 }).await.unwrap();
            }
        })
    });
    let others: Vec<_> = others.collect();
    app.bus().send(Write { number: 7 }).await.unwrap();
    let given_up = tokio::time::timeout(PATIENCE, given_up(&store)).await;
    is_busy.store(false, Ordering::Relaxed);
    for other in others {
        other.await.unwrap();
    }
    app.stop().await.unwrap();
    given_up.expect("the one at fault runs alone, and fails");
}

async fn given_up(store: &PostgresStore) {
    while store.dead_letters().list(DeadLetterQuery::default()).await.unwrap().is_empty() {
        // Real time: the database gives no word of dead letters.
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}
