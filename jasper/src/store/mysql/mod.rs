//! The MySQL store, for MySQL 8 and MariaDB 10.6 and later: messages in tables beside the user's
//! own.
//!
//! Handlers run on connections of a pool, each in a transaction of its own, at read committed. What
//! the store does by itself goes over other connections, and what many callers ask for at once goes
//! in one statement: whatever waits when one ends is the next one.
//!
//! All statements are tried on MariaDB 10.11. They keep to what MySQL 8 documents as well; where
//! the two differ, a comment says so.

mod admin;
mod builder;
mod completion;
mod credentials;
mod dead_letters;
mod desk;
mod error;
mod inbox;
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
mod sweep;
mod transaction;

use std::any::Any;
use std::fmt;
use std::sync::Arc;

use futures_util::future::BoxFuture;
use sqlx::mysql::MySqlConnectOptions;
use sqlx::{MySql, MySqlConnection, MySqlPool};

pub use self::builder::MysqlStoreBuilder;
use self::desk::Desk;
use self::error::Place;
use self::pool::Pool;
use self::sql::{Names, Sql};
use self::transaction::Run;
use super::coalescer::Coalescer;
use super::{
    Begin, Connection, ConnectionType, DeadLetters, Inbox, Incoming, MessageStore, Nodes, Outbox,
    Outgoing, OutgoingSettlement, Settled, Settlement, StoreAdmin, StoreError, StoreInfo,
    StoreTransaction, Stored, TransactionScope,
};

/// The most rows of one statement, and of one flush that several callers share.
const SHARED_ROWS: usize = 500;

impl Connection for MySqlConnection {}

impl TransactionScope for sqlx::Transaction<'_, MySql> {
    type Connection = MySqlConnection;

    fn connection(&mut self) -> &mut MySqlConnection {
        self
    }
}

/// A message store in a MySQL or MariaDB database. Clones share their connections.
///
/// A durable handler's transaction runs at read committed, whatever the server's default is: in a
/// handler a row that is read twice may have changed in between, unless it is read `for update`. A
/// handler that executes `commit`, or a statement that commits by itself such as `create table`,
/// ends its transaction; that is reported, but MySQL cannot undo it. What the handler does after
/// that is undone, unless it switches `autocommit` on, which nothing can make good.
///
/// Runs of a handler never share a transaction here, whatever its `share` says.
#[derive(Clone)]
pub struct MysqlStore {
    shared: Arc<Shared>,
}

struct Shared {
    connections: Connections,
    incoming: Coalescer<Incoming, Stored>,
    outgoing: Coalescer<Outgoing, Stored>,
    settlements: Coalescer<Settlement, Settled>,
    outgoing_settlements: Coalescer<OutgoingSettlement, Settled>,
}

/// What a store reaches its database with.
struct Connections {
    /// For handlers: never with autocommit.
    runs: Pool,
    /// For the user, with autocommit.
    users: MySqlPool,
    desk: Desk,
    nodes: Desk,
    names: Names,
}

impl MysqlStore {
    /// Connects to the database of a URL such as `mysql://user:password@host:3306/database`, with
    /// tables that have no prefix.
    ///
    /// # Errors
    /// The URL is none or names no database, or the server cannot be reached.
    ///
    /// # Panics
    /// Outside of a tokio runtime.
    pub async fn connect(url: &str) -> Result<Self, StoreError> {
        Self::builder().connect(url).await
    }

    /// Connects with options of your own, with tables that have no prefix.
    ///
    /// # Errors
    /// The options name no database, or the server cannot be reached.
    ///
    /// # Panics
    /// Outside of a tokio runtime.
    pub async fn connect_with(options: MySqlConnectOptions) -> Result<Self, StoreError> {
        Self::builder().connect_with(options).await
    }

    /// For tables with a prefix, or another number of connections.
    pub fn builder() -> MysqlStoreBuilder {
        MysqlStoreBuilder::new()
    }

    /// Connections for reading and writing of your own outside of handlers, at read committed.
    ///
    /// None is opened before one is asked for. Handlers run on others.
    pub fn pool(&self) -> &MySqlPool {
        &self.shared.connections.users
    }

    fn new(connections: Connections) -> Self {
        let desk = &connections.desk;
        Self {
            shared: Arc::new(Shared {
                incoming: inbox::coalescer(desk),
                outgoing: outbox::coalescer(desk),
                settlements: settlement::coalescer(desk),
                outgoing_settlements: outbox::settlement_coalescer(desk),
                connections,
            }),
        }
    }

    fn desk(&self) -> &Desk {
        &self.shared.connections.desk
    }

    /// The desk at which nothing waits but leases.
    fn node_desk(&self) -> &Desk {
        &self.shared.connections.nodes
    }

    fn sql(&self) -> &Sql {
        &self.desk().sql
    }

    fn place(&self) -> &Place {
        &self.desk().place
    }

    fn error(&self, error: sqlx::Error) -> StoreError {
        self.place().error(error)
    }
}

impl fmt::Debug for MysqlStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MysqlStore")
            .field("place", &self.place().name())
            .field("prefix", &self.shared.connections.names.prefix())
            .finish_non_exhaustive()
    }
}

impl MessageStore for MysqlStore {
    fn info(&self) -> StoreInfo {
        let connection = ConnectionType::of::<MySqlConnection>();
        StoreInfo::new("mysql", Some(connection), true)
    }

    fn begin(&self, begin: Begin) -> BoxFuture<'_, Result<Box<dyn StoreTransaction>, StoreError>> {
        Box::pin(async move {
            let run = Run::begin(&self.shared.connections.runs, self.desk(), begin).await?;
            Ok(Box::new(run) as Box<dyn StoreTransaction>)
        })
    }

    fn inbox(&self) -> &dyn Inbox {
        self
    }

    fn outbox(&self) -> &dyn Outbox {
        self
    }

    fn dead_letters(&self) -> &dyn DeadLetters {
        self
    }

    fn nodes(&self) -> &dyn Nodes {
        self
    }

    fn admin(&self) -> &dyn StoreAdmin {
        self
    }
}

/// The connection that a user gave, if it is one of ours.
fn connection_of(given: &mut (dyn Any + Send)) -> Result<&mut MySqlConnection, StoreError> {
    given
        .downcast_mut()
        .ok_or(StoreError::WrongConnection { store: "mysql", given: "connection of another type" })
}
