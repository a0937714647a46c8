//! Where a store finds its database, how it names its schema, and how its connections are set up.

use std::sync::Arc;
use std::time::Duration;

use futures_util::FutureExt;
use tiberius::Config;
use tokio::sync::Semaphore;

use super::address;
use super::error::{Error, Place};
use super::internal_pool::InternalPool;
use super::mark::Mark;
use super::pool::Pool;
use super::rows::Insert;
use super::server::{Server, connect_within};
use super::session::SessionPurpose;
use super::settlement;
use super::sql::{Names, Sql};
use super::statement_size::{SHARED_ROWS, StatementSize};
use super::store::{ClaimSizes, Connections, SqlServerStore, StoreShared};
use super::tables::StoreRows;
use super::user_pool::SqlServerPool;
use crate::store::StoreError;
use crate::store::sql::columns::Columns;
use crate::store::sql::insert_queues::{InsertQueues, KEYED_CONNECTIONS, KEYED_WAITING, Keyed};
use crate::store::sql::write_batchers::WriteBatchers;

/// The schema of a store that says no other.
const SCHEMA: &str = "jasper";

/// The connections for handlers of a store that says no number.
const CONNECTIONS: u32 = 16;

/// Connections for the store's own statements, each of which serves many callers.
const INTERNAL_CONNECTIONS: u32 = 6;

/// For the leases of nodes, which wait for nothing else.
const NODE_CONNECTIONS: u32 = 2;

/// For how long the first connection is waited for.
const PATIENCE: Duration = Duration::from_secs(5);

/// Asked once at start. A database at an older compatibility level than 130 has no `openjson`.
const ABOUT_SERVER: &str =
    "select db_name(), app_name(), (select count_big(*) from openjson(N'[1]'))";

/// What such a database answers: there is no such object.
const NO_SUCH_OBJECT: u32 = 208;

/// How to open a [`SqlServerStore`] that is not the ordinary one.
///
/// ```no_run
/// # async fn open() -> Result<(), jasper::store::StoreError> {
/// use jasper::store::sqlserver::SqlServerStore;
///
/// let store = SqlServerStore::builder()
///     .schema("shop_messages")
///     .connections(32)
///     .connect("Server=tcp:db.example,1433;Database=shop;User Id=app;Password=…")
///     .await?;
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone)]
pub struct SqlServerStoreBuilder {
    schema: String,
    connections: u32,
}

impl SqlServerStoreBuilder {
    fn new() -> Self {
        Self { schema: SCHEMA.to_owned(), connections: CONNECTIONS }
    }

    /// The schema for the store's tables, `jasper` unless said otherwise. It is created by
    /// [`prepare`](crate::store::StoreAdmin::prepare) if it is not there. Letters, digits and `_`,
    /// at most 48 of them.
    #[must_use]
    pub fn schema(mut self, schema: impl Into<String>) -> Self {
        self.schema = schema.into();
        self
    }

    /// The most connections for handlers, 16 unless said otherwise; at least 1.
    ///
    /// [`pool`](SqlServerStore::pool) may open as many, and the store has at most 14 more for its
    /// own work, and some for a moment where it ends what hangs.
    #[must_use]
    pub fn connections(mut self, connections: u32) -> Self {
        self.connections = connections.max(1);
        self
    }

    /// Connects to the database of a connection string: in ADO form, or a URL such as
    /// `sqlserver://user:password@host:1433/database`.
    ///
    /// Connections are encrypted, and the certificate of the server is checked, unless the string
    /// says otherwise.
    ///
    /// # Errors
    /// The string is none ([`StoreError::Unsuitable`]), or as [`connect_with`](Self::connect_with).
    ///
    /// # Panics
    /// Outside of a tokio runtime.
    ///
    /// # Cancel safety
    /// Dropped, no connection is left open.
    pub async fn connect(self, connection_string: &str) -> Result<SqlServerStore, StoreError> {
        self.connect_with(address::parse(connection_string)?).await
    }

    /// Connects with a configuration of your own, such as one with a token of Entra.
    ///
    /// The store sets the time limits, and a name for each session that begins with the
    /// configuration's.
    ///
    /// # Errors
    /// The schema cannot be one ([`StoreError::BadName`]), the server cannot be reached
    /// ([`StoreError::Unreachable`]), or its database has a compatibility level that is too old
    /// ([`StoreError::Unsuitable`]).
    ///
    /// # Panics
    /// Outside of a tokio runtime.
    ///
    /// # Cancel safety
    /// Dropped, no connection is left open.
    pub async fn connect_with(self, config: Config) -> Result<SqlServerStore, StoreError> {
        let names = Names::of(&self.schema)?;
        let about = reach(&config).await?;
        let sql = Arc::new(Sql::of(&names));
        let place = about.place;
        let server = Server::new(config, Mark::new(&about.of_user), place.clone());
        let server = Arc::new(server);
        let open = |purpose, connections| Pool::new(Arc::clone(&server), purpose, connections);
        let internal = |connections| InternalPool {
            pool: open(SessionPurpose::Internal, connections),
            sql: Arc::clone(&sql),
            place: place.clone(),
        };
        Ok(SqlServerStore::new(Connections {
            runs: open(SessionPurpose::Runs, self.connections),
            users: SqlServerPool::new(open(SessionPurpose::Users, self.connections), place.clone()),
            internal: internal(INTERNAL_CONNECTIONS),
            keyed: internal(KEYED_CONNECTIONS),
            nodes: internal(NODE_CONNECTIONS),
            names,
        }))
    }
}

