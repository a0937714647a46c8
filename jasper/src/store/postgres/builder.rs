//! Where a store finds its database, and how it names its schema.

use std::sync::Arc;
use std::time::Duration;

use sqlx::postgres::{PgConnectOptions, PgPoolOptions};
use sqlx::{Connection, Executor, PgConnection, PgPool, Row};

use super::credentials::{OwnPool, Silence, is_alive};
use super::error::place_of;
use super::internal_pool::{InternalPool, in_time};
use super::limits::limits;
use super::mark::Mark;
use super::pooler;
use super::session::{RUN_SESSION, SESSION};
use super::sql::{Names, Sql};
use super::store::PostgresStore;
use crate::store::StoreError;
use crate::store::sql::insert_queues::KEYED_CONNECTIONS;
use crate::store::sql::place::of_url;

/// The schema of a store that names none.
const SCHEMA: &str = "jasper";

/// How a URL begins.
const SCHEMES: [&str; 2] = ["postgres", "postgresql"];

const EXAMPLE: &str = "postgres://user:password@host:5432/database";

/// The connections of a store that says no number.
const CONNECTIONS: u32 = 16;

/// Connections for the store's own statements, each of which serves many callers.
const INTERNAL_CONNECTIONS: u32 = 4;

/// One for the leases of nodes, another where that does not answer, and one that listens.
const NODE_CONNECTIONS: u32 = 3;

/// For how long a caller waits for a connection, and a connection may take to show life.
const PATIENCE: Duration = Duration::from_secs(5);

/// Statements that a connection keeps prepared: those of the store, and the handlers'.
const STATEMENTS: usize = 256;

/// Plans of the store's own statements are made once, and for large tables: one that was made while
/// a table was empty must do when it is full.
pub(super) const PLAN_FOR_LARGE_TABLES: &str =
    "set plan_cache_mode = force_generic_plan; set enable_seqscan = off; set jit = off";

/// What the server leaves a session of a handler that does nothing in its transaction, where the
/// handler may not take longer: its usual time-out, and a reserve.
const IDLE_LIMIT: Duration = Duration::from_secs(65);

/// A transaction of the store's own never waits for its client, and one of its statements for a
/// lock only for so long that the answer still comes in time. It is made for read committed,
/// whatever handlers have.
const OWN_SESSION: &str = "\
set idle_in_transaction_session_timeout = '5s'; set lock_timeout = '2s';
set default_transaction_isolation = 'read committed'";

/// How to open a [`PostgresStore`] that is not the ordinary one.
///
/// ```no_run
/// # async fn open() -> Result<(), jasper::store::StoreError> {
/// use jasper::store::postgres::PostgresStore;
///
/// let store = PostgresStore::builder()
///     .schema("billing_messages")
///     .connections(32)
///     .connect("postgres://app@db.example/billing")
///     .await?;
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone)]
pub struct PostgresStoreBuilder {
    schema: String,
    connections: u32,
}

impl PostgresStoreBuilder {
    fn new() -> Self {
        Self { schema: SCHEMA.to_owned(), connections: CONNECTIONS }
    }

    /// The schema for the store's tables, `jasper` unless said otherwise. It is created by
    /// [`prepare`](crate::store::StoreAdmin::prepare) if it is not there.
    #[must_use]
    pub fn schema(mut self, schema: impl Into<String>) -> Self {
        self.schema = schema.into();
        self
    }

    /// The most connections for handlers and for [`pool`](PostgresStore::pool), 16 unless said
    /// otherwise; at least 1.
    ///
    /// The store has at most 13 more for its own work.
    #[must_use]
    pub fn connections(mut self, connections: u32) -> Self {
        self.connections = connections.max(1);
        self
    }

    /// Connects to the database of a URL such as `postgres://user:password@host:5432/database`.
    ///
    /// # Errors
    /// The URL is none ([`StoreError::Unsuitable`]), or as [`connect_with`](Self::connect_with).
    pub async fn connect(self, url: &str) -> Result<PostgresStore, StoreError> {
        self.connect_with(of_url(url, &SCHEMES, EXAMPLE)?).await
    }

    /// Connects with options of your own.
    ///
    /// # Errors
    /// The schema cannot be a name ([`StoreError::BadName`]), or the database cannot be reached
    /// ([`StoreError::Unreachable`]), is behind a pooler that gives one connection several sessions
    /// ([`StoreError::Pooler`]), or keeps text in an encoding other than UTF-8
    /// ([`StoreError::Unsuitable`]).
    pub async fn connect_with(
        self,
        options: PgConnectOptions,
    ) -> Result<PostgresStore, StoreError> {
        let options = options.statement_cache_capacity(STATEMENTS);
        let silence = Silence::default();
        let pool = pool_options(self.connections, &silence)
            .after_connect(|connection, _about| {
                Box::pin(async move {
                    connection.execute(sqlx::raw_sql(SESSION)).await?;
                    connection.execute(sqlx::raw_sql(RUN_SESSION)).await.map(|_done| ())
                })
            })
            .after_release(|connection, _about| {
                Box::pin(async move {
                    // A rollback that no caller has waited for is about to be sent.
                    Ok(!connection.should_flush() || is_alive(connection).await)
                })
            })
            .connect_lazy_with(options);
        self.of(pool, silence, Some(IDLE_LIMIT)).await
    }

