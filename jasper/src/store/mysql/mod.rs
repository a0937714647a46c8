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
mod sweep;
mod tables;
mod transaction;

use std::fmt;
use std::sync::Arc;

use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use sqlx::mysql::MySqlConnectOptions;
use sqlx::{MySql, MySqlConnection, MySqlPool};
use tokio::sync::Semaphore;

pub use self::builder::MysqlStoreBuilder;
use self::error::Place;
use self::internal_pool::InternalPool;
use self::pool::Pool;
use self::rows::Insert;
use self::sql::{Names, Sql};
use self::tables::Store;
use self::transaction::Run;
use super::portions::{Guess, Weigh};
use super::sql::gathered::Gathered;
use super::sql::lines::{KEYED_WAITING, Keyed, Lines};
use super::sql::ports::its_own_ports;
use super::{
    Connection, ConnectionType, MessageStore, StoreError, StoreInfo, StoreTransaction,
    TransactionOptions, TransactionScope,
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
///
/// # Silence
///
/// No call waits for the server longer than half a lease: then its connection is closed, and its
/// session ended from another one. A statement of a handler may take as long as the handler; what
/// still runs when that time is over is cancelled at the server. A node ends the sessions that a
/// process has left which is gone, frozen or cut off, so that what it has locked is free as soon
/// as its lease is over. For that all processes have to connect as one user, or with the right to
/// end sessions of others (`CONNECTION ADMIN`, in MySQL `CONNECTION_ADMIN`), and to the same
/// server.
///
/// MariaDB also ends a transaction by itself in which nothing happens for longer than the handler
/// may take and a reserve. MySQL has no such limit: there the session of a process that the network
/// cuts off, with no other node alive, stays until the server's `wait_timeout`.
///
/// # Sessions
///
/// What a handler changes of its session, such as `sql_mode`, `time_zone` or the database in use,
/// ends with its run: the connection is then closed. Variables (`@name`), temporary tables and
/// named locks of its own may stay for other messages, unless the handler fails.
#[derive(Clone)]
pub struct MysqlStore {
    shared: Arc<Shared>,
}

struct Shared {
    connections: Connections,
    gathered: Gathered,
    incoming_guess: Arc<Guess>,
    outgoing_guess: Arc<Guess>,
}

/// What a store reaches its database with.
struct Connections {
    /// For handlers: never with autocommit.
    runs: Pool,
    /// For the user, with autocommit.
    users: MySqlPool,
    desk: InternalPool,
    /// Where inserts wait that may meet the key of an open transaction.
    keyed: InternalPool,
    nodes: InternalPool,
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
    ///
    /// Its `set_connect_options` is where credentials are renewed, for all connections of the
    /// store: those that are opened from then on take them.
    pub fn pool(&self) -> &MySqlPool {
        &self.shared.connections.users
    }

    fn new(connections: Connections) -> Self {
        let Connections { desk, keyed, .. } = &connections;
        let waiting = Arc::new(Semaphore::new(KEYED_WAITING));
        Self {
            shared: Arc::new(Shared {
                gathered: Gathered {
                    incoming: lines(desk, keyed, &waiting),
                    outgoing: lines(desk, keyed, &waiting),
                    settlements: settlement::coalescer(desk, settlement::Settle),
                    outgoing_settlements: settlement::coalescer(desk, outbox::Settle),
                },
                incoming_guess: Arc::default(),
                outgoing_guess: Arc::default(),
                connections,
            }),
        }
    }

    fn desk(&self) -> &InternalPool {
        &self.shared.connections.desk
    }

    /// The desk at which nothing waits but leases.
    fn node_desk(&self) -> &InternalPool {
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

/// What stores the rows of all callers.
fn lines<R>(desk: &InternalPool, keyed: &InternalPool, waiting: &Arc<Semaphore>) -> Lines<R>
where
    R: Insert + Keyed + Weigh + Clone,
{
    let desks = (desk.clone(), keyed.clone());
    let insert = |desk: InternalPool, rows, wait| {
        async move { desk.work(Store { rows, wait }).await }.boxed()
    };
    Lines::new(SHARED_ROWS, waiting, desk.place.name(), desks, insert)
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
        StoreInfo::new("mysql", Some(connection), true).with_conflicts(error::is_conflict)
    }

    fn begin(
        &self,
        begin: TransactionOptions,
    ) -> BoxFuture<'_, Result<Box<dyn StoreTransaction>, StoreError>> {
        Box::pin(async move {
            let run = Run::begin(&self.shared.connections.runs, self.desk(), begin).await?;
            Ok(Box::new(run) as Box<dyn StoreTransaction>)
        })
    }

    its_own_ports!();
}
