//! Where a store finds its database, how it names its tables, and how its connections are set up.

use std::sync::Arc;
use std::time::Duration;

use futures_util::FutureExt;
use sqlx::mysql::{MySqlConnectOptions, MySqlPoolOptions};
use sqlx::{Connection, MySqlConnection, MySqlPool};
use tokio::sync::Semaphore;

use super::credentials::{self, Credentials};
use super::error::{Place, place_of};
use super::internal_pool::InternalPool;
use super::marks::Marks;
use super::pool::Pool;
use super::rows::{Insert, SHARED_ROWS};
use super::server::Server;
use super::session::{READ_COMMITTED, SessionPurpose};
use super::sql::{Names, Sql};
use super::store::{Connections, MysqlStore, StoreShared};
use super::tables::StoreRows;
use super::{outbox, settlement};
use crate::store::StoreError;
use crate::store::portions::Weigh;
use crate::store::sql::insert_queues::{InsertQueues, KEYED_CONNECTIONS, KEYED_WAITING, Keyed};
use crate::store::sql::place::of_url;
use crate::store::sql::write_batchers::WriteBatchers;

/// How a URL begins.
const SCHEMES: [&str; 2] = ["mysql", "mariadb"];

const EXAMPLE: &str = "mysql://user:password@host:3306/database";

/// The connections for handlers of a store that says no number.
const CONNECTIONS: u32 = 16;

/// Connections for the store's own statements, each of which serves many callers.
const INTERNAL_CONNECTIONS: u32 = 6;

/// For the leases of nodes, which wait for nothing else.
const NODE_CONNECTIONS: u32 = 2;

/// For how long a caller waits for a connection.
const PATIENCE: Duration = Duration::from_secs(5);

/// Asked once at start.
const ABOUT_SERVER: &str = "select @@max_allowed_packet, version()";

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
    fn new() -> Self {
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
    /// [`pool`](MysqlStore::pool) may open as many, and the store has at most 14 more for its own
    /// work, and some for a moment where it ends what hangs.
    #[must_use]
    pub fn connections(mut self, connections: u32) -> Self {
        self.connections = connections.max(1);
        self
    }

    /// Connects to the database of a URL such as `mysql://user:password@host:3306/database`.
    ///
    /// # Errors
    /// The URL is none ([`StoreError::Unsuitable`]), or as [`connect_with`](Self::connect_with).
    ///
    /// # Panics
    /// Outside of a tokio runtime.
    pub async fn connect(self, url: &str) -> Result<MysqlStore, StoreError> {
        self.connect_with(of_url(url, &SCHEMES, EXAMPLE)?).await
    }

    /// Connects with options of your own.
    ///
    /// The store sets `utf8mb4`, the time zone `+00:00`, and read committed as the isolation level.
    ///
    /// # Errors
    /// The options name no database ([`StoreError::NotADatabase`]), the prefix cannot be one
    /// ([`StoreError::BadName`]), or the server cannot be reached ([`StoreError::Unreachable`]).
    ///
    /// # Panics
    /// Outside of a tokio runtime.
    pub async fn connect_with(
        self,
        options: MySqlConnectOptions,
    ) -> Result<MysqlStore, StoreError> {
        let options = credentials::prepared(options);
        let place = place_of(&options);
        let Some(database) = options.get_database() else {
            let detail = "no database is named after the host".to_owned();
            return Err(StoreError::NotADatabase { place: place.name(), detail, source: None });
        };
        let names = Names::of(database, &self.prefix)?;
        let about = reach(&options, &place).await?;
        let sql = Arc::new(Sql::of(&names, about.packet_limit));
        let others = INTERNAL_CONNECTIONS + KEYED_CONNECTIONS + NODE_CONNECTIONS;
        let marks = self.connections.saturating_mul(2).saturating_add(others);
        let marks = Arc::new(Marks::new(marks));
        let users = pool_of_users(options, self.connections, Arc::clone(&marks));
        let credentials = Credentials::of(users.clone());
        let server = Server::new(credentials, marks, place.clone(), about.is_mariadb);
        let server = Arc::new(server);
        let open = |kind, connections| Pool::new(Arc::clone(&server), kind, connections);
        let internal = |connections| InternalPool {
            pool: open(SessionPurpose::InternalPool, connections),
            sql: Arc::clone(&sql),
            place: place.clone(),
        };
        Ok(MysqlStore::new(Connections {
            runs: open(SessionPurpose::Runs, self.connections),
            users,
            internal: internal(INTERNAL_CONNECTIONS),
            keyed: internal(KEYED_CONNECTIONS),
            nodes: internal(NODE_CONNECTIONS),
            names,
        }))
    }
}