    /// Lets handlers run on connections of a pool that the application has already.
    ///
    /// A pool that tests each connection before it gives it out costs every message a trip; see
    /// `PgPoolOptions::test_before_acquire`. The number of connections is the pool's, and so is
    /// what becomes of one that broke without a sign.
    ///
    /// # Errors
    /// As [`connect_with`](Self::connect_with).
    pub async fn of_pool(self, pool: PgPool) -> Result<PostgresStore, StoreError> {
        self.of(pool, Silence::default(), None).await
    }

    async fn of(
        self,
        pool: PgPool,
        silence: Silence,
        idle_limit: Option<Duration>,
    ) -> Result<PostgresStore, StoreError> {
        let names = Names::of(&self.schema)?;
        let options = PgConnectOptions::clone(&pool.connect_options());
        let place = place_of(&options);
        pooler::refuse(&options, &place).await?;
        let encoding = in_time(PATIENCE, encoding(&options)).await;
        place.check_encoding(&encoding.map_err(|error| place.error(error))?)?;
        let mark = Mark::new(options.get_application_name());
        let own = |connections| OwnPool::new(own_pool(connections, &silence), &pool, &mark);
        let internal = InternalPool {
            pool: own(INTERNAL_CONNECTIONS),
            sql: Arc::new(Sql::of(&names)),
            names,
            place,
            limits: limits(),
            mark: mark.clone(),
            silence: silence.clone(),
            idle_limit,
            frontier: Arc::default(),
            outgoing_frontier: Arc::default(),
        };
        let keyed = InternalPool { pool: own(KEYED_CONNECTIONS), ..internal.clone() };
        let nodes = InternalPool { pool: own(NODE_CONNECTIONS), ..internal.clone() };
        Ok(PostgresStore::new(pool, internal, &keyed, nodes))
    }
}

impl PostgresStore {
    /// Connects to the database of a URL such as `postgres://user:password@host:5432/database`,
    /// with the schema `jasper`.
    ///
    /// # Errors
    /// As [`PostgresStoreBuilder::connect`].
    ///
    /// # Panics
    /// Outside of a tokio runtime.
    pub async fn connect(url: &str) -> Result<Self, StoreError> {
        Self::builder().connect(url).await
    }

    /// Connects with options of your own, with the schema `jasper`.
    ///
    /// # Errors
    /// As [`PostgresStoreBuilder::connect_with`].
    ///
    /// # Panics
    /// Outside of a tokio runtime.
    pub async fn connect_with(options: PgConnectOptions) -> Result<Self, StoreError> {
        Self::builder().connect_with(options).await
    }

    /// For another schema, another number of connections, or a pool that is there already.
    pub fn builder() -> PostgresStoreBuilder {
        PostgresStoreBuilder::new()
    }
}

/// In what encoding the database keeps text.
async fn encoding(options: &PgConnectOptions) -> sqlx::Result<String> {
    let mut connection = PgConnection::connect_with(options).await?;
    let row = connection.fetch_one(sqlx::raw_sql("show server_encoding")).await?;
    connection.close().await?;
    row.try_get(0)
}

/// Of a pool whose connections are not tested before each use: a trip for every message is too
/// dear, and who gets a dead connection tries again.
fn pool_options(connections: u32, silence: &Silence) -> PgPoolOptions {
    let silence = silence.clone();
    PgPoolOptions::new()
        .max_connections(connections)
        .acquire_timeout(PATIENCE)
        .test_before_acquire(false)
        .before_acquire(move |connection, about| {
            let silence = silence.clone();
            Box::pin(async move { silence.allows(connection, about.idle_for).await })
        })
}

/// For the store's own statements only.
fn own_pool(connections: u32, silence: &Silence) -> PgPoolOptions {
    pool_options(connections, silence).after_connect(|connection, _about| {
        Box::pin(async move {
            connection.execute(sqlx::raw_sql(PLAN_FOR_LARGE_TABLES)).await?;
            connection.execute(sqlx::raw_sql(OWN_SESSION)).await?;
            connection.execute(sqlx::raw_sql(SESSION)).await.map(|_done| ())
        })
    })
}
