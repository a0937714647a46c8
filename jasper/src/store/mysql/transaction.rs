//! The transaction in which a durable handler runs.

use std::any::Any;

use futures_util::future::BoxFuture;
use sqlx::pool::PoolConnection;
use sqlx::{MySql, MySqlConnection, MySqlPool};

use super::completion;
use super::desk::Desk;
use crate::store::{Committed, Completion, Settled, StoreError, StoreTransaction};

// The savepoint is there for one purpose: what ends the transaction takes it away, so that the
// commit finds out that a statement of the handler has ended it. As the connection has no
// autocommit, all since then is undone. It costs no trip of its own.

const BEGIN: &str = "start transaction; savepoint jasper_run";

const COMMIT: &str = "release savepoint jasper_run; commit";

const ROLLBACK: &str = "rollback";

/// One run of a handler, on a connection of its own.
///
/// Dropped before its end it closes the connection, which the server answers with a rollback: a
/// connection that is left in the middle of a statement is of no further use.
pub(super) struct Run {
    connection: PoolConnection<MySql>,
    desk: Desk,
    has_ended: bool,
}

impl Run {
    pub(super) async fn begin(pool: &MySqlPool, desk: &Desk) -> Result<Self, StoreError> {
        let connection = pool.acquire().await.map_err(|error| desk.place.error(error))?;
        let mut run = Self { connection, desk: desk.clone(), has_ended: false };
        run.execute(BEGIN).await.map_err(|error| desk.place.error(error))?;
        Ok(run)
    }

    async fn execute(&mut self, statements: &'static str) -> sqlx::Result<()> {
        sqlx::raw_sql(statements).execute(&mut *self.connection).await.map(|_done| ())
    }

    async fn complete(mut self, completion: Completion) -> Result<Committed, StoreError> {
        let place = self.desk.place.clone();
        let written = completion::write(&mut self.connection, &self.desk.sql, &completion).await;
        let committed = written.map_err(|error| place.completion_error(error))?;
        let end = match committed.settled {
            Settled::Done => COMMIT,
            Settled::Fenced => ROLLBACK,
        };
        self.execute(end).await.map_err(|error| place.commit_error(error))?;
        self.has_ended = true;
        Ok(committed)
    }

    async fn undo(mut self) -> Result<(), StoreError> {
        self.execute(ROLLBACK).await.map_err(|error| self.desk.place.error(error))?;
        self.has_ended = true;
        Ok(())
    }
}

impl Drop for Run {
    fn drop(&mut self) {
        if !self.has_ended {
            self.connection.close_on_drop();
        }
    }
}

impl StoreTransaction for Run {
    fn connection(&mut self) -> Option<&mut (dyn Any + Send)> {
        let connection: &mut MySqlConnection = &mut self.connection;
        Some(connection)
    }

    fn commit(
        self: Box<Self>,
        completion: Completion,
    ) -> BoxFuture<'static, Result<Committed, StoreError>> {
        Box::pin(self.complete(completion))
    }

    fn rollback(self: Box<Self>) -> BoxFuture<'static, Result<(), StoreError>> {
        Box::pin(self.undo())
    }
}
