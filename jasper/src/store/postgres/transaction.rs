//! The transaction of one run of a durable handler, on a connection of the pool.

use std::any::Any;
use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};

use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use sqlx::pool::PoolConnection;
use sqlx::{PgConnection, PgPool, Postgres, SqlSafeStr, Transaction};

use super::completion::{self, BEGIN, Written};
use super::desk::Desk;
use crate::store::{Committed, Completion, Settled, StoreError, StoreTransaction};

/// A transaction that no other run shares.
#[derive(Debug)]
pub(super) struct Run {
    transaction: Transaction<'static, Postgres>,
    desk: Desk,
}

impl Run {
    /// # Cancel safety
    /// Dropped, nothing is begun.
    pub(super) async fn begin(pool: &PgPool, desk: &Desk) -> Result<Self, StoreError> {
        let begun = match pool.acquire().await {
            Ok(connection) => begin(connection).await,
            Err(error) => Err(error),
        };
        let transaction = begun.map_err(|error| desk.error(error))?;
        Ok(Self { transaction, desk: desk.clone() })
    }

    async fn end(mut self, completion: Completion) -> Result<Committed, StoreError> {
        let completions = [completion];
        let connection = &mut *self.transaction;
        match completion::write(connection, &self.desk.sql, &completions).await {
            Ok(Written::All(mut committed)) => match committed.pop() {
                Some(committed) if committed.settled == Settled::Done => {
                    let ended = self.transaction.commit().await;
                    ended.map(|()| committed).map_err(|error| self.desk.place.commit_error(error))
                }
                Some(fenced) => self.undo().await.map(|()| fenced),
                None => Err(StoreError::Closed),
            },
            Ok(Written::Ended) => {
                self.undo().await?;
                Err(StoreError::TransactionEnded)
            }
            Err(error) => {
                let error = self.desk.place.completion_error(error);
                // What cannot be undone here is undone by the database, with the connection.
                drop(self.undo().await);
                Err(error)
            }
        }
    }

    async fn undo(self) -> Result<(), StoreError> {
        self.transaction.rollback().await.map_err(|error| self.desk.error(error))
    }
}

impl StoreTransaction for Run {
    fn connection(&mut self) -> Option<&mut (dyn Any + Send)> {
        let connection: &mut PgConnection = &mut self.transaction;
        Some(connection)
    }

    fn commit(
        self: Box<Self>,
        completion: Completion,
    ) -> BoxFuture<'static, Result<Committed, StoreError>> {
        self.end(completion).boxed()
    }

    fn rollback(self: Box<Self>) -> BoxFuture<'static, Result<(), StoreError>> {
        self.undo().boxed()
    }
}

/// Begins the transaction of a run.
///
/// # Cancel safety
/// Dropped, the connection comes back without a transaction.
pub(super) async fn begin(
    connection: PoolConnection<Postgres>,
) -> sqlx::Result<Transaction<'static, Postgres>> {
    let begun = Transaction::begin(connection, Some(BEGIN.into_sql_str()));
    Finished(Some(begun)).await
}

/// Goes on to its end also where its caller drops it, in a task of its own.
///
/// The driver takes a connection on which the answer to `begin` was not read for one without a
/// transaction: the next to use it would find itself in one, and its commits would be none.
struct Finished<T: Send + 'static>(Option<BoxFuture<'static, T>>);

impl<T: Send + 'static> Future for Finished<T> {
    type Output = T;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<T> {
        let Some(work) = &mut self.0 else {
            return Poll::Pending;
        };
        let ended = work.poll_unpin(cx);
        if ended.is_ready() {
            self.0 = None;
        }
        ended
    }
}

impl<T: Send + 'static> Drop for Finished<T> {
    fn drop(&mut self) {
        if let Some(work) = self.0.take()
            && let Ok(runtime) = tokio::runtime::Handle::try_current()
        {
            runtime.spawn(work);
        }
    }
}
