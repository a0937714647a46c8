//! What is done alike with both tables of messages in MySQL.

use sqlx::MySqlConnection;

use super::internal_pool::Work;
use super::rows::{self, Insert};
use super::sql::Sql;
use super::store::MysqlStore;
use super::sweep::{Sweep, Table};
use crate::store::sql::columns;
use crate::store::sql::insert_queues::Wait;
use crate::store::sql::number;
use crate::store::sql::ports::SqlStore;
use crate::store::sql::ports::messages::Messages;
use crate::store::sql::write_batchers::GatheredRow;
use crate::store::{Incoming, Inserted, Outgoing, Owner, Ownership, Settled, StoreError};

/// A table, by the rows that are stored in it.
pub(super) trait Stores: Insert + GatheredRow {
    const TABLE: Table;
}

impl Stores for Incoming {
    const TABLE: Table = Table::Incoming;
}

impl Stores for Outgoing {
    const TABLE: Table = Table::Outgoing;
}

impl SqlStore for MysqlStore {
    const NAME: &'static str = "mysql";

    type Connection = MySqlConnection;
}

impl<R: Stores> Messages<R> for MysqlStore {
    async fn store(&self, rows: Vec<R>) -> Result<Vec<Inserted>, StoreError> {
        self.shared.gathered.store(rows).await
    }

    async fn insert(
        &self,
        connection: &mut MySqlConnection,
        rows: &[R],
    ) -> Result<Vec<Inserted>, StoreError> {
        let stored = rows::insert(connection, self.sql(), rows).await;
        stored.map_err(|error| self.error(error))
    }

    async fn settle(&self, settlements: Vec<R::Settlement>) -> Result<Vec<Settled>, StoreError> {
        self.shared.gathered.settle::<R>(settlements).await
    }

    async fn release(&self, owner: Owner, limit: usize) -> Result<u64, StoreError> {
        self.internal_pool().give(Sweep::release(R::TABLE, owner, limit)).await
    }

    async fn owned(&self, owner: Owner, limit: usize) -> Result<Vec<Ownership>, StoreError> {
        self.internal_pool().give(Owned { table: R::TABLE, owner, limit }).await
    }
}

/// Rows to store.
pub(super) struct StoreRows<R> {
    pub(super) rows: Vec<R>,
    pub(super) wait: Wait,
}

impl<R: Insert> Work for StoreRows<R> {
    type Output = Vec<Inserted>;

    async fn run(
        &self,
        connection: &mut MySqlConnection,
        sql: &Sql,
    ) -> sqlx::Result<Vec<Inserted>> {
        rows::store(connection, sql, &self.rows, self.wait).await
    }
}

/// At most this many rows that an owner holds.
struct Owned {
    table: Table,
    owner: Owner,
    limit: usize,
}

impl Work for Owned {
    type Output = Vec<Ownership>;
    const REPEATS: bool = true;

    async fn run(
        &self,
        connection: &mut MySqlConnection,
        sql: &Sql,
    ) -> sqlx::Result<Vec<Ownership>> {
        let statement = match self.table {
            Table::Incoming => &sql.inbox.owned,
            Table::Outgoing => &sql.outbox.owned,
        };
        let query = sqlx::query(statement.clone())
            .bind(self.owner.number())
            .bind(number::limit(self.limit));
        let rows = query.fetch_all(connection).await?;
        columns::all(&rows, |row| columns::ownership(row, self.owner))
    }
}
