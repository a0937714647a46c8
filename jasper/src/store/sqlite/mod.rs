//! The SQLite store: messages in the file that holds the user's own tables.
//!
//! One task writes, on one connection. What waits for it shares a transaction, each member in a
//! savepoint of its own, so that one fsync serves many messages and one failure spoils only its
//! own. A durable handler is such a member too: it borrows the connection for its turn.
//!
//! [`guide::sqlite`](crate::guide::sqlite) is its page.

mod admin;
mod completion;
mod dead_letters;
mod error;
mod inbox;
mod leases;
mod migrate;
mod nodes;
mod outbox;
#[cfg(test)]
mod plans;
mod presence;
mod rows;
mod settlement;
mod sql;
mod statement_batch;
mod store;
mod tables;
mod writer;

use futures_util::future::BoxFuture;
use sqlx::{Sqlite, SqliteConnection};

pub use self::store::SqliteStore;
use super::sql::ports::delegate_ports;
use super::{
    Connection, ConnectionType, MessageStore, StoreError, StoreInfo, StoreTransaction,
    TransactionOptions, TransactionScope,
};

impl Connection for SqliteConnection {}

impl TransactionScope for sqlx::Transaction<'_, Sqlite> {
    type Connection = SqliteConnection;

    fn connection(&mut self) -> &mut SqliteConnection {
        self
    }
}

impl MessageStore for SqliteStore {
    fn info(&self) -> StoreInfo {
        let connection = ConnectionType::of::<SqliteConnection>();
        StoreInfo::new("sqlite", Some(connection), true)
            .with_pool::<sqlx::SqlitePool>()
            .with_conflicts(error::is_conflict)
            .with_single_writer()
    }

    fn begin(
        &self,
        options: TransactionOptions,
    ) -> BoxFuture<'_, Result<Box<dyn StoreTransaction>, StoreError>> {
        Box::pin(async move {
            let borrowed = self.writer().borrow(options).await?;
            Ok(Box::new(borrowed) as Box<dyn StoreTransaction>)
        })
    }

    delegate_ports!();
}
