//! Durable handlers, enlisted messages and conflicts on SQL Server.

#[path = "../sqlserver_schema.rs"]
mod sqlserver_schema;

use jasper::prelude::*;
use jasper::store::sqlserver::{SqlServerConnection, SqlServerPool, tiberius};
use jasper::store::{DeadLetterQuery, DeadLetterReason, MessageStore};
use serde::{Deserialize, Serialize};
use sqlserver_schema::{Schema, connect, execute, number};
use sqlx::SqliteConnection;
use tests::Journal;
use tests::log::Log;
use tracing::Level;

type DriverError = tiberius::error::Error;

/// Executes this within the handler, in its first runs.
#[derive(Command, Serialize, Deserialize)]
#[command(name = "sqlserver.write")]
struct Write {
    table: String,
    then: String,
    times: usize,
}

#[derive(Event, Serialize, Deserialize)]
#[event(name = "sqlserver.written")]
struct Written;

#[handler(queue = "sqlserver", attempts = 1)]
#[durable]
async fn write(
    cmd: Write,
    db: &mut SqlServerConnection,
    journal: State<Journal>,
) -> Result<Written, DriverError> {
    journal.note("run");
    db.execute(format!("insert into {} (number) values (@P1)", cmd.table), &[&1_i64]).await?;
    let runs = journal.notes().iter().filter(|note| *note == "run").count();
    if runs <= cmd.times {
        db.simple_query(cmd.then).await?.into_results().await?;
    }
    Ok(Written)
}

#[handler]
async fn written(_event: Written, journal: State<Journal>) {
    journal.note("written");
}

#[derive(Command, Serialize, Deserialize)]
#[command(name = "sqlserver.other")]
struct Other;

#[handler(queue = "other")]
#[durable]
async fn other(_cmd: Other, _db: &mut SqliteConnection) {}

/// Notes in which session it runs, and then executes this.
#[derive(Command, Serialize, Deserialize)]
#[command(name = "sqlserver.look")]
struct Look {
    then: String,
}

#[handler(queue = "sqlserver")]
#[durable]
async fn look(
    cmd: Look,
    db: &mut SqlServerConnection,
    journal: State<Journal>,
) -> Result<(), DriverError> {
    let session = "select concat(@@spid, ', lock time-out ', @@lock_timeout)";
    let session = db.simple_query(session).await?.into_row().await?;
    journal.note(session.as_ref().and_then(|row| row.get::<&str, _>(0)).unwrap_or_default());
    db.simple_query(cmd.then).await?.into_results().await.map(drop)
}

#[derive(Command, Serialize, Deserialize)]
#[command(name = "sqlserver.over-pool")]
struct OverPool;

#[handler]
#[durable]
async fn over_pool(_cmd: OverPool, _pool: State<SqlServerPool>) {}

/// An application on a schema of its own with a table of effects.
struct Stage {
    app: Jasper,
    store: SqlServerStore,
    journal: Journal,
    table: String,
    _schema: Schema,
}

impl Stage {
    async fn start() -> Self {
        let (schema, journal) = (Schema::new(), Journal::default());
        let store = schema.store().await;
        let builder = Jasper::builder().store(store.clone()).state(journal.clone());
        let app = builder.handler(write).handler(written).handler(look).start().await.unwrap();
        let table = format!("[{}].effects", schema.name());
        let create = format!("create table {table} (number bigint not null)");
        execute(&mut connect().await, &create).await;
        Self { app, store, journal, table, _schema: schema }
    }

    fn write(&self, then: &str, times: usize) -> Write {
        Write { table: self.table.clone(), then: then.to_owned(), times }
    }

    async fn effects(&self) -> i64 {
        number(&mut connect().await, &format!("select count_big(*) from {}", self.table)).await
    }

    async fn reasons(&self) -> Vec<DeadLetterReason> {
        self.app.until_idle().await.unwrap();
        let letters = self.store.dead_letters().list(DeadLetterQuery::default()).await.unwrap();
        letters.into_iter().map(|letter| letter.reason).collect()
    }
}

