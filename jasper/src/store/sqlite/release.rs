//! Rows of an owner that is gone, made claimable by anybody; those of one whose lease was extended
//! in the meantime stay.

use sqlx::SqliteConnection;

use super::batch::Batch;
use super::writer::Write;
use crate::store::Owner;
use crate::store::sql::number::limit;

/// At most so many rows of one table.
pub(super) struct Release {
    /// The table's statement, with the owner and the limit as its arguments.
    pub(super) sql: &'static str,
    pub(super) owner: Owner,
    pub(super) limit: usize,
}

impl Write for Release {
    type Output = u64;

    fn is_one_statement(&self) -> bool {
        true
    }

    async fn run(&self, connection: &mut SqliteConnection) -> sqlx::Result<u64> {
        let mut batch = Batch::of(self.sql);
        batch.bind(self.owner.number())?;
        batch.bind(limit(self.limit))?;
        batch.changes(connection).await
    }
}
