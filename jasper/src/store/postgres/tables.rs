//! What is done alike with both tables of messages in PostgreSQL.

use sqlx::{PgConnection, SqlStr};

use super::rows::{self, Insert};
use super::sql::Sql;
use super::store::PostgresStore;
use crate::store::sql::columns::{self, Columns};
use crate::store::sql::number;
use crate::store::sql::ports::SqlStore;
use crate::store::sql::ports::messages::Messages;
use crate::store::sql::write_batchers::GatheredRow;
use crate::store::{Incoming, Inserted, Outgoing, Owner, Ownership, Settled, StoreError};

/// A table, by the rows that are stored in it.
trait Stores: Insert + GatheredRow {
    fn release(sql: &Sql) -> &SqlStr;

    fn owned(sql: &Sql) -> &SqlStr;
}

impl Stores for Incoming {
    fn release(sql: &Sql) -> &SqlStr {
        &sql.inbox.release
    }

    fn owned(sql: &Sql) -> &SqlStr {
        &sql.inbox.owned
    }
}

impl Stores for Outgoing {
    fn release(sql: &Sql) -> &SqlStr {
        &sql.outbox.release
    }

    fn owned(sql: &Sql) -> &SqlStr {
        &sql.outbox.owned
    }
}

impl SqlStore for PostgresStore {
    const NAME: &'static str = "postgres";

    type Connection = PgConnection;
}

impl<R: Stores> Messages<R> for PostgresStore {
    async fn store(&self, rows: Vec<R>) -> Result<Vec<Inserted>, StoreError> {
        self.shared.gathered.store(rows).await
    }

    async fn insert(
        &self,
        connection: &mut PgConnection,
        rows: &[R],
    ) -> Result<Vec<Inserted>, StoreError> {
        let stored = rows::insert(connection, self.sql(), rows).await;
        stored.map_err(|error| self.error(error))
    }

    async fn settle(&self, settlements: Vec<R::Settlement>) -> Result<Vec<Settled>, StoreError> {
        self.shared.gathered.settle::<R>(settlements).await
    }

    async fn release(&self, owner: Owner, limit: usize) -> Result<u64, StoreError> {
        let query = sqlx::query(R::release(self.sql()).clone())
            .bind(owner.number())
            .bind(number::limit(limit));
        let released = self.internal_pool().row(query).await;
        self.internal_pool().start_over();
        released.and_then(|row| row.number(0)).map(number::total).map_err(|error| self.error(error))
    }

    async fn owned(&self, owner: Owner, limit: usize) -> Result<Vec<Ownership>, StoreError> {
        let query = sqlx::query(R::owned(self.sql()).clone())
            .bind(owner.number())
            .bind(number::limit(limit));
        let rows = self.internal_pool().rows(query).await;
        let owned = rows.and_then(|rows| columns::all(&rows, |row| columns::ownership(row, owner)));
        owned.map_err(|error| self.error(error))
    }
}