impl SqlServerStore {
    /// Connects to the database of a connection string, with tables in the schema `jasper`: in ADO
    /// form, or a URL such as `sqlserver://user:password@host:1433/database`.
    ///
    /// # Errors
    /// As [`SqlServerStoreBuilder::connect`].
    ///
    /// # Panics
    /// Outside of a tokio runtime.
    ///
    /// # Cancel safety
    /// Dropped, no connection is left open.
    pub async fn connect(connection_string: &str) -> Result<Self, StoreError> {
        Self::builder().connect(connection_string).await
    }

    /// Connects with a configuration of your own, with tables in the schema `jasper`.
    ///
    /// # Errors
    /// As [`SqlServerStoreBuilder::connect_with`].
    ///
    /// # Panics
    /// Outside of a tokio runtime.
    ///
    /// # Cancel safety
    /// Dropped, no connection is left open.
    pub async fn connect_with(config: Config) -> Result<Self, StoreError> {
        Self::builder().connect_with(config).await
    }

    /// For another schema, or another number of connections.
    pub fn builder() -> SqlServerStoreBuilder {
        SqlServerStoreBuilder::new()
    }

    fn new(connections: Connections) -> Self {
        let Connections { internal, keyed, .. } = &connections;
        let waiting = Arc::new(Semaphore::new(KEYED_WAITING));
        Self {
            shared: Arc::new(StoreShared {
                gathered: WriteBatchers {
                    incoming: insert_queues(internal, keyed, &waiting),
                    outgoing: insert_queues(internal, keyed, &waiting),
                    settlements: settlement::coalescer(internal),
                    outgoing_settlements: settlement::coalescer(internal),
                },
                claims: ClaimSizes::default(),
                connections,
            }),
        }
    }
}

/// What stores the rows of all callers.
fn insert_queues<R: Insert + Keyed>(
    internal: &InternalPool,
    keyed: &InternalPool,
    waiting: &Arc<Semaphore>,
) -> InsertQueues<R> {
    let pools = (internal.clone(), keyed.clone());
    let size = Arc::new(StatementSize::of(SHARED_ROWS));
    let insert = move |internal: InternalPool, rows, wait| {
        let size = Arc::clone(&size);
        async move { internal.work(StoreRows { rows, wait, size }).await }.boxed()
    };
    InsertQueues::new(SHARED_ROWS, waiting, internal.place.name(), pools, insert)
}

/// What is asked of a server at start.
struct About {
    place: Place,
    /// The name that the application gives its sessions.
    of_user: String,
}

/// Connects once, so that what is wrong with the configuration is said at start.
async fn reach(config: &Config) -> Result<About, StoreError> {
    let server = config.get_addr();
    let reached = async {
        let mut connection = connect_within(PATIENCE, config.clone()).await?;
        let rows = connection.batch(ABOUT_SERVER).await?;
        let row = rows.first().ok_or(Error::Closed)?;
        Ok((row.text(0)?.into_owned(), row.text(1)?.into_owned()))
    };
    let place = Place::new(&server, None);
    let reached = tokio::time::timeout(PATIENCE, reached).await;
    let reached = reached.unwrap_or(Err(Error::Silent(PATIENCE)));
    let (database, of_user) = reached.map_err(|error| refused(&place, error))?;
    Ok(About { place: Place::new(&server, Some(&database)), of_user })
}

/// Why the first connection is of no use.
fn refused(place: &Place, error: Error) -> StoreError {
    match error {
        Error::Silent(limit) => {
            let detail = format!("no answer within {limit:?}");
            StoreError::Unreachable { place: place.name(), detail, source: None }
        }
        Error::Driver(said) if said.code() == Some(NO_SUCH_OBJECT) => StoreError::Unsuitable {
            place: place.name(),
            detail: "the store needs `openjson`, which is there since SQL Server 2016; set the \
                     database to its level by `alter database current set compatibility_level = \
                     130`"
                .to_owned(),
        },
        error => place.error(error),
    }
}
