//! What is done alike with both tables of messages in SQLite.

use sqlx::SqliteConnection;

use super::outbox;
use super::rows::{self, Insert};
use super::sql::{SQL, Text};
use super::statement_batch::StatementBatch;
use super::store::SqliteStore;
use super::writer::{Queued, Write, Writer};
use crate::store::sql::columns;
use crate::store::sql::number::limit;
use crate::store::sql::ports::SqlStore;
use crate::store::sql::ports::messages::{MessageRow, Messages};
use crate::store::{Incoming, Inserted, Outgoing, Owner, Ownership, Settled, StoreError};

/// A table, by the rows that are stored in it.
trait Stores: Insert + MessageRow + Queued<Answer = Inserted> {
    /// Makes rows of an owner that is gone claimable by any node; those of one whose lease was
    /// extended in the meantime stay.
    fn release() -> Text;

    fn owned() -> Text;

    fn settle(
        settlements: Vec<Self::Settlement>,
        writer: &Writer,
    ) -> impl Future<Output = Result<Vec<Settled>, StoreError>> + Send;
}

impl Stores for Incoming {
    fn release() -> Text {
        SQL.inbox.release
    }

    fn owned() -> Text {
        SQL.inbox.owned
    }

    async fn settle(
        settlements: Vec<Self::Settlement>,
        writer: &Writer,
    ) -> Result<Vec<Settled>, StoreError> {
        writer.share(settlements).await
    }
}

impl Stores for Outgoing {
    fn release() -> Text {
        SQL.outbox.release
    }

    fn owned() -> Text {
        SQL.outbox.owned
    }

    async fn settle(
        settlements: Vec<Self::Settlement>,
        writer: &Writer,
    ) -> Result<Vec<Settled>, StoreError> {
        writer.write(outbox::Settle(settlements)).await
    }
}

impl SqlStore for SqliteStore {
    const NAME: &'static str = "sqlite";

    type Connection = SqliteConnection;
}

impl<R: Stores> Messages<R> for SqliteStore {
    async fn store(&self, rows: Vec<R>) -> Result<Vec<Inserted>, StoreError> {
        self.writer().share(rows).await
    }

    async fn insert(
        &self,
        connection: &mut SqliteConnection,
        rows: &[R],
    ) -> Result<Vec<Inserted>, StoreError> {
        rows::insert(connection, rows).await.map_err(|error| self.error(error))
    }

    async fn settle(&self, settlements: Vec<R::Settlement>) -> Result<Vec<Settled>, StoreError> {
        R::settle(settlements, self.writer()).await
    }

    async fn release(&self, owner: Owner, limit: usize) -> Result<u64, StoreError> {
        self.writer().write(Release { sql: R::release(), owner, limit }).await
    }

    async fn owned(&self, owner: Owner, most: usize) -> Result<Vec<Ownership>, StoreError> {
        let query = sqlx::query(R::owned()).bind(owner.number()).bind(limit(most));
        let rows = query.fetch_all(self.pool()).await;
        let owned = rows.and_then(|rows| columns::all(&rows, |row| columns::ownership(row, owner)));
        owned.map_err(|error| self.error(error))
    }
}

/// Rows of an owner that is gone, at most this many of one table.
struct Release {
    /// The table's statement, with the owner and the limit as its arguments.
    sql: &'static str,
    owner: Owner,
    limit: usize,
}

impl Write for Release {
    type Output = u64;

    fn is_one_statement(&self) -> bool {
        true
    }

    async fn run(&self, connection: &mut SqliteConnection) -> sqlx::Result<u64> {
        let mut batch = StatementBatch::of(self.sql);
        batch.bind(self.owner.number())?;
        batch.bind(limit(self.limit))?;
        batch.changes(connection).await
    }
}
