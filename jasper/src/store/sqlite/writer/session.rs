//! The writing connection with the outer transaction that is open on it.

use std::any::Any;
use std::sync::Arc;
use std::time::Duration;

use sqlx::sqlite::SqliteConnectOptions;
use sqlx::{ConnectOptions, Connection, Row, SqliteConnection};

use super::super::completion;
use super::super::error::Place;
use super::super::statement_batch::{StatementBatch, StatementResult};
use super::batchable::{Batchable, is_one_trip};
use super::hooks::Hooks;
use super::settings::{self, SETTINGS, TRACES, Traces};
use crate::store::portions::portions;
use crate::store::sql::borrowed_connection::HandlerConnection;
use crate::store::{Committed, Completion, Settled, StoreError};

// Each participant has a savepoint, all of one name; they stay open until the commit, so that
// participants can be undone from the last to the first where the commit is refused.
const BEGIN: &str = "begin immediate; savepoint jasper_member; pragma schema_version";
const NEXT_SAVEPOINT: &str = "savepoint jasper_member";
const DROP_NEXT_SAVEPOINT: &str = "release jasper_member";
const UNDO: &str = "rollback to jasper_member";
const UNDO_LAST: &str = "rollback to jasper_member; release jasper_member";
const COMMIT: &str = "commit";
const ROLLBACK: &str = "rollback";
const BEGIN_ALONE: &str = "begin immediate";
const WRITE_AGAIN: &str = "pragma query_only = off";

const JOURNAL: &str = "pragma journal_mode";
const WRITE_NOTHING: &str = "begin immediate; create table jasper_probe (x); rollback";

/// How many savepoints may be open before the shared transaction ends. SQLite looks through all of
/// them when it changes a page.
const SAVEPOINTS: usize = 64;

/// For how long a connection waits for one of another process.
pub(in super::super) const BUSY_TIMEOUT: Duration = Duration::from_secs(5);

/// How to get the writing connection, at the start and after it had to be given up.
#[derive(Debug)]
pub(in super::super) struct Connector {
    options: SqliteConnectOptions,
    place: Place,
}

impl Connector {
    pub(in super::super) fn new(options: SqliteConnectOptions, place: Place) -> Self {
        Self { options, place }
    }

    pub(in super::super) fn place(&self) -> &Place {
        &self.place
    }

    pub(in super::super) async fn connect(&self) -> Result<Session, StoreError> {
        let said = |error| self.place.error(error);
        let connection = self.options.connect().await.map_err(said)?;
        Session::new(connection).await.map_err(said)
    }
}

/// The connection while the writer has it. A borrowed one is taken out and put back.
#[derive(Debug)]
pub(in super::super) struct Session {
    connection: SqliteConnection,
    hooks: Arc<Hooks>,
    /// How many savepoints of participants are open.
    savepoints: usize,
    /// Whether something was done since the last of them.
    used: bool,
    /// Whether a handler has had it since the outer transaction began.
    had_handler: bool,
    /// Whether the outer transaction is to take no more participants.
    closes: bool,
    /// Whether a handler has left something on it that must not reach another.
    spent: bool,
    /// The version of the schema that [`tables`](Self::tables) were read at.
    schema: Option<i64>,
    /// The store's own tables as they are made.
    tables: String,
    /// The settings of the connection when it was new.
    settings: Option<String>,
}

/// Why a handler's participant was not completed.
pub(super) enum CompletionRefusal {
    /// The database did not take the completion.
    Completion(sqlx::Error),
    /// The handler has changed the tables of this store.
    Tables,
}

impl From<sqlx::Error> for CompletionRefusal {
    fn from(error: sqlx::Error) -> Self {
        Self::Completion(error)
    }
}

impl HandlerConnection for Session {
    fn connection(&mut self) -> Option<&mut (dyn Any + Send)> {
        let connection: &mut SqliteConnection = self.for_handler();
        Some(connection)
    }
}

/// Lets the driver count one open transaction for as long as it lives, so that a `begin` of a
/// handler nests.
///
/// The driver only counts what its own guards begin and end. The outer transactions of all shared
/// transactions are begun and ended in plain SQL, beside savepoints in the same trip, and stand for
/// the one that is counted here.
async fn count_outer_transaction(connection: &mut SqliteConnection) -> sqlx::Result<()> {
    std::mem::forget(connection.begin().await?);
    StatementBatch::of(ROLLBACK).run(connection).await.map(|_ran| ())
}

impl Session {
    /// Takes a connection for writing.
    async fn new(mut connection: SqliteConnection) -> sqlx::Result<Self> {
        count_outer_transaction(&mut connection).await?;
        let settings = settings::settings(&mut connection).await;
        let hooks = Hooks::set(&mut connection).await?;
        Ok(Self {
            connection,
            hooks,
            savepoints: 0,
            used: false,
            had_handler: false,
            closes: false,
            spent: false,
            schema: None,
            tables: String::new(),
            settings,
        })
    }

