//! The store's own connections and statements, apart from those of handlers.

use std::future::Future;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use sqlx::PgPool;

use super::error::Place;
use super::sql::{Names, Sql};
use crate::store::StoreError;

/// Where the store does its own work. No code of a user ever runs on these connections, so none can
/// be left in a transaction, and none is held by a handler that waits for the store.
#[derive(Debug, Clone)]
pub(super) struct Desk {
    pub(super) pool: PgPool,
    pub(super) sql: Arc<Sql>,
    pub(super) names: Names,
    pub(super) place: Place,
}

impl Desk {
    pub(super) fn error(&self, error: sqlx::Error) -> StoreError {
        self.place.error(error)
    }
}

/// After this long the store gives up a statement of its own that nobody else gives up.
const LIMIT: Duration = Duration::from_secs(60);

/// Fails where the database does not answer for long, as over a connection that broke without a
/// sign.
pub(super) async fn in_time<T>(
    statement: impl Future<Output = sqlx::Result<T>>,
) -> sqlx::Result<T> {
    match tokio::time::timeout(LIMIT, statement).await {
        Ok(done) => done,
        Err(_elapsed) => Err(sqlx::Error::Io(io::ErrorKind::TimedOut.into())),
    }
}
