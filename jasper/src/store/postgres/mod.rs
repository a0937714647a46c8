//! The PostgreSQL store: messages in a schema of the database that holds the user's own tables.
//!
//! Handlers run on connections of a pool, each in a transaction of its own, or several in one where
//! they say so. What the store does by itself goes over other connections, and what many callers
//! ask for at once goes in one statement: whatever waits when one ends is the next one.
//!
//! [`guide::postgres`](crate::guide::postgres) is its page.

mod admin;
mod builder;
mod changes;
mod claimable;
mod completion;
mod credentials;
mod dead_letters;
mod depth;
mod error;
mod frontier;
mod inbox;
mod internal_pool;
mod limits;
mod listener;
mod mark;
mod migrate;
mod nodes;
mod outbox;
mod pace;
#[cfg(test)]
mod plans;
mod pooled_connection;
mod pooler;
mod rows;
mod run_queue;
mod session;
mod sessions;
mod settle;
mod settlement;
mod shared_transaction;
mod sharing;
mod sql;
mod store;
mod tables;
mod transaction;

use futures_util::future::BoxFuture;
use sqlx::{PgConnection, Postgres};

pub use self::builder::PostgresStoreBuilder;
pub use self::store::PostgresStore;
use self::transaction::PostgresTransaction;
use super::sql::ports::delegate_ports;
use super::{
    Connection, ConnectionType, MessageStore, StoreError, StoreInfo, StoreTransaction,
    TransactionOptions, TransactionScope,
};

impl Connection for PgConnection {}

impl TransactionScope for sqlx::Transaction<'_, Postgres> {
    type Connection = PgConnection;

    fn connection(&mut self) -> &mut PgConnection {
        self
    }
}

impl MessageStore for PostgresStore {
    fn info(&self) -> StoreInfo {
        let connection = ConnectionType::of::<PgConnection>();
        let info = StoreInfo::new("postgres", Some(connection), true).with_pool::<sqlx::PgPool>();
        info.with_notifications().with_conflicts(error::is_conflict)
    }

    fn begin(
        &self,
        options: TransactionOptions,
    ) -> BoxFuture<'_, Result<Box<dyn StoreTransaction>, StoreError>> {
        Box::pin(async move {
            if options.share > 1 {
                let borrowed = self.shared.sharing.borrow(options).await?;
                return Ok(Box::new(borrowed) as Box<dyn StoreTransaction>);
            }
            let run =
                PostgresTransaction::begin(&self.shared.pool, self.internal_pool(), options.limit)
                    .await?;
            Ok(Box::new(run) as Box<dyn StoreTransaction>)
        })
    }

    delegate_ports!();
}