    /// Refuses what can be opened but is no place for messages: SQLite opens a file that it cannot
    /// write for reading, in silence, and does not keep a database in memory.
    pub(in super::super) async fn check(&mut self, place: &Place) -> Result<(), StoreError> {
        let journal: String = sqlx::query_scalar(JOURNAL)
            .fetch_one(&mut self.connection)
            .await
            .map_err(|error| place.error(error))?;
        if journal == "memory" {
            return Err(StoreError::Unsuitable {
                place: place.name(),
                detail: "it would be lost with its connection; use `MemoryStore`".to_owned(),
            });
        }
        match self.execute(WRITE_NOTHING).await.map_err(|error| place.error(error)) {
            // One who writes now is proof enough that the file can be written.
            Ok(()) | Err(StoreError::Busy { .. }) => Ok(()),
            Err(error) => Err(error),
        }
    }

    /// Does these in a transaction of their own, in one trip. After an error,
    /// [`abandon`](Self::abandon) it.
    pub(super) async fn alone<T: Batchable>(
        &mut self,
        items: &[&T],
    ) -> sqlx::Result<Vec<T::Answer>> {
        let mut batch = StatementBatch::of(BEGIN_ALONE);
        T::push(items, &mut batch)?;
        let results = self.run_commit(batch).await?;
        T::answers(items, &mut results.into_iter().skip(1))
    }

    /// Undoes whatever is open. Gives the connection back if it is still good.
    pub(super) async fn abandon(mut self) -> Option<Self> {
        match self.execute(ROLLBACK).await {
            Ok(()) => Some(self),
            Err(_nothing_open) => {
                self.close().await;
                None
            }
        }
    }

    /// Does these as one participant, or as part of the last where they are one statement.
    ///
    /// After an error, [`undo_share`](Self::undo_share).
    pub(super) async fn share<T: Batchable>(
        &mut self,
        items: &[&T],
    ) -> sqlx::Result<Vec<T::Answer>> {
        let mut answers = Vec::with_capacity(items.len());
        let one_statement = T::is_one_statement() && is_one_trip(items);
        let mut protect = !one_statement && self.used;
        for trip in portions(items, T::MOST) {
            let mut batch = StatementBatch::default();
            let ahead = usize::from(protect);
            if std::mem::take(&mut protect) {
                batch.push(NEXT_SAVEPOINT);
                self.stand_before_next();
            }
            T::push(trip, &mut batch)?;
            let results = batch.run(self.work()).await?;
            answers.extend(T::answers(trip, &mut results.into_iter().skip(ahead))?);
        }
        Ok(answers)
    }

    /// After a failed [`share`](Self::share): undoes what it did.
    ///
    /// # Errors
    /// The outer transaction is gone.
    pub(super) async fn undo_share<T: Batchable>(&mut self, items: &[&T]) -> sqlx::Result<()> {
        if T::is_one_statement() && is_one_trip(items) {
            self.check_open()
        } else {
            self.undo().await
        }
    }

    /// Opens the outer transaction.
    pub(super) async fn begin(&mut self) -> sqlx::Result<()> {
        self.hooks.note_start();
        let results = StatementBatch::of(BEGIN).run(&mut self.connection).await?;
        let row = results.iter().flat_map(|results| &results.rows).next();
        let schema: i64 = row.ok_or(sqlx::Error::RowNotFound)?.try_get(0)?;
        (self.savepoints, self.used, self.had_handler, self.closes) = (1, false, false, false);
        if self.schema != Some(schema) {
            self.tables = settings::tables(&mut self.connection).await?;
            self.schema = Some(schema);
        }
        Ok(())
    }

    /// Commits the outer transaction.
    ///
    /// # Errors
    /// The database cannot commit. Where it only refuses, the transaction is
    /// [still open](Self::check_open).
    pub(super) async fn commit(&mut self) -> sqlx::Result<()> {
        let mut batch = StatementBatch::default();
        let before = self.settings.clone().filter(|_| self.had_handler);
        if before.is_some() {
            batch.push(SETTINGS);
        }
        let results = self.run_commit(batch).await?;
        self.spent |= before != results.first().and_then(settings::settings_of);
        Ok(())
    }

    /// Executes this and then a commit.
    async fn run_commit(
        &mut self,
        mut batch: StatementBatch,
    ) -> sqlx::Result<Vec<StatementResult>> {
        batch.push(COMMIT);
        self.hooks.allow_commit();
        let results = batch.run(&mut self.connection).await;
        let was_asked = self.hooks.forbid_commit();
        self.spent |= results.is_ok() && !was_asked;
        results
    }

