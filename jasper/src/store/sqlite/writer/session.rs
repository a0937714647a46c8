//! The writing connection with the outer transaction that is open on it.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use sqlx::sqlite::SqliteConnectOptions;
use sqlx::{ConnectOptions, Connection, SqliteConnection};

use super::super::batch::Batch;
use super::super::completion;
use super::super::error::Place;
use super::shared::Shared;
use crate::store::{Committed, Completion, Settled, StoreError};

// The outer savepoint is there to be missed: where somebody else ended the transaction, its release
// fails, and with it the commit. The inner ones, all of one name, stand before the members.
const BEGIN: &str = "begin immediate; savepoint jasper_group; savepoint jasper_member";
const NEXT_MEMBER: &str = "savepoint jasper_member";
const FIRST_MEMBER_AGAIN: &str =
    "release jasper_group; savepoint jasper_group; savepoint jasper_member";
const FIRST_MEMBER_AGAIN_STATEMENTS: usize = 3;
const DROP_NEXT_MEMBER: &str = "release jasper_member";
const UNDO: &str = "rollback to jasper_member";
const COMMIT: &str = "release jasper_group; commit";
const ROLLBACK: &str = "rollback";
const BEGIN_ALONE: &str = "begin immediate";
const COMMIT_ALONE: &str = "commit";
const PROBE: &str = "begin";

const JOURNAL: &str = "pragma journal_mode";
const WRITE_NOTHING: &str = "begin immediate; create table jasper_probe (x); rollback";

/// How many savepoints may be open. SQLite looks through all of them when it changes a page.
const SAVEPOINTS: usize = 16;

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

/// The connection while the writer has it. A lent one is taken out and put back.
#[derive(Debug)]
pub(in super::super) struct Session {
    connection: SqliteConnection,
    /// Whether a commit is ours.
    may_commit: Arc<AtomicBool>,
    /// How many savepoints of members are open.
    savepoints: usize,
    /// Whether something was done since the last of them.
    used: bool,
}

impl Session {
    /// Takes a connection for writing.
    ///
    /// A commit that is not ours is a handler that executed `commit`, or a statement after SQLite
    /// undid the whole transaction: either would commit half of what belongs together, so it is
    /// turned into a rollback, which the next use of the savepoint detects.
    async fn new(mut connection: SqliteConnection) -> sqlx::Result<Self> {
        let may_commit = Arc::new(AtomicBool::new(false));
        let ours = Arc::clone(&may_commit);
        connection.lock_handle().await?.set_commit_hook(move || ours.load(Ordering::Acquire));
        let mut session = Self { connection, may_commit, savepoints: 0, used: false };
        session.count_outer_transaction().await?;
        Ok(session)
    }

    /// Lets the driver count one open transaction for as long as it lives, so that a `begin` of a
    /// handler nests.
    ///
    /// The driver only counts what its own guards begin and end. The outer transactions of all
    /// groups are begun and ended in plain SQL, beside savepoints in the same trip, and stand for
    /// the one that is counted here.
    async fn count_outer_transaction(&mut self) -> sqlx::Result<()> {
        std::mem::forget(self.connection.begin().await?);
        self.execute(ROLLBACK).await
    }

