//! A handler that meets another transaction runs again and costs no attempt, in bounds: on SQLite.

#[path = "conflicts/stage.rs"]
mod stage;

use std::sync::Arc;

use jasper::prelude::*;
use serde::{Deserialize, Serialize};
use sqlx::{Connection, SqliteConnection, raw_sql};

use stage::{AppError, Runs, Stage, UNCOUNTED, Wrap};

#[derive(Command, Serialize, Deserialize)]
#[command(name = "conflicts.meet-sqlite")]
struct MeetSqlite {
    path: String,
    times: u64,
}

/// Writes over a connection of its own, too, which its transaction keeps waiting.
#[handler(queue = "sqlite", attempts = 1)]
#[durable]
async fn on_sqlite(
    cmd: MeetSqlite,
    db: &mut SqliteConnection,
    runs: State<Arc<Runs>>,
) -> Result<(), AppError<sqlx::Error>> {
    let around = |error| Wrap::Within.around(error);
    let runs = runs.count("sqlite");
    raw_sql("create table if not exists numbers (number integer)")
        .execute(db)
        .await
        .map_err(around)?;
    if runs > cmd.times {
        return Ok(());
    }
    let mut own = SqliteConnection::connect(&cmd.path).await.map_err(around)?;
    let write = "pragma busy_timeout = 1; create table others (number integer)";
    raw_sql(write).execute(&mut own).await.map(drop).map_err(around)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_busy_file_costs_no_attempt_within_bounds() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("conflicts.db");
    let stage = Stage::start(SqliteStore::open(&path).await.unwrap(), |app| app).await;
    let path = path.to_str().unwrap().to_owned();
    stage.app.bus().send(MeetSqlite { path: path.clone(), times: 2 }).await.unwrap();
    assert_eq!(stage.letters().await, []);
    assert_eq!(stage.runs.of("sqlite"), 3);
    stage.app.bus().send(MeetSqlite { path, times: u64::MAX }).await.unwrap();
    assert_eq!(stage.letters().await.len(), 1);
    assert_eq!(stage.runs.of("sqlite"), 3 + UNCOUNTED + 1);
    stage.app.stop().await.unwrap();
}
