//! Where a store finds its database, how it names its tables, and how its connections are set up.

use std::str::FromStr;
use std::sync::Arc;
use std::time::Duration;

use sqlx::mysql::{MySqlConnectOptions, MySqlPoolOptions};
use sqlx::{Connection, MySqlConnection, MySqlPool};

use super::MysqlStore;
use super::desk::Desk;
use super::error::Place;
use super::sql::{Names, Sql};
use crate::store::StoreError;

/// The connections for handlers of a store that says no number.
const CONNECTIONS: u32 = 16;

/// Connections for the store's own statements, each of which serves many callers.
const DESK_CONNECTIONS: u32 = 6;

/// For the leases of nodes, which wait for nothing else.
const NODE_CONNECTIONS: u32 = 2;

/// For how long a caller waits for a connection.
const PATIENCE: Duration = Duration::from_secs(5);

/// Statements that a connection keeps prepared: the store's, some for several numbers of rows, and
/// the handlers'. The server keeps 16,382 for all connections together.
const STATEMENTS: usize = 200;

/// Read committed, as the locks on gaps that repeatable read sets make queues lock each other out.
const SESSION: &str = "set session transaction isolation level read committed";

/// A statement of the store's own waits for a lock no longer than for a connection.
const DESK_SESSION: &str = "\
set session transaction isolation level read committed;
set session innodb_lock_wait_timeout = 5";

/// Without autocommit. What a handler does after a `commit` of its own is then still in a
/// transaction, and undone when that is found out.
const RUN_SESSION: &str = "\
set session transaction isolation level read committed;
set session autocommit = 0";

const PACKET_LIMIT: &str = "select @@max_allowed_packet";

/// How to open a [`MysqlStore`] that is not the ordinary one.
///
/// ```no_run
/// # async fn open() -> Result<(), jasper::store::StoreError> {
/// use jasper::store::mysql::MysqlStore;
///
/// let store = MysqlStore::builder()
///     .prefix("shop_")
///     .connections(32)
///     .connect("mysql://app@db.example/shop")
///     .await?;
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone)]
pub struct MysqlStoreBuilder {
    prefix: String,
    connections: u32,
}

impl MysqlStoreBuilder {
    pub(super) fn new() -> Self {
        Self { prefix: String::new(), connections: CONNECTIONS }
    }

    /// What the names of the store's tables begin with, nothing unless said otherwise: with `shop_`
    /// there is a `shop_jasper_incoming`. Letters, digits and `_`, at most 43 of them.
    #[must_use]
    pub fn prefix(mut self, prefix: impl Into<String>) -> Self {
        self.prefix = prefix.into();
        self
    }

    /// The most connections for handlers, 16 unless said otherwise; at least 1.
    ///
    /// [`pool`](MysqlStore::pool) may open as many, and the store has at most 8 more for its own
    /// work.
    #[must_use]
    pub fn connections(mut self, connections: u32) -> Self {
        self.connections = connections.max(1);
        self
    }

    /// Connects to the database of a URL such as `mysql://user:password@host:3306/database`.
    ///
    /// # Errors
    /// The URL is none or names no database, the prefix cannot be one, or the server cannot be
    /// reached.
    ///
    /// # Panics
    /// Outside of a tokio runtime.
    pub async fn connect(self, url: &str) -> Result<MysqlStore, StoreError> {
        let options = MySqlConnectOptions::from_str(url);
        let options = options.map_err(|error| StoreError::Unreachable {
            // The URL itself may have a password in it.
            place: "the URL".to_owned(),
            detail: error.to_string(),
        })?;
        self.connect_with(options).await
    }

    /// Connects with options of your own.
    ///
    /// The store sets `utf8mb4`, the time zone `+00:00`, and read committed as the isolation level.
    ///
    /// # Errors
    /// The options name no database, the prefix cannot be one, or the server cannot be reached.
    ///
    /// # Panics
    /// Outside of a tokio runtime.
    pub async fn connect_with(
        self,
        options: MySqlConnectOptions,
    ) -> Result<MysqlStore, StoreError> {
        let options = options
            .charset("utf8mb4")
            .timezone(Some("+00:00".to_owned()))
            .statement_cache_capacity(STATEMENTS);
        let place = Place::of(&options);
        let Some(database) = options.get_database() else {
            let detail = "no database is named after the host".to_owned();
            return Err(StoreError::NotADatabase { place: place.name(), detail });
        };
        let names = Names::of(database, &self.prefix)?;
        let packet_limit = reach(&options, &place).await?;
        let sql = Arc::new(Sql::of(&names, packet_limit));
        let open = |connections, set_up| pool(&options, connections, set_up);
        let desk = |connections| Desk {
            pool: open(connections, SetUp { session: DESK_SESSION, always_in_transaction: false }),
            sql: Arc::clone(&sql),
            place: place.clone(),
        };
        let runs = SetUp { session: RUN_SESSION, always_in_transaction: true };
        let users = SetUp { session: SESSION, always_in_transaction: false };
        Ok(MysqlStore::new(super::Connections {
            runs: open(self.connections, runs),
            users: open(self.connections, users),
            desk: desk(DESK_CONNECTIONS),
            nodes: desk(NODE_CONNECTIONS),
            names,
            options: options.clone(),
        }))
    }
}

/// How a new connection is prepared.
#[derive(Clone, Copy)]
struct SetUp {
    session: &'static str,
    /// Whether the driver is to think that a transaction is open, whatever else happens: then a
    /// `begin` within a handler is a savepoint.
    always_in_transaction: bool,
}

fn pool(options: &MySqlConnectOptions, connections: u32, set_up: SetUp) -> MySqlPool {
    MySqlPoolOptions::new()
        .max_connections(connections)
        .acquire_timeout(PATIENCE)
        // A trip for every message is too dear; who gets a dead connection tries again.
        .test_before_acquire(false)
        .after_connect(move |connection, _about| {
            Box::pin(async move {
                sqlx::raw_sql(set_up.session).execute(&mut *connection).await?;
                if set_up.always_in_transaction {
                    // Its end would count it as over.
                    std::mem::forget(connection.begin().await?);
                }
                Ok(())
            })
        })
        .connect_lazy_with(options.clone())
}

/// Connects once, so that what is wrong with the options is said at start; gives the most bytes of
/// one statement.
async fn reach(options: &MySqlConnectOptions, place: &Place) -> Result<usize, StoreError> {
    let reached = async {
        let mut connection = MySqlConnection::connect_with(options).await?;
        let limit: u64 = sqlx::query_scalar(PACKET_LIMIT).fetch_one(&mut connection).await?;
        connection.close().await?;
        Ok(usize::try_from(limit).unwrap_or(usize::MAX))
    };
    match tokio::time::timeout(PATIENCE, reached).await {
        Ok(reached) => reached.map_err(|error| place.error(error)),
        Err(_elapsed) => Err(StoreError::Unreachable {
            place: place.name(),
            detail: format!("no answer within {PATIENCE:?}"),
        }),
    }
}
