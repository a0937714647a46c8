//! A handler's transaction that meets another one runs again and costs no attempt, in bounds: on
//! PostgreSQL.

#[path = "conflicts/stage.rs"]
mod stage;

use std::sync::Arc;

use jasper::prelude::*;
use jasper::store::DeadLetterReason;
use serde::{Deserialize, Serialize};
use sqlx::postgres::PgConnectOptions;
use sqlx::{AssertSqlSafe, PgConnection, raw_sql};
use tests::servers::new_postgres_database;
use tokio::sync::Barrier;

use stage::{AppError, Runs, Stage, UNCOUNTED, Wrap};

/// Fails with this statement in its first runs.
#[derive(Command, Serialize, Deserialize)]
#[command(name = "conflicts.meet")]
struct Meet {
    sql: String,
    times: u64,
    wrap: Wrap,
}

#[derive(Command, Serialize, Deserialize)]
#[command(name = "conflicts.meet-shared")]
struct MeetShared(Meet);

#[handler(queue = "postgres", attempts = 1)]
#[durable]
async fn on_postgres(
    cmd: Meet,
    db: &mut PgConnection,
    runs: State<Arc<Runs>>,
) -> Result<(), AppError<sqlx::Error>> {
    let of = format!("{}{}", cmd.sql, cmd.wrap as u8);
    let sql = if runs.count(&of) <= cmd.times { cmd.sql } else { "select 1".to_owned() };
    let done = raw_sql(AssertSqlSafe(sql)).execute(db).await;
    done.map(drop).map_err(|error| cmd.wrap.around(error))
}

#[handler(queue = "shared", attempts = 1)]
#[durable(share = 20)]
async fn shared(
    cmd: MeetShared,
    db: &mut PgConnection,
    runs: State<Arc<Runs>>,
) -> Result<(), AppError<sqlx::Error>> {
    on_postgres(cmd.0, db, runs).await
}

async fn postgres() -> Stage<PostgresStore> {
    let url = new_postgres_database("conflicts").await;
    start(PostgresStore::connect(&url).await.unwrap()).await
}

async fn start(store: PostgresStore) -> Stage<PostgresStore> {
    Stage::start(store, |app| app.state(Arc::new(Barrier::new(2)))).await
}

fn raised(code: &str) -> String {
    format!("do $$ begin raise exception 'met another' using errcode = '{code}'; end $$")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_conflict_costs_no_attempt_however_it_is_wrapped() {
    let stage = postgres().await;
    for code in ["40001", "40P01", "55P03"] {
        for wrap in [Wrap::Transparent, Wrap::Within, Wrap::Shared] {
            let meet = Meet { sql: raised(code), times: 2, wrap };
            stage.app.bus().send(meet).await.unwrap();
        }
    }
    let meet = Meet { sql: raised("40001"), times: UNCOUNTED, wrap: Wrap::Transparent };
    stage.app.bus().send(MeetShared(meet)).await.unwrap();
    assert_eq!(stage.letters().await, []);
    assert!(stage.runs.of(&format!("{}1", raised("40P01"))) == 3);
    stage.app.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_conflict_that_comes_again_is_counted_and_so_is_any_other_error() {
    let stage = postgres().await;
    for code in ["40001", "23505"] {
        let meet = Meet { sql: raised(code), times: u64::MAX, wrap: Wrap::Within };
        stage.app.bus().send(meet).await.unwrap();
    }
    let letters = stage.letters().await;
    let reasons: Vec<_> = letters.iter().map(|letter| letter.reason).collect();
    assert_eq!(reasons, [DeadLetterReason::Exhausted; 2]);
    assert_eq!(stage.runs.of(&format!("{}1", raised("40001"))), UNCOUNTED + 1);
    assert_eq!(stage.runs.of(&format!("{}1", raised("23505"))), 1);
    stage.app.stop().await.unwrap();
}

/// Adds one to a number that it has read, in a transaction that is serializable. The first two runs
/// both read before either of them writes.
#[derive(Command, Serialize, Deserialize)]
#[command(name = "conflicts.add")]
struct Add;

#[handler(queue = "add", concurrency = 2, attempts = 1)]
#[durable]
async fn add(
    _cmd: Add,
    db: &mut PgConnection,
    runs: State<Arc<Runs>>,
    both_have_read: State<Arc<Barrier>>,
) -> sqlx::Result<()> {
    let run = runs.count("add");
    let read = sqlx::query_scalar("select number from numbers");
    let number: i64 = read.fetch_one(&mut *db).await?;
    if run <= 2 {
        both_have_read.wait().await;
    }
    sqlx::query("update numbers set number = $1").bind(number + 1).execute(db).await.map(drop)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn handlers_that_change_one_row_at_once_all_succeed() {
    let url = new_postgres_database("conflicts").await;
    let options: PgConnectOptions = url.parse().unwrap();
    let options = options.options([("default_transaction_isolation", "serializable")]);
    let stage = start(PostgresStore::connect_with(options).await.unwrap()).await;
    let table = "create table numbers (number bigint); insert into numbers values (0)";
    raw_sql(table).execute(stage.store.pool()).await.unwrap();
    for _ in 0..10 {
        stage.app.bus().send(Add).await.unwrap();
    }
    assert_eq!(stage.letters().await, []);
    let number: i64 = sqlx::query_scalar("select number from numbers")
        .fetch_one(stage.store.pool())
        .await
        .unwrap();
    assert_eq!(number, 10);
    assert!(stage.runs.of("add") > 10, "the first two have met each other");
    stage.app.stop().await.unwrap();
}
