//! The MySQL store, for MySQL 8 and MariaDB 10.6 and later: messages in tables beside the user's
//! own.
//!
//! Handlers run on connections of a pool, each in a transaction of its own, at read committed. What
//! the store does by itself goes over other connections, and what many callers ask for at once goes
//! in one statement: whatever waits when one ends is the next one.
//!
//! All statements are tried on MariaDB 10.11. They keep to what MySQL 8 documents as well; where
//! the two differ, a comment says so.
//!
//! [`guide::mysql`](crate::guide::mysql) is its page.

mod admin;
mod binding;
mod builder;
mod completion;
mod credentials;
mod dead_letters;
mod error;
mod inbox;
mod internal_pool;
mod keys;
mod marks;
mod migrate;
mod nodes;
mod outbox;
#[cfg(test)]
mod plans;
mod pool;
mod rows;
mod server;
mod session;
mod settlement;
mod sql;
mod store;
mod sweep;
mod tables;
mod transaction;

use futures_util::future::BoxFuture;
use sqlx::{MySql, MySqlConnection};

pub use self::builder::MysqlStoreBuilder;
pub use self::store::MysqlStore;
use self::transaction::MysqlTransaction;
use super::sql::ports::delegate_ports;
use super::{
    Connection, ConnectionType, MessageStore, StoreError, StoreInfo, StoreTransaction,
    TransactionOptions, TransactionScope,
};

impl Connection for MySqlConnection {}

impl TransactionScope for sqlx::Transaction<'_, MySql> {
    type Connection = MySqlConnection;

    fn connection(&mut self) -> &mut MySqlConnection {
        self
    }
}

impl MessageStore for MysqlStore {
    fn info(&self) -> StoreInfo {
        let connection = ConnectionType::of::<MySqlConnection>();
        StoreInfo::new("mysql", Some(connection), true)
            .with_pool::<sqlx::MySqlPool>()
            .with_conflicts(error::is_conflict)
    }

    fn begin(
        &self,
        options: TransactionOptions,
    ) -> BoxFuture<'_, Result<Box<dyn StoreTransaction>, StoreError>> {
        Box::pin(async move {
            let run = MysqlTransaction::begin(
                &self.shared.connections.runs,
                self.internal_pool(),
                options,
            )
            .await?;
            Ok(Box::new(run) as Box<dyn StoreTransaction>)
        })
    }

    delegate_ports!();
}