    /// Begins a participant: what was done before stands, what follows can be undone.
    pub(super) async fn protect(&mut self) -> sqlx::Result<()> {
        if self.used {
            self.execute(NEXT_SAVEPOINT).await?;
            self.stand_before_next();
        }
        Ok(())
    }

    /// Undoes all since [`protect`](Self::protect).
    ///
    /// # Errors
    /// The savepoint is not there: the outer transaction was ended by another statement.
    pub(super) async fn undo(&mut self) -> sqlx::Result<()> {
        self.execute(UNDO).await?;
        self.used = false;
        Ok(())
    }

    /// The same for what a handler did, of which more may be left than its rows.
    pub(super) async fn undo_handler(&mut self) -> sqlx::Result<()> {
        let mut batch = StatementBatch::of(UNDO);
        batch.push(TRACES);
        let results = batch.run(&mut self.connection).await?;
        self.used = false;
        self.note(results.last()).await?;
        Ok(())
    }

    /// Undoes all of the last savepoint, and forgets it. `false`: there is none.
    pub(super) async fn undo_last(&mut self) -> sqlx::Result<bool> {
        if self.savepoints == 0 {
            return Ok(false);
        }
        self.execute(UNDO_LAST).await?;
        self.savepoints -= 1;
        self.used = true;
        Ok(true)
    }

    /// Ends a handler's participant with its completion, and begins the next one in the same trip.
    ///
    /// Where the handled message is fenced, the participant is undone. After an error it is still
    /// to be.
    pub(super) async fn complete(
        &mut self,
        completion: &Completion,
    ) -> Result<Committed, CompletionRefusal> {
        let then = [TRACES, NEXT_SAVEPOINT];
        let (written, results) = completion::write(self.work(), completion, &then).await?;
        self.stand_before_next();
        let keeps_tables = self.note(results.first()).await?;
        if written.settled == Settled::Done && keeps_tables {
            return Ok(written);
        }
        self.execute(DROP_NEXT_SAVEPOINT).await?;
        self.savepoints -= 1;
        self.used = true;
        if !keeps_tables {
            return Err(CompletionRefusal::Tables);
        }
        self.undo().await?;
        Ok(written)
    }

    /// Whether this completion would be taken without the handler's rows, which are undone.
    pub(super) async fn would_complete(&mut self, completion: &Completion) -> sqlx::Result<bool> {
        let taken = completion::write(self.work(), completion, &[]).await.is_ok();
        self.check_open()?;
        self.undo().await?;
        Ok(taken)
    }

    /// Notes what a handler has left on the connection. `false`: it has changed our tables.
    async fn note(&mut self, results: Option<&StatementResult>) -> sqlx::Result<bool> {
        let traces = Traces::of(results.ok_or(sqlx::Error::RowNotFound)?)?;
        self.spent |= traces.holds || traces.read_only;
        self.closes |= traces.defers || self.spent;
        if traces.read_only {
            self.execute(WRITE_AGAIN).await?;
        }
        if self.schema == Some(traces.schema) {
            return Ok(true);
        }
        let tables = settings::tables(&mut self.connection).await?;
        if tables != self.tables {
            return Ok(false);
        }
        self.schema = Some(traces.schema);
        Ok(true)
    }

    fn stand_before_next(&mut self) {
        self.savepoints += 1;
        self.used = false;
    }

    /// The savepoint that undoes what was done last.
    pub(super) const fn savepoint(&self) -> usize {
        self.savepoints
    }

    /// Whether the outer transaction is to take no more participants.
    pub(super) const fn is_full(&self) -> bool {
        self.closes || self.savepoints >= SAVEPOINTS
    }

    /// Whether the connection is to be closed after the commit.
    pub(super) const fn is_spent(&self) -> bool {
        self.spent
    }

    /// Finds out whether the outer transaction is still open.
    ///
    /// # Errors
    /// It is not: a handler has ended it, or SQLite has, for example on a full disk.
    pub(super) fn check_open(&self) -> sqlx::Result<()> {
        if self.hooks.has_ended() { Err(sqlx::Error::BeginFailed) } else { Ok(()) }
    }

    /// The connection for a handler.
    fn for_handler(&mut self) -> &mut SqliteConnection {
        self.had_handler = true;
        self.work()
    }

    /// The connection for a participant's work.
    pub(super) fn work(&mut self) -> &mut SqliteConnection {
        self.used = true;
        &mut self.connection
    }

    /// Gives the connection up. What is not committed is undone by the database.
    pub(super) async fn close(self) {
        if let Err(error) = self.connection.close().await {
            tracing::debug!(%error, "the writing connection was not closed cleanly");
        }
    }

    async fn execute(&mut self, sql: &'static str) -> sqlx::Result<()> {
        StatementBatch::of(sql).run(&mut self.connection).await.map(|_ran| ())
    }
}