impl MysqlStore {
    /// Connects to the database of a URL such as `mysql://user:password@host:3306/database`, with
    /// tables that have no prefix.
    ///
    /// # Errors
    /// As [`MysqlStoreBuilder::connect`].
    ///
    /// # Panics
    /// Outside of a tokio runtime.
    pub async fn connect(url: &str) -> Result<Self, StoreError> {
        Self::builder().connect(url).await
    }

    /// Connects with options of your own, with tables that have no prefix.
    ///
    /// # Errors
    /// As [`MysqlStoreBuilder::connect_with`].
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

    fn new(connections: Connections) -> Self {
        let Connections { internal, keyed, .. } = &connections;
        let waiting = Arc::new(Semaphore::new(KEYED_WAITING));
        Self {
            shared: Arc::new(StoreShared {
                gathered: WriteBatchers {
                    incoming: insert_queues(internal, keyed, &waiting),
                    outgoing: insert_queues(internal, keyed, &waiting),
                    settlements: settlement::coalescer(internal, settlement::Settle),
                    outgoing_settlements: settlement::coalescer(internal, outbox::Settle),
                },
                incoming_guess: Arc::default(),
                outgoing_guess: Arc::default(),
                connections,
            }),
        }
    }
}

/// What stores the rows of all callers.
fn insert_queues<R>(
    internal: &InternalPool,
    keyed: &InternalPool,
    waiting: &Arc<Semaphore>,
) -> InsertQueues<R>
where
    R: Insert + Keyed + Weigh + Clone,
{
    let pools = (internal.clone(), keyed.clone());
    let insert = |internal: InternalPool, rows, wait| {
        async move { internal.work(StoreRows { rows, wait }).await }.boxed()
    };
    InsertQueues::new(SHARED_ROWS, waiting, internal.place.name(), pools, insert)
}

/// With autocommit, and with the marks of this store.
fn pool_of_users(options: MySqlConnectOptions, connections: u32, marks: Arc<Marks>) -> MySqlPool {
    MySqlPoolOptions::new()
        .max_connections(connections)
        .acquire_timeout(PATIENCE)
        // A trip for every statement is too dear; who gets a dead connection tries again.
        .test_before_acquire(false)
        .after_connect(move |connection, _about| {
            let marks = Arc::clone(&marks);
            Box::pin(async move {
                sqlx::raw_sql(READ_COMMITTED).execute(&mut *connection).await?;
                marks.put_on(connection).await.map(|_mark| ())
            })
        })
        .connect_lazy_with(options)
}

/// What is asked of a server at start.
struct About {
    /// The most bytes of one statement.
    packet_limit: usize,
    is_mariadb: bool,
}

/// Connects once, so that what is wrong with the options is said at start.
async fn reach(options: &MySqlConnectOptions, place: &Place) -> Result<About, StoreError> {
    let reached = async {
        let mut connection = MySqlConnection::connect_with(options).await?;
        let about = sqlx::query_as(ABOUT_SERVER).fetch_one(&mut connection).await?;
        let (limit, version): (u64, String) = about;
        connection.close().await?;
        Ok(About {
            packet_limit: usize::try_from(limit).unwrap_or(usize::MAX),
            is_mariadb: version.contains("MariaDB"),
        })
    };
    match tokio::time::timeout(PATIENCE, reached).await {
        Ok(reached) => reached.map_err(|error| place.error(error)),
        Err(_elapsed) => Err(StoreError::Unreachable {
            place: place.name(),
            detail: format!("no answer within {PATIENCE:?}"),
            source: None,
        }),
    }
}
