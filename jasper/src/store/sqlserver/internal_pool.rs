//! The store's own work, on connections of its own.

use std::sync::Arc;
use std::time::Duration;

use super::connection::SqlServerConnection;
use super::error::{self, Error, Place, Result};
use super::pool::Pool;
use super::sql::Sql;
use crate::store::StoreError;

/// How often something is tried of which the database says that it met something else.
pub(super) const TRIES: u32 = 10;

/// Something that the store does on one connection, all or nothing.
pub(super) trait Work: Send + Sync + 'static {
    type Output: Send + 'static;

    /// Whether it may be done twice where once is meant, as where the first answer is lost.
    const REPEATS: bool = false;

    /// Does it. It is asked again where the database has rolled it back.
    fn run(
        &self,
        connection: &mut SqlServerConnection,
        sql: &Sql,
    ) -> impl Future<Output = Result<Self::Output>> + Send;

    /// For how long each answer is waited for, where this is usual: less than a lease lasts and a
    /// caller waits.
    fn limit(&self, usual: Duration) -> Duration {
        usual
    }
}

/// Where the store does its own work. No code of a user ever runs on these connections, so none can
/// be left in a transaction, and none is held by a handler that waits for the store.
#[derive(Debug, Clone)]
pub(super) struct InternalPool {
    pub(super) pool: Pool,
    pub(super) sql: Arc<Sql>,
    pub(super) place: Place,
}

impl InternalPool {
    /// For how long an answer of the server is waited for.
    pub(super) fn limit(&self) -> Duration {
        self.pool.server().limit()
    }

    /// Does it in a task of its own, so that what has begun is finished whether or not the caller
    /// still waits: a connection that is left in the middle of a statement is of no further use.
    pub(super) async fn give<W: Work>(&self, work: W) -> Result<W::Output, StoreError> {
        let internal = self.clone();
        let done = tokio::spawn(async move { internal.work(work).await }).await;
        done.unwrap_or(Err(StoreError::Closed))
    }

    /// Does it. Not to be dropped before it is done.
    pub(super) async fn work<W: Work>(&self, work: W) -> Result<W::Output, StoreError> {
        loop {
            let mut connection =
                self.pool.acquire().await.map_err(|error| self.place.error(error))?;
            connection.connection.answer_within(Some(work.limit(self.limit())));
            let error = match self.tries(&work, &mut connection.connection).await {
                Ok(done) => {
                    connection.give_back();
                    return Ok(done);
                }
                Err(error) => error,
            };
            if let Error::Silent(_) = error {
                connection.calm_later();
                return Err(self.place.error(error));
            }
            if !error::is_of_connection(&error) {
                // A lock that was waited for in vain is of no harm, and what else has begun is
                // undone: the session is worth more than a new one.
                if error::is_locked(&error) {
                    connection.give_back();
                } else {
                    connection.clean().await;
                }
                return Err(self.place.error(error));
            }
            self.pool.forget_idle();
            // One that has ended since it was used says nothing of the server.
            if connection.is_new || !W::REPEATS {
                return Err(self.place.error(error));
            }
        }
    }

    /// A deadlock is over when it is reported; a key that is there now is found there.
    async fn tries<W: Work>(
        &self,
        work: &W,
        connection: &mut SqlServerConnection,
    ) -> Result<W::Output> {
        let mut tried = 1;
        loop {
            match work.run(connection, &self.sql).await {
                Err(error) if tried < TRIES && error::is_rolled_back(&error) => tried += 1,
                done => return done,
            }
        }
    }
}
