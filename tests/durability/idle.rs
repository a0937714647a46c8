//! What a node with nothing to do costs its database.

use std::time::Duration;

use jasper::prelude::*;
use jasper::store::MessageStore;
use jasper::store::mysql::MysqlStore;
use jasper::store::postgres::PostgresStore;
use serde::{Deserialize, Serialize};
use sqlx::{Connection, MySqlConnection, PgConnection, Row};
use tests::servers::Server;

#[derive(Command, Serialize, Deserialize)]
#[command(name = "idle.work")]
struct Work;

#[handler]
#[durable]
async fn work(_: Work) {}

/// Long enough for what is asked for at the start to be over, and counted by the server.
const SETTLED: Duration = Duration::from_secs(15);
const COUNTED: Duration = Duration::from_secs(20);
/// More than two minutes: what is asked once a minute falls into some of them.
const WINDOWS: usize = 8;
const NODES: u64 = 3;

async fn start(store: impl MessageStore) -> Jasper {
    Jasper::builder().store(store).handler(work).start().await.unwrap()
}

/// The statements of each node in a second; `counted` says how many there were by now. Where they
/// are more than expected, it is measured again: once a minute a node purges, and reads the clock
/// on a new connection; and on a busy machine some calls are made twice, but not all the time.
async fn rate(expected: f64, counted: impl AsyncFn() -> i64) -> f64 {
    // Real time: it is a rate that is measured.
    tokio::time::sleep(SETTLED).await;
    let mut rate = f64::MAX;
    for _ in 0..WINDOWS {
        let before = counted().await;
        // Real time: as above.
        tokio::time::sleep(COUNTED).await;
        rate = (counted().await - before) as f64 / COUNTED.as_secs_f64() / NODES as f64;
        println!("{rate:.2} statements a second for each node");
        if rate <= expected {
            break;
        }
    }
    rate
}

/// Each statement of an idle node is a transaction by itself.
#[tokio::test]
async fn an_idle_node_on_postgres_sends_a_statement_in_two_seconds() {
    let server = Server::postgres().await;
    let mut admin = PgConnection::connect(server.url()).await.unwrap();
    // A vacuum of its own accord is transactions, too.
    let settings = ["alter system set autovacuum = off", "select pg_reload_conf()"];
    for statement in settings.into_iter().chain(["create database idle"]) {
        sqlx::raw_sql(statement).execute(&mut admin).await.unwrap();
    }
    let (at, _database) = server.url().rsplit_once('/').unwrap();
    let url = format!("{at}/idle");
    let mut apps = Vec::new();
    for _ in 0..NODES {
        apps.push(start(PostgresStore::connect(&url).await.unwrap()).await);
    }
    let count = async || -> i64 {
        let count = "select (xact_commit + xact_rollback)::bigint from pg_stat_database \
                     where datname = $1";
        // From another database, so that what is counted is not the counting.
        let mut admin = PgConnection::connect(server.url()).await.unwrap();
        sqlx::query_scalar(count).bind("idle").fetch_one(&mut admin).await.unwrap()
    };
    let expected = 0.6;
    let rate = rate(expected, count).await;
    assert!(rate <= expected, "{rate}");
    for app in apps {
        app.stop().await.unwrap();
    }
}

#[tokio::test]
async fn an_idle_node_on_mariadb_sends_a_statement_in_a_second() {
    let server = Server::mariadb().await;
    let mut admin = MySqlConnection::connect(server.url()).await.unwrap();
    sqlx::raw_sql("create database idle").execute(&mut admin).await.unwrap();
    let url = format!("{}idle", server.url());
    let mut apps = Vec::new();
    for _ in 0..NODES {
        apps.push(start(MysqlStore::connect(&url).await.unwrap()).await);
    }
    let count = async || -> i64 {
        let mut admin = MySqlConnection::connect(server.url()).await.unwrap();
        let row = sqlx::raw_sql("show global status like 'Questions'")
            .fetch_one(&mut admin)
            .await
            .unwrap();
        row.get::<String, _>(1).parse().unwrap()
    };
    let expected = 1.2;
    let rate = rate(expected, count).await;
    assert!(rate <= expected, "{rate}");
    for app in apps {
        app.stop().await.unwrap();
    }
}
