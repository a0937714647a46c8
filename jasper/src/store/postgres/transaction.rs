//! The transaction of one run of a durable handler, on a connection of the pool.

use std::any::Any;
use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};

use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use sqlx::{Connection, PgConnection, PgPool, Postgres, SqlSafeStr, SqlStr, Transaction};

use super::completion::{self, BEGIN, Written};
use super::desk::{Desk, in_time};
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
        let begun = begin(pool, BEGIN.into_sql_str()).await;
        let transaction = begun.map_err(|error| desk.error(error))?;
        Ok(Self { transaction, desk: desk.clone() })
    }

    async fn end(mut self, completion: Completion) -> Result<Committed, StoreError> {
        let connection = &mut *self.transaction;
        match in_time(completion::write_one(connection, &self.desk.sql, &completion)).await {
            Ok(Written::Done(committed)) if committed.settled == Settled::Done => {
                let ended = in_time(self.transaction.commit()).await;
                ended.map(|()| committed).map_err(|error| self.desk.place.commit_error(error))
            }
            Ok(Written::Done(fenced)) => self.undo().await.map(|()| fenced),
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

    async fn undo(mut self) -> Result<(), StoreError> {
        let undone = async {
            drain(&mut self.transaction).await?;
            self.transaction.rollback().await
        };
        in_time(undone).await.map_err(|error| self.desk.error(error))
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

/// Begins the transaction of a run, or of several.
///
/// # Cancel safety
/// Dropped, the connection comes back without a transaction.
pub(super) async fn begin(
    pool: &PgPool,
    begin: SqlStr,
) -> sqlx::Result<Transaction<'static, Postgres>> {
    let connection = pool.acquire().await?;
    Finished(Some(Transaction::begin(connection, Some(begin)))).await
}

/// Waits for the answer of a statement that a handler began and dropped, and forgets it: an error
/// in it is not one of the next statement.
pub(super) async fn drain(connection: &mut PgConnection) -> sqlx::Result<()> {
    match connection.flush().await {
        Err(sqlx::Error::Database(_of_the_dropped)) => connection.flush().await,
        other => other,
    }
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
