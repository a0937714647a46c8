//! A write of any kind, and what it gives.

use std::future::Future;

use sqlx::SqliteConnection;

/// Something that the writer does in a transaction that it may share with others.
pub(in super::super) trait Write: Send + Sync + 'static {
    /// What the caller is answered once it is committed.
    type Output: Send + 'static;

    /// Whether it is one statement, which SQLite undoes by itself where it fails.
    fn is_one_statement(&self) -> bool {
        false
    }

    /// Does it. Where this fails, all that it did is undone; where others spoil the transaction, it
    /// is done again in another.
    fn run(
        &self,
        connection: &mut SqliteConnection,
    ) -> impl Future<Output = sqlx::Result<Self::Output>> + Send;
}
