//! The SQL Server store, for SQL Server 2016 and later and Azure SQL: messages in tables beside the
//! user's own. [`guide::sqlserver`](crate::guide::sqlserver) is its page.
//!
//! Handlers run on connections of a pool, each in a transaction of its own. What the store does by
//! itself goes over other connections, and what many callers ask for at once goes in one statement,
//! as JSON: whatever waits when one ends is the next one. One row goes as plain parameters.
//!
//! No statement relies on a lock hint: each compares the owner again as it sets it.

mod address;
mod admin;
mod batch;
mod builder;
mod completion;
mod connection;
mod dead_letters;
mod error;
mod inbox;
mod internal_pool;
mod mark;
mod migrate;
mod nodes;
mod opener;
mod outbox;
mod parameters;
#[cfg(test)]
mod plans;
mod pool;
mod rows;
mod server;
mod session;
mod sessions;
mod settlement;
mod sql;
mod statement_size;
mod store;
mod tables;
mod transaction;
mod user_pool;
mod user_transaction;

use futures_util::future::BoxFuture;
pub use tiberius;

pub use self::builder::SqlServerStoreBuilder;
pub use self::connection::SqlServerConnection;
pub use self::store::SqlServerStore;
use self::transaction::SqlServerTransaction;
pub use self::user_pool::{SqlServerPool, SqlServerPoolConnection};
pub use self::user_transaction::Transaction;
use super::sql::ports::delegate_ports;
use super::{
    ConnectionType, MessageStore, StoreError, StoreInfo, StoreTransaction, TransactionOptions,
};

impl MessageStore for SqlServerStore {
    fn info(&self) -> StoreInfo {
        let connection = ConnectionType::of::<SqlServerConnection>();
        StoreInfo::new("sqlserver", Some(connection), true)
            .with_pool::<SqlServerPool>()
            .with_conflicts(error::is_conflict)
    }

    fn begin(
        &self,
        _options: TransactionOptions,
    ) -> BoxFuture<'_, Result<Box<dyn StoreTransaction>, StoreError>> {
        Box::pin(async move {
            let runs = &self.shared.connections.runs;
            let run = SqlServerTransaction::begin(runs, self.internal_pool()).await?;
            Ok(Box::new(run) as Box<dyn StoreTransaction>)
        })
    }

    delegate_ports!();
}
