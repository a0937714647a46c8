//! The SQLite store: messages in the file that holds the user's own tables.
//!
//! One task writes, on one connection. What waits for it shares a transaction, each member in a
//! savepoint of its own, so that one fsync serves many messages and one failure spoils only its
//! own. A durable handler is such a member too: it borrows the connection for its turn.

mod admin;
mod batch;
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
mod tables;
mod writer;

use std::fmt;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::BoxFuture;
use sqlx::sqlite::{SqliteConnectOptions, SqliteJournalMode, SqlitePoolOptions, SqliteSynchronous};
use sqlx::{Sqlite, SqliteConnection, SqlitePool};

use self::error::Place;
use self::leases::Leases;
use self::presence::Presence;
use self::writer::{Connector, Writer};
use super::sql::ports::its_own_ports;
use super::{
    Connection, ConnectionType, MessageStore, StoreError, StoreInfo, StoreTransaction,
    TransactionOptions, TransactionScope,
};

/// For how long a connection waits for one of another process.
const BUSY_TIMEOUT: Duration = Duration::from_secs(5);

/// The connections of the pool that [`SqliteStore::pool`] gives.
const POOL_SIZE: u32 = 4;

/// Statements that the writer keeps prepared: its own, each for several numbers of rows, and the
/// handlers'.
const STATEMENTS: usize = 512;

impl Connection for SqliteConnection {}

impl TransactionScope for sqlx::Transaction<'_, Sqlite> {
    type Connection = SqliteConnection;

    fn connection(&mut self) -> &mut SqliteConnection {
        self
    }
}

/// A message store in a SQLite file. Clones share one writer.
#[derive(Clone)]
pub struct SqliteStore {
    shared: Arc<Shared>,
}

struct Shared {
    writer: Writer,
    pool: SqlitePool,
    place: Place,
    presence: Arc<Presence>,
    leases: Arc<Leases>,
    /// How to reach the file beside the writer.
    options: SqliteConnectOptions,
}

impl SqliteStore {
    /// Opens a database file, which is created if it is not there.
    ///
    /// # Errors
    /// The file is not a database, or cannot be written.
    ///
    /// # Panics
    /// Outside of a tokio runtime.
    pub async fn open(path: impl AsRef<Path>) -> Result<Self, StoreError> {
        let options = SqliteConnectOptions::new().filename(path);
        Self::open_with(options.create_if_missing(true)).await
    }

    /// Opens a database with options of your own.
    ///
    /// The store sets write-ahead logging, `synchronous = full` and foreign keys, and waits up to
    /// five seconds for other processes.
    ///
    /// # Errors As [`open`](Self::open); also for a database in memory, which a pool of connections
    /// cannot share.
    ///
    /// # Panics
    /// Outside of a tokio runtime.
    pub async fn open_with(options: SqliteConnectOptions) -> Result<Self, StoreError> {
        let place = Place::new(options.get_filename());
        let options = options
            .journal_mode(SqliteJournalMode::Wal)
            .synchronous(SqliteSynchronous::Full)
            .busy_timeout(BUSY_TIMEOUT)
            .foreign_keys(true);
        let writing = options.clone().statement_cache_capacity(STATEMENTS);
        let connector = Connector::new(writing, place.clone());
        let mut session = connector.connect().await?;
        session.check(&place).await?;
        let pool =
            SqlitePoolOptions::new().max_connections(POOL_SIZE).connect_lazy_with(options.clone());
        let leases = Arc::new(Leases::default());
        Ok(Self {
            shared: Arc::new(Shared {
                writer: Writer::start(connector, session, Arc::clone(&leases)),
                pool,
                leases,
                options,
                presence: Arc::new(Presence::beside(place.path())),
                place,
            }),
        })
    }

    /// Connections to the same file, for reading and writing of your own outside of handlers.
    ///
    /// A write transaction that stays open here keeps every handler waiting.
    pub fn pool(&self) -> &SqlitePool {
        &self.shared.pool
    }

    fn writer(&self) -> &Writer {
        &self.shared.writer
    }

    fn place(&self) -> &Place {
        &self.shared.place
    }

    fn presence(&self) -> Arc<Presence> {
        Arc::clone(&self.shared.presence)
    }

    fn leases(&self) -> &Leases {
        &self.shared.leases
    }

    fn error(&self, error: sqlx::Error) -> StoreError {
        self.place().error(error)
    }
}

impl fmt::Debug for SqliteStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SqliteStore").field("path", &self.place().path()).finish_non_exhaustive()
    }
}

impl MessageStore for SqliteStore {
    fn info(&self) -> StoreInfo {
        let connection = ConnectionType::of::<SqliteConnection>();
        StoreInfo::new("sqlite", Some(connection), true)
            .with_conflicts(error::is_conflict)
            .with_single_writer()
    }

    fn begin(
        &self,
        begin: TransactionOptions,
    ) -> BoxFuture<'_, Result<Box<dyn StoreTransaction>, StoreError>> {
        Box::pin(async move {
            let loan = self.writer().borrow(begin).await?;
            Ok(Box::new(loan) as Box<dyn StoreTransaction>)
        })
    }

    its_own_ports!();
}
