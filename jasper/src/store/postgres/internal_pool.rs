//! The store's own connections and statements, apart from those of handlers.

use std::future::Future;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use sqlx::postgres::{PgArguments, PgRow};
use sqlx::query::Query;
use sqlx::{Connection, PgConnection, Postgres};

use super::credentials::{OwnPool, Silence};
use super::error::Place;
use super::frontier::Frontier;
use super::limits::LONG;
use super::mark::Mark;
use super::pooled_connection::PooledConnection;
use super::sql::{Names, Sql};
use crate::envelope::Address;
use crate::store::sql::limits::StatementLimits;
use crate::store::{StoreError, Subscription};

/// Where the store does its own work. No code of a user ever runs on these connections, so none can
/// be left in a transaction, and none is held by a handler that waits for the store.
#[derive(Debug, Clone)]
pub(super) struct InternalPool {
    pub(super) pool: OwnPool,
    pub(super) sql: Arc<Sql>,
    pub(super) names: Names,
    pub(super) place: Place,
    pub(super) limits: StatementLimits,
    pub(super) mark: Mark,
    pub(super) silence: Silence,
    /// After which time the server ends a session of a handler that does nothing in a transaction,
    /// where it is given no other one; `None` for sessions that the application has opened.
    pub(super) idle_limit: Option<Duration>,
    pub(super) frontier: Arc<Frontier<Subscription>>,
    pub(super) outgoing_frontier: Arc<Frontier<Address>>,
}

pub(super) type Statement<'q> = Query<'q, Postgres, PgArguments>;

impl InternalPool {
    /// Rows of either table that may be older can be claimed.
    pub(super) fn start_over(&self) {
        self.frontier.start_over();
        self.outgoing_frontier.start_over();
    }

    pub(super) fn error(&self, error: sqlx::Error) -> StoreError {
        self.place.error(error)
    }

    /// The rows of one statement, within the limit for statements.
    pub(super) async fn rows(&self, statement: Statement<'_>) -> sqlx::Result<Vec<PgRow>> {
        self.in_time(async {
            let mut connection = self.pool.acquire().await?;
            let rows = statement.fetch_all(&mut *connection).await;
            connection.after(rows)
        })
        .await
    }

    /// The only row of one statement, within the limit for statements.
    pub(super) async fn row(&self, statement: Statement<'_>) -> sqlx::Result<PgRow> {
        let rows = self.rows(statement).await?;
        rows.into_iter().next().ok_or(sqlx::Error::RowNotFound)
    }

    /// How many rows one statement has changed, within the limit for statements.
    pub(super) async fn run(&self, statement: Statement<'_>) -> sqlx::Result<u64> {
        self.in_time(async {
            let mut connection = self.pool.acquire().await?;
            let done = statement.execute(&mut *connection).await;
            Ok(connection.after(done)?.rows_affected())
        })
        .await
    }

    /// The rows of one statement that people ask for, and which may read whole tables.
    pub(super) async fn long_rows(&self, statement: Statement<'_>) -> sqlx::Result<Vec<PgRow>> {
        let long = in_time(LONG, async {
            let mut connection = self.pool.acquire().await?;
            let rows = statement.fetch_all(&mut *connection).await;
            connection.after(rows)
        });
        self.answered(long.await)
    }

    /// How many rows one statement has changed that people ask for.
    pub(super) async fn long_run(&self, statement: Statement<'_>) -> sqlx::Result<u64> {
        let long = in_time(LONG, async {
            let mut connection = self.pool.acquire().await?;
            let done = statement.execute(&mut *connection).await;
            Ok(connection.after(done)?.rows_affected())
        });
        self.answered(long.await)
    }

    /// The same over a connection that is opened for it, in the runtime that asks.
    pub(super) async fn run_elsewhere(&self, statement: Statement<'_>) -> sqlx::Result<u64> {
        self.in_time(async {
            let options = self.pool.current().connect_options();
            let mut connection = PgConnection::connect_with(&options).await?;
            let done = statement.execute(&mut connection).await?;
            connection.close().await?;
            Ok(done.rows_affected())
        })
        .await
    }

    /// A connection for more than one statement.
    pub(super) async fn acquire(&self) -> sqlx::Result<PooledConnection> {
        self.in_time(self.pool.acquire()).await
    }

    /// Fails where the database does not answer within the limit for statements.
    pub(super) async fn in_time<T>(
        &self,
        statement: impl Future<Output = sqlx::Result<T>>,
    ) -> sqlx::Result<T> {
        let answer = in_time(self.limits.statement(), statement).await;
        self.answered(answer)
    }

    /// Notes where there was no answer: other connections may be as silent.
    pub(super) fn answered<T>(&self, answer: sqlx::Result<T>) -> sqlx::Result<T> {
        if matches!(&answer, Err(sqlx::Error::Io(error)) if error.kind() == io::ErrorKind::TimedOut)
        {
            self.silence.note();
        }
        answer
    }
}

/// Fails where the database does not answer within `limit`, as over a connection that broke without
/// a sign.
pub(super) async fn in_time<T>(
    limit: Duration,
    statement: impl Future<Output = sqlx::Result<T>>,
) -> sqlx::Result<T> {
    match tokio::time::timeout(limit, statement).await {
        Ok(done) => done,
        Err(_elapsed) => Err(sqlx::Error::Io(io::ErrorKind::TimedOut.into())),
    }
}
