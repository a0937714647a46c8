//! What is done alike with both tables of messages in SQL Server.

use std::sync::Arc;

use super::connection::SqlServerConnection;
use super::error::Result;
use super::internal_pool::Work;
use super::rows::{self, Insert};
use super::sql::Sql;
use super::statement_size::StatementSize;
use super::store::SqlServerStore;
use crate::store::sql::columns;
use crate::store::sql::insert_queues::Wait;
use crate::store::sql::number;
use crate::store::sql::ports::SqlStore;
use crate::store::sql::ports::messages::Messages;
use crate::store::sql::write_batchers::GatheredRow;
use crate::store::{Incoming, Inserted, Outgoing, Owner, Ownership, Settled, StoreError};

/// A table, by the rows that are stored in it.
pub(super) trait Stores: Insert + GatheredRow {
    /// What takes the owner from rows.
    fn release(sql: &Sql) -> &str;

    /// What lists the rows of an owner.
    fn owned(sql: &Sql) -> &str;
}

impl Stores for Incoming {
    fn release(sql: &Sql) -> &str {
        &sql.inbox.release
    }

    fn owned(sql: &Sql) -> &str {
        &sql.inbox.owned
    }
}

impl Stores for Outgoing {
    fn release(sql: &Sql) -> &str {
        &sql.outbox.release
    }

    fn owned(sql: &Sql) -> &str {
        &sql.outbox.owned
    }
}

impl SqlStore for SqlServerStore {
    const NAME: &'static str = "sqlserver";

    type Connection = SqlServerConnection;
}

impl<R: Stores> Messages<R> for SqlServerStore {
    async fn store(&self, rows: Vec<R>) -> Result<Vec<Inserted>, StoreError> {
        self.shared.gathered.store(rows).await
    }

    async fn insert(
        &self,
        connection: &mut SqlServerConnection,
        rows: &[R],
    ) -> Result<Vec<Inserted>, StoreError> {
        let stored = rows::insert(connection, self.sql(), rows).await;
        stored.map_err(|error| self.error(error))
    }

    async fn settle(&self, settlements: Vec<R::Settlement>) -> Result<Vec<Settled>, StoreError> {
        self.shared.gathered.settle::<R>(settlements).await
    }

    async fn release(&self, owner: Owner, limit: usize) -> Result<u64, StoreError> {
        let statement = R::release(self.sql()).to_owned();
        self.internal_pool().give(Sweep { statement, owner: Some(owner), limit }).await
    }

    async fn owned(&self, owner: Owner, limit: usize) -> Result<Vec<Ownership>, StoreError> {
        let statement = R::owned(self.sql()).to_owned();
        self.internal_pool().give(Owned { statement, owner, limit }).await
    }
}

/// Rows to store.
pub(super) struct StoreRows<R> {
    pub(super) rows: Vec<R>,
    pub(super) wait: Wait,
    pub(super) size: Arc<StatementSize>,
}

impl<R: Insert> Work for StoreRows<R> {
    type Output = Vec<Inserted>;

    async fn run(&self, connection: &mut SqlServerConnection, sql: &Sql) -> Result<Vec<Inserted>> {
        rows::store(connection, sql, &self.rows, self.wait, &self.size).await
    }
}

/// Finds rows, at most `limit`, and does what the statement says to each; those of `owner` where
/// there is one.
///
/// A row that is locked is left for another time: a process that hangs in the middle of a commit,
/// or a handler that takes its time, must not keep the others from being handled.
pub(super) struct Sweep {
    pub(super) statement: String,
    pub(super) owner: Option<Owner>,
    pub(super) limit: usize,
}

impl Work for Sweep {
    type Output = u64;

    async fn run(&self, connection: &mut SqlServerConnection, _sql: &Sql) -> Result<u64> {
        let limit = number::limit(self.limit);
        match self.owner {
            Some(owner) => connection.write(&self.statement, &[&limit, &owner.number()]).await,
            None => connection.write(&self.statement, &[&limit]).await,
        }
    }
}

/// Lists the rows of an owner, at most `limit`.
struct Owned {
    statement: String,
    owner: Owner,
    limit: usize,
}

impl Work for Owned {
    type Output = Vec<Ownership>;
    const REPEATS: bool = true;

    async fn run(
        &self,
        connection: &mut SqlServerConnection,
        _sql: &Sql,
    ) -> Result<Vec<Ownership>> {
        let limit = number::limit(self.limit);
        let rows = connection.rows(&self.statement, &[&limit, &self.owner.number()]).await?;
        columns::all(&rows, |row| columns::ownership(row, self.owner))
    }
}