    /// Refuses what can be opened but is no place for messages: SQLite opens a file that it cannot
    /// write for reading, in silence, and does not keep a database in memory.
    pub(in super::super) async fn check(&mut self, place: &Place) -> Result<(), StoreError> {
        let journal = sqlx::query_scalar(JOURNAL).fetch_one(&mut self.connection);
        let journal: String = journal.await.map_err(|error| place.error(error))?;
        if journal == "memory" {
            return Err(StoreError::Unreachable {
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
    pub(super) async fn alone<T: Shared>(&mut self, items: &[&T]) -> sqlx::Result<Vec<T::Answer>> {
        let mut batch = Batch::of(BEGIN_ALONE);
        T::push(items, &mut batch)?;
        batch.push(COMMIT_ALONE);
        self.may_commit.store(true, Ordering::Release);
        let ran = batch.run(&mut self.connection).await;
        self.may_commit.store(false, Ordering::Release);
        T::answers(items, &mut ran?.into_iter().skip(1))
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

    /// Does these as one member, or as part of the last where they are one statement.
    ///
    /// After an error, [`undo_share`](Self::undo_share).
    pub(super) async fn share<T: Shared>(&mut self, items: &[&T]) -> sqlx::Result<Vec<T::Answer>> {
        let mut answers = Vec::with_capacity(items.len());
        let one_statement = T::is_one_statement() && items.len() <= T::MOST;
        let mut protect = !one_statement && self.used;
        for trip in items.chunks(T::MOST) {
            let mut batch = Batch::default();
            let mut ahead = 0;
            if std::mem::take(&mut protect) {
                ahead = self.push_protection(&mut batch);
            }
            T::push(trip, &mut batch)?;
            let ran = batch.run(self.work()).await?;
            answers.extend(T::answers(trip, &mut ran.into_iter().skip(ahead))?);
        }
        Ok(answers)
    }

    /// After a failed [`share`](Self::share): undoes what it did.
    ///
    /// # Errors
    /// The outer transaction is gone.
    pub(super) async fn undo_share<T: Shared>(&mut self, items: usize) -> sqlx::Result<()> {
        match T::is_one_statement() && items <= T::MOST {
            true => self.probe().await,
            false => self.undo().await,
        }
    }

    /// Adds what [`protect`](Self::protect) does to a batch, and says how many statements that is.
    fn push_protection(&mut self, batch: &mut Batch) -> usize {
        if self.savepoints < SAVEPOINTS {
            batch.push(NEXT_MEMBER);
            self.stand_before_next();
            return 1;
        }
        batch.push(FIRST_MEMBER_AGAIN);
        self.stand_before_first();
        FIRST_MEMBER_AGAIN_STATEMENTS
    }

    /// Opens the outer transaction.
    pub(super) async fn begin(&mut self) -> sqlx::Result<()> {
        self.execute(BEGIN).await?;
        self.stand_before_first();
        Ok(())
    }

    /// Commits the outer transaction.
    ///
    /// # Errors
    /// Somebody else has ended it, or the database cannot commit.
    pub(super) async fn commit(&mut self) -> sqlx::Result<()> {
        self.may_commit.store(true, Ordering::Release);
        let committed = self.execute(COMMIT).await;
        self.may_commit.store(false, Ordering::Release);
        committed
    }

    /// Begins a member: what was done before stands, what follows can be undone.
    pub(super) async fn protect(&mut self) -> sqlx::Result<()> {
        if !self.used {
            return Ok(());
        }
        let mut batch = Batch::default();
        self.push_protection(&mut batch);
        batch.run(&mut self.connection).await?;
        Ok(())
    }

    /// Undoes all since [`protect`](Self::protect).
    ///
    /// # Errors
    /// The savepoint is not there: the outer transaction was ended by somebody else.
    pub(super) async fn undo(&mut self) -> sqlx::Result<()> {
        self.execute(UNDO).await?;
        self.used = false;
        Ok(())
    }

    /// Ends a handler's member with its completion, and begins the next one in the same trip.
    ///
    /// Where the handled message is fenced, the member is undone. After an error it is still to be.
    pub(super) async fn complete(&mut self, completion: Completion) -> sqlx::Result<Committed> {
        let next = (self.savepoints < SAVEPOINTS).then_some(NEXT_MEMBER);
        let written = completion::write(self.work(), completion, next).await?;
        if next.is_some() {
            self.stand_before_next();
        }
        if written.settled == Settled::Fenced {
            if next.is_some() {
                self.execute(DROP_NEXT_MEMBER).await?;
                self.savepoints -= 1;
            }
            self.undo().await?;
        }
        Ok(written)
    }

    fn stand_before_first(&mut self) {
        self.savepoints = 1;
        self.used = false;
    }

    fn stand_before_next(&mut self) {
        self.savepoints += 1;
        self.used = false;
    }

    /// Finds out whether the outer transaction is still open.
    ///
    /// # Errors
    /// It is not.
    pub(super) async fn probe(&mut self) -> sqlx::Result<()> {
        // Within a transaction SQLite refuses to begin another.
        match self.execute(PROBE).await {
            Err(_refused) => Ok(()),
            Ok(()) => Err(sqlx::Error::BeginFailed),
        }
    }

    /// The connection for a member's work.
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
        Batch::of(sql).run(&mut self.connection).await.map(|_ran| ())
    }
}
