//! Schema and housekeeping of a store in a SQL database.

use futures_util::future::BoxFuture;

use super::SqlStore;
use crate::store::{Counts, MigrationScript, StoreAdmin, StoreError};

/// What the port [`StoreAdmin`] describes.
pub(crate) trait SqlAdmin: SqlStore {
    fn prepare(&self) -> impl Future<Output = Result<(), StoreError>> + Send;

    fn counts(&self) -> impl Future<Output = Result<Counts, StoreError>> + Send;

    fn purge(&self, limit: usize) -> impl Future<Output = Result<u64, StoreError>> + Send;

    fn clear(&self) -> impl Future<Output = Result<(), StoreError>> + Send;

    fn check(&self) -> impl Future<Output = Result<(), StoreError>> + Send;

    fn rebuild(&self) -> impl Future<Output = Result<(), StoreError>> + Send;

    fn migrations(&self) -> Vec<MigrationScript>;
}

#[doc(hidden)]
#[diagnostic::do_not_recommend]
impl<S: SqlAdmin> StoreAdmin for S {
    fn prepare(&self) -> BoxFuture<'_, Result<(), StoreError>> {
        Box::pin(SqlAdmin::prepare(self))
    }

    fn counts(&self) -> BoxFuture<'_, Result<Counts, StoreError>> {
        Box::pin(SqlAdmin::counts(self))
    }

    fn purge(&self, limit: usize) -> BoxFuture<'_, Result<u64, StoreError>> {
        Box::pin(SqlAdmin::purge(self, limit))
    }

    fn clear(&self) -> BoxFuture<'_, Result<(), StoreError>> {
        Box::pin(SqlAdmin::clear(self))
    }

    fn check(&self) -> BoxFuture<'_, Result<(), StoreError>> {
        Box::pin(SqlAdmin::check(self))
    }

    fn rebuild(&self) -> BoxFuture<'_, Result<(), StoreError>> {
        Box::pin(SqlAdmin::rebuild(self))
    }

    fn migrations(&self) -> Vec<MigrationScript> {
        SqlAdmin::migrations(self)
    }
}
