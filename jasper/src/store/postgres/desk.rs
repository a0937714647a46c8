//! The store's own connections and statements, apart from those of handlers.

use std::sync::Arc;

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
