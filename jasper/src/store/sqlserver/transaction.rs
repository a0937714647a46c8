//! The transaction in which a durable handler runs.

use std::any::Any;
use std::time::Duration;

use futures_util::future::BoxFuture;
use tokio::time::timeout;

use super::completion::{self, Written};
use super::error;
use super::error::Result;
use super::internal_pool::InternalPool;
use super::pool::{Pool, PooledConnection};
use crate::store::sql::limits::within;
use crate::store::{Committed, Completion, Settled, StoreError, StoreTransaction};

/// For how long a rollback waits for what the handler has begun, before that is cancelled.
const GRACE: Duration = Duration::from_millis(200);

/// One run of a handler, on a connection of its own.
///
/// Dropped before its end it closes the connection, which the server rolls back: a connection that
/// is left in the middle of a statement is of no further use.
pub(super) struct SqlServerTransaction {
    connection: PooledConnection,
    internal: InternalPool,
}

impl SqlServerTransaction {
    pub(super) async fn begin(pool: &Pool, internal: &InternalPool) -> Result<Self, StoreError> {
        loop {
            let mut connection =
                pool.acquire().await.map_err(|error| internal.place.error(error))?;
            match within(internal.limit(), connection.begin()).await {
                Ok(Ok(())) => return Ok(Self { connection, internal: internal.clone() }),
                // It has ended since it was used; one that is new is asked then.
                Ok(Err(error)) if !connection.is_new && error::is_of_connection(&error) => {
                    pool.forget_idle();
                }
                Ok(Err(error)) => return Err(internal.place.error(error)),
                Err(elapsed) => {
                    connection.calm_later();
                    return Err(elapsed);
                }
            }
        }
    }

    async fn complete(mut self, completion: Completion) -> Result<Committed, StoreError> {
        let sql = self.internal.sql.clone();
        let written = completion::write(&mut self.connection.connection, &sql, &completion);
        let written = match within(self.internal.limit(), written).await {
            Ok(written) => written,
            Err(elapsed) => {
                self.connection.calm_later();
                return Err(elapsed);
            }
        };
        match written {
            Ok(Written::Done(committed)) if committed.settled == Settled::Done => {
                match within(self.internal.limit(), self.connection.is_as_before()).await {
                    Ok(Ok(true)) => self.connection.give_back(),
                    // Its settings would reach another message.
                    _changed_or_lost => self.connection.close(),
                }
                Ok(committed)
            }
            Ok(Written::Done(fenced)) => {
                self.undo().await?;
                Ok(fenced)
            }
            Ok(Written::TransactionEnded) => Err(self.refuse(StoreError::TransactionEnded).await),
            Err(error) => {
                let error = self.internal.place.completion_error(error);
                Err(self.refuse(error).await)
            }
        }
    }

    /// Undoes it, so that what follows meets none of its locks.
    async fn refuse(self, error: StoreError) -> StoreError {
        // The first error says what is wrong; where the rollback fails as well, the session ends.
        let _ = self.undo().await;
        error
    }

    async fn undo(mut self) -> Result<(), StoreError> {
        let limit = self.internal.pool.server().limit() / 2;
        match timeout(limit, self.roll_back()).await {
            // Settings of the handler would reach another message.
            Ok(Ok(())) => {
                self.connection.close();
                Ok(())
            }
            Ok(Err(error)) if !error::is_of_connection(&error) => {
                Err(self.internal.place.error(error))
            }
            // Ended, by the handler or the server, or silent for too long. A server that answers
            // says when the session is gone, and what was done in it.
            Ok(Err(_)) | Err(_) => {
                let name = self.connection.name.clone();
                self.connection.close();
                self.internal.pool.server().end(name, limit).await
            }
        }
    }

    /// A handler whose time is over may have left a statement under way, which the server is asked
    /// to give up: what it holds keeps others waiting until then.
    async fn roll_back(&mut self) -> Result<()> {
        if let Ok(done) = timeout(GRACE, self.connection.roll_back()).await {
            return done;
        }
        self.connection.give_up().await
    }
}

impl StoreTransaction for SqlServerTransaction {
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
