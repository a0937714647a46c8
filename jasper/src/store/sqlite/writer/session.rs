//! The writing connection with the outer transaction that is open on it.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use sqlx::sqlite::SqliteConnectOptions;
use sqlx::{ConnectOptions, Connection, SqliteConnection};

use super::super::batch::Batch;
use super::super::error::Place;
use crate::store::StoreError;

const BEGIN: &str = "begin immediate";
const COMMIT: &str = "commit";
const SAVEPOINT: &str = "savepoint jasper_member";
const RELEASE_AND_COMMIT: &str = "release jasper_member; commit";
const RENEW: &str = "release jasper_member; savepoint jasper_member";
const UNDO: &str = "rollback to jasper_member";
const PROBE: &str = "begin";
const ROLLBACK: &str = "rollback";

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
    savepoint: Savepoint,
}

/// The state of the savepoint in which members of a group run, one after the other.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Savepoint {
    None,
    /// Nothing has been done since.
    Clean,
    /// A member's work, which stands.
    Used,
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
        connection
            .lock_handle()
            .await?
            .set_commit_hook(move || ours.load(Ordering::Acquire));
        let mut session = Self {
            connection,
            may_commit,
            savepoint: Savepoint::None,
        };
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

    /// Opens the outer transaction.
    pub(super) async fn begin(&mut self) -> sqlx::Result<()> {
        self.execute(BEGIN).await?;
        self.savepoint = Savepoint::None;
        Ok(())
    }

    /// Commits the outer transaction.
    ///
    /// # Errors
    /// Somebody else has ended it, or the database cannot commit.
    pub(super) async fn commit(&mut self) -> sqlx::Result<()> {
        let commit = match self.savepoint {
            Savepoint::None => COMMIT,
            Savepoint::Clean | Savepoint::Used => RELEASE_AND_COMMIT,
        };
        self.may_commit.store(true, Ordering::Release);
        let committed = self.execute(commit).await;
        self.may_commit.store(false, Ordering::Release);
        self.savepoint = Savepoint::None;
        committed
    }

    /// Begins a member: what was done before stands, what follows can be undone.
    pub(super) async fn protect(&mut self) -> sqlx::Result<()> {
        match self.savepoint {
            Savepoint::None => self.execute(SAVEPOINT).await?,
            Savepoint::Clean => {}
            Savepoint::Used => self.execute(RENEW).await?,
        }
        self.savepoint = Savepoint::Clean;
        Ok(())
    }

    /// Undoes all since [`protect`](Self::protect).
    ///
    /// # Errors
    /// The savepoint is not there: the outer transaction was ended by somebody else.
    pub(super) async fn undo(&mut self) -> sqlx::Result<()> {
        self.execute(UNDO).await?;
        self.savepoint = Savepoint::Clean;
        Ok(())
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
        if self.savepoint == Savepoint::Clean {
            self.savepoint = Savepoint::Used;
        }
        &mut self.connection
    }

    /// Gives the connection up. What is not committed is undone by the database.
    pub(super) async fn close(self) {
        if let Err(error) = self.connection.close().await {
            tracing::debug!(%error, "the writing connection was not closed cleanly");
        }
    }

    async fn execute(&mut self, sql: &'static str) -> sqlx::Result<()> {
        Batch::of(sql)
            .run(&mut self.connection)
            .await
            .map(|_ran| ())
    }
}
