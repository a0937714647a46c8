//! How a store is opened, and what its clones share.

use std::fmt;
use std::path::Path;
use std::sync::Arc;

use sqlx::SqlitePool;
use sqlx::sqlite::{SqliteConnectOptions, SqliteJournalMode, SqlitePoolOptions, SqliteSynchronous};

use super::error::Place;
use super::leases::Leases;
use super::presence::Presence;
use super::writer::{BUSY_TIMEOUT, Connector, Writer};
use crate::store::StoreError;

/// The connections of the pool that [`SqliteStore::pool`] gives.
const POOL_SIZE: u32 = 4;

/// Statements that the writer keeps prepared: its own, each for several numbers of rows, and the
/// handlers'.
const STATEMENTS: usize = 512;

/// Rows that the thread of the writing connection hands over before it waits until they are taken:
/// more than those of a claim.
const ROWS: usize = 512;

/// A message store in a SQLite file. Clones share one writer.
#[derive(Clone)]
pub struct SqliteStore {
    pub(super) shared: Arc<StoreShared>,
}

pub(super) struct StoreShared {
    writer: Writer,
    pool: SqlitePool,
    place: Place,
    presence: Arc<Presence>,
    leases: Arc<Leases>,
    /// How to reach the file beside the writer.
    pub(super) options: SqliteConnectOptions,
}

impl SqliteStore {
    /// Opens a database file, which is created if it is not there.
    ///
    /// # Errors
    /// The file is not a database ([`StoreError::NotADatabase`]), cannot be one
    /// ([`StoreError::Unsuitable`]: its directory is missing, say), can only be read
    /// ([`StoreError::ReadOnly`]), or cannot be opened for now ([`StoreError::Unreachable`]).
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
    /// five seconds for other processes. The connection that handlers borrow has temporary data in
    /// memory (`temp_store`), whatever the options say.
    ///
    /// # Errors
    /// As [`open`](Self::open); also [`StoreError::Unsuitable`] for a database in memory, which a
    /// pool of connections cannot share, and for a missing file that the options do not make.
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
        // A savepoint keeps each page that is changed after it. By default these go to a file, made
        // and removed for each transaction with more than 64 KiB of them, as most have.
        let writing = options
            .clone()
            .statement_cache_capacity(STATEMENTS)
            .row_buffer_size(ROWS)
            .pragma("temp_store", "memory");
        let connector = Connector::new(writing, place.clone());
        let connected = connector.connect().await;
        let mut session = connected.map_err(|error| place.error_at_start(error))?;
        session.check(&place).await?;
        let pool =
            SqlitePoolOptions::new().max_connections(POOL_SIZE).connect_lazy_with(options.clone());
        let leases = Arc::new(Leases::default());
        Ok(Self {
            shared: Arc::new(StoreShared {
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

    pub(super) fn writer(&self) -> &Writer {
        &self.shared.writer
    }

    pub(super) fn place(&self) -> &Place {
        &self.shared.place
    }

    pub(super) fn presence(&self) -> Arc<Presence> {
        Arc::clone(&self.shared.presence)
    }

    pub(super) fn leases(&self) -> &Leases {
        &self.shared.leases
    }

    pub(super) fn error(&self, error: sqlx::Error) -> StoreError {
        self.place().error(error)
    }
}

impl fmt::Debug for SqliteStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SqliteStore").field("path", &self.place().path()).finish_non_exhaustive()
    }
}
