//! The transaction in which a durable handler runs.

use std::any::Any;
use std::pin::pin;
use std::time::Duration;

use futures_util::future::BoxFuture;
use tokio::time::timeout;

use super::completion;
use super::error;
use super::internal_pool::InternalPool;
use super::pool::{Pool, PooledConnection};
use crate::store::sql::limits::within;
use crate::store::{
    Committed, Completion, Settled, StoreError, StoreTransaction, TransactionOptions,
};

const ROLLBACK: &str = "rollback";

/// For how long a rollback waits for what the handler has begun, before that is cancelled.
const GRACE: Duration = Duration::from_millis(200);

/// How often a rollback is tried: what a handler has left unread may answer first.
const TRIES: u32 = 4;

/// One run of a handler, on a connection of its own.
///
/// Dropped before its end it closes the connection and ends its session at the server, which rolls
/// back: a connection that is left in the middle of a statement is of no further use.
pub(super) struct MysqlTransaction {
    connection: PooledConnection,
    internal: InternalPool,
}

impl MysqlTransaction {
    pub(super) async fn begin(
        pool: &Pool,
        internal: &InternalPool,
        options: TransactionOptions,
    ) -> Result<Self, StoreError> {
        loop {
            let mut connection =
                pool.acquire().await.map_err(|error| internal.place.error(error))?;
            let begun = connection.begin(options.limit, pool.server());
            match within(internal.limit(), begun).await {
                Ok(Ok(())) => return Ok(Self { connection, internal: internal.clone() }),
                // It has ended since it was used; one that is new is asked then.
                Ok(Err(error)) if !connection.is_new && error::is_of_connection(&error) => {
                    pool.forget_idle();
                }
                Ok(Err(error)) => return Err(internal.place.error(error)),
                Err(elapsed) => return Err(elapsed),
            }
        }
    }

    async fn complete(mut self, completion: Completion) -> Result<Committed, StoreError> {
        let place = self.internal.place.clone();
        let sql = self.internal.sql.clone();
        let written = completion::write(&mut self.connection.connection, &sql, &completion);
        let committed = match within(self.internal.limit(), written).await? {
            Ok(committed) => committed,
            Err(error) => return Err(self.refuse(place.completion_error(error)).await),
        };
        if committed.settled == Settled::Fenced {
            self.undo().await?;
            return Ok(committed);
        }
        match within(self.internal.limit(), self.connection.commit()).await? {
            Ok(true) => self.connection.give_back(),
            Ok(false) => self.connection.part(),
            Err(error) => return Err(self.refuse(place.commit_error(error)).await),
        }
        Ok(committed)
    }

    /// Undoes it, so that what follows meets none of its locks.
    async fn refuse(self, error: StoreError) -> StoreError {
        // The first error says what is wrong; where the rollback fails as well, the session ends.
        let _ = self.undo().await;
        error
    }

    async fn undo(mut self) -> Result<(), StoreError> {
        let limit = self.internal.pool.server().limit() / 2;
        let rolled_back = timeout(limit, self.roll_back()).await;
        match rolled_back {
            // Settings of the handler would reach another message.
            Ok(Ok(())) => {
                self.connection.part();
                Ok(())
            }
            Ok(Err(error)) if !error::is_of_connection(&error) => {
                Err(self.internal.place.error(error))
            }
            // Ended, by the handler or the server, or silent for too long. A server that answers
            // says when the session is gone, and what was done in it.
            Ok(Err(_)) | Err(_) => {
                let mark = self.connection.mark.clone();
                self.connection.forget();
                self.internal.pool.server().end(mark.as_ref(), limit).await
            }
        }
    }

    async fn roll_back(&mut self) -> sqlx::Result<()> {
        let (mark, server) = (self.connection.mark.clone(), self.internal.pool.server());
        let mut tried = 1;
        loop {
            let connection = &mut self.connection.connection;
            let mut rollback = pin!(sqlx::raw_sql(ROLLBACK).execute(connection));
            let done = match (timeout(GRACE, &mut rollback).await, &mark) {
                (Ok(done), _) => done,
                (Err(_elapsed), Some(mark)) => {
                    if let Err(error) = server.cancel(mark).await {
                        tracing::debug!(%error, "a handler's statement could not be cancelled");
                    }
                    rollback.await
                }
                (Err(_elapsed), None) => rollback.await,
            };
            match done {
                Err(error) if tried < TRIES && error::is_of_statement(&error) => tried += 1,
                done => return done.map(|_done| ()),
            }
        }
    }
}

impl StoreTransaction for MysqlTransaction {
    fn connection(&mut self) -> Option<&mut (dyn Any + Send)> {
        Some(&mut self.connection.connection)
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
