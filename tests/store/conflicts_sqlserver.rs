//! A handler's transaction that meets another one runs again and costs no attempt: on SQL Server.

#[path = "../sqlserver_schema.rs"]
mod sqlserver_schema;
#[path = "conflicts/stage.rs"]
mod stage;

use std::sync::Arc;

use jasper::prelude::*;
use jasper::store::DeadLetterReason;
use jasper::store::sqlserver::{SqlServerConnection, tiberius};
use serde::{Deserialize, Serialize};
use tokio::sync::Barrier;

use sqlserver_schema::{Schema, connect, execute, number};
use stage::{AppError, Runs, Stage, UNCOUNTED, Wrap};

type DriverError = tiberius::error::Error;

/// Adds one to two rows, the second after another message has done so with its first.
#[derive(Command, Serialize, Deserialize)]
#[command(name = "conflicts.add")]
struct Add {
    table: String,
    ids: [u8; 2],
    wrap: Wrap,
}

#[handler(queue = "sqlserver", concurrency = 2, attempts = 1)]
#[durable]
async fn add(
    cmd: Add,
    db: &mut SqlServerConnection,
    runs: State<Arc<Runs>>,
    both: State<Barrier>,
) -> Result<(), AppError<DriverError>> {
    let runs = runs.count(&format!("{:?}", cmd.ids));
    for id in cmd.ids {
        let update = format!("update {} set number = number + 1 where id = @P1", cmd.table);
        let done = db.execute(update, &[&i64::from(id)]).await;
        done.map_err(|error| cmd.wrap.around(error))?;
        if runs == 1 && id == cmd.ids[0] {
            both.wait().await;
        }
    }
    Ok(())
}

/// Fails with this statement.
#[derive(Command, Serialize, Deserialize)]
#[command(name = "conflicts.fail")]
struct Fail {
    sql: String,
}

#[handler(queue = "failing", attempts = 1)]
#[durable]
async fn fail(
    cmd: Fail,
    db: &mut SqlServerConnection,
    runs: State<Arc<Runs>>,
) -> Result<(), DriverError> {
    runs.count(&cmd.sql);
    db.simple_query(cmd.sql).await?.into_results().await.map(drop)
}

/// A table with two rows, in a schema of its own.
async fn stage() -> (Stage<SqlServerStore>, String, Schema) {
    let schema = Schema::new();
    let store = schema.store().await;
    let stage = Stage::start(store, |app| app.state(Barrier::new(2))).await;
    let table = format!("[{}].numbers", schema.name());
    let create = format!(
        "create table {table} (id bigint not null primary key, number bigint not null);
         insert into {table} (id, number) values (1, 0), (2, 0)"
    );
    execute(&mut connect().await, &create).await;
    (stage, table, schema)
}

/// `tests/run` leaves them out by this name where there is no server.
mod on_sqlserver {
    use super::*;

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn a_deadlock_costs_no_attempt_however_it_is_wrapped() {
        for wrap in [Wrap::Within, Wrap::Shared] {
            let (stage, table, _schema) = stage().await;
            for ids in [[1, 2], [2, 1]] {
                let add = Add { table: table.clone(), ids, wrap };
                stage.app.bus().send(add).await.unwrap();
            }
            assert_eq!(stage.letters().await, []);
            let sum = format!("select sum(number) from {table} where number = 2");
            assert_eq!(number(&mut connect().await, &sum).await, 4);
            let runs = stage.runs.of("[1, 2]") + stage.runs.of("[2, 1]");
            let possible = 3..=2 * (UNCOUNTED + 1);
            assert!(possible.contains(&runs), "one of them has met the other: {runs}");
            stage.app.stop().await.unwrap();
        }
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn no_other_error_is_a_conflict() {
        let (stage, table, _schema) = stage().await;
        let failing = [
            format!("insert into {table} (id, number) values (1, 0)"),
            "throw 51205, 'it fails', 1".to_owned(),
        ];
        for sql in &failing {
            stage.app.bus().send(Fail { sql: sql.clone() }).await.unwrap();
        }
        let letters = stage.letters().await;
        let reasons: Vec<_> = letters.iter().map(|letter| letter.reason).collect();
        assert_eq!(reasons, [DeadLetterReason::Exhausted; 2]);
        assert_eq!(failing.map(|sql| stage.runs.of(&sql)), [1, 1]);
        stage.app.stop().await.unwrap();
    }
}
