//! The transaction of one run of a durable handler, on a connection of the pool.

use std::any::Any;
use std::time::Duration;

use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use sqlx::{PgConnection, PgPool};

use super::completion::{self, Written};
use super::internal_pool::InternalPool;
use super::session::Session;
use crate::store::{Committed, Completion, Settled, StoreError, StoreTransaction};

/// A transaction that no other run shares.
#[derive(Debug)]
pub(super) struct PostgresTransaction {
    session: Session,
    internal: InternalPool,
}

impl PostgresTransaction {
    /// # Cancel safety
    /// Dropped, nothing is begun.
    pub(super) async fn begin(
        pool: &PgPool,
        internal: &InternalPool,
        limit: Duration,
    ) -> Result<Self, StoreError> {
        let begun = Session::begin(pool, internal, "", limit).await;
        let session = begun.map_err(|error| internal.error(error))?;
        Ok(Self { session, internal: internal.clone() })
    }

    async fn end(mut self, completion: Completion) -> Result<Committed, StoreError> {
        match self.write(&completion).await {
            Ok(Written::Done(committed)) if committed.settled == Settled::Done => {
                let change = self.internal.changes();
                let ended = self.session.commit().await;
                change.note([&completion]);
                ended.map(|()| committed).map_err(|error| self.internal.place.commit_error(error))
            }
            Ok(Written::Done(fenced)) => {
                self.undo().await;
                Ok(fenced)
            }
            Ok(Written::TransactionEnded) => {
                self.undo().await;
                Err(StoreError::TransactionEnded)
            }
            Err(error) => {
                let error = self.internal.place.completion_error(error);
                self.undo().await;
                Err(error)
            }
        }
    }

    async fn write(&mut self, completion: &Completion) -> sqlx::Result<Written<Committed>> {
        let connection = self.session.connection()?;
        completion::write_one(connection, &self.internal, completion).await
    }

    /// What cannot be undone here is undone by the server.
    async fn undo(self) {
        if let Err(error) = self.session.undo().await {
            tracing::debug!(%error, "a transaction is left to the server to undo");
        }
    }
}

impl StoreTransaction for PostgresTransaction {
    fn connection(&mut self) -> Option<&mut (dyn Any + Send)> {
        let connection: &mut PgConnection = self.session.connection().ok()?;
        Some(connection)
    }

    fn commit(
        self: Box<Self>,
        completion: Completion,
    ) -> BoxFuture<'static, Result<Committed, StoreError>> {
        self.end(completion).boxed()
    }

    fn rollback(self: Box<Self>) -> BoxFuture<'static, Result<(), StoreError>> {
        self.session.undo().boxed()
    }
}