/// `tests/run` leaves them out by this name where there is no server.
mod on_sqlserver {
    use super::*;

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn rows_of_a_handler_and_what_follows_are_one_commit() {
        let stage = Stage::start().await;
        stage.app.bus().send(stage.write("", 0)).await.unwrap();
        assert_eq!(stage.reasons().await, []);
        assert_eq!(stage.effects().await, 1);
        assert_eq!(stage.journal.notes(), ["run", "written"]);
        stage.app.stop().await.unwrap();
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn what_a_handler_that_fails_has_written_is_undone() {
        let stage = Stage::start().await;
        let throw = stage.write("throw 50001, 'it fails', 1", usize::MAX);
        stage.app.bus().send(throw).await.unwrap();
        assert_eq!(stage.reasons().await, [DeadLetterReason::Exhausted]);
        assert_eq!(stage.effects().await, 0);
        assert_eq!(stage.journal.notes(), ["run"]);
        stage.app.stop().await.unwrap();
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn a_commit_within_a_handler_commits_nothing() {
        let stage = Stage::start().await;
        let commit = stage.write("commit transaction", usize::MAX);
        stage.app.bus().send(commit).await.unwrap();
        assert_eq!(stage.reasons().await, [DeadLetterReason::Exhausted]);
        assert_eq!(stage.effects().await, 0);
        stage.app.stop().await.unwrap();
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn a_rollback_within_a_handler_is_found_out() {
        let stage = Stage::start().await;
        let rollback = stage.write("rollback transaction", usize::MAX);
        stage.app.bus().send(rollback).await.unwrap();
        assert_eq!(stage.reasons().await, [DeadLetterReason::Exhausted]);
        assert_eq!(stage.effects().await, 0);
        stage.app.stop().await.unwrap();
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn messages_join_a_transaction_of_the_users_own() {
        let stage = Stage::start().await;
        let insert = format!("insert into {} (number) values (7)", stage.table);
        for is_committed in [false, true] {
            let mut transaction = stage.store.pool().begin().await.unwrap();
            transaction.execute(&*insert, &[]).await.unwrap();
            let bus = stage.app.bus();
            bus.enlist(&mut transaction).send(stage.write("", 0)).await.unwrap();
            if is_committed {
                transaction.commit().await.unwrap();
            } else {
                transaction.rollback().await.unwrap();
            }
        }
        stage.journal.wait_for("written").await;
        assert_eq!(stage.reasons().await, []);
        assert_eq!(stage.effects().await, 2);
        stage.app.stop().await.unwrap();
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn a_session_serves_one_run_after_another_until_one_leaves_its_settings() {
        let stage = Stage::start().await;
        let set_anew = "set xact_abort on; set lock_timeout 5; set implicit_transactions off";
        for then in ["select 1", set_anew, "set nocount on", "select 1"] {
            stage.app.bus().send(Look { then: then.to_owned() }).await.unwrap();
            stage.app.until_idle().await.unwrap();
        }
        let [first, second, third, fourth] = &stage.journal.notes()[..] else { panic!() };
        assert!(first.ends_with(", lock time-out -1"), "{first}");
        assert_eq!(first, second, "it is closed after each run");
        assert_eq!(first, third, "what each run begins with is not compared");
        assert_ne!(first, fourth, "`set nocount on` reaches the next message");
        stage.app.stop().await.unwrap();
    }

    #[tokio::test]
    async fn a_durable_handler_over_a_pool_is_warned_of() {
        let log = Log::default();
        let _guard = tracing::subscriber::set_default(log.subscriber(Level::WARN));
        let schema = Schema::new();
        let store = schema.store().await;
        let app = Jasper::builder().state(store.pool().clone()).store(store);
        app.handler(over_pool).start().await.unwrap().stop().await.unwrap();
        let text = log.text();
        let warnings: Vec<_> = text.lines().filter(|line| line.contains("over the pool")).collect();
        assert_eq!(warnings.len(), 1, "{text}");
        assert!(warnings[0].contains("SqlServerPool"), "{text}");
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn a_handler_with_the_connection_of_another_store_is_found_at_start() {
        let schema = Schema::new();
        let builder = Jasper::builder().store(schema.store().await).handler(other);
        let refused = builder.start().await.unwrap_err().to_string();
        assert!(refused.contains("SqliteConnection"), "{refused}");
        assert!(refused.contains("SqlServerConnection"), "{refused}");
    }
}
