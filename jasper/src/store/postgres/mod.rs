//! The PostgreSQL store: messages in a schema of the database that holds the user's own tables.
//!
//! Handlers run on connections of a pool, each in a transaction of its own, or several in one where
//! they say so. What the store does by itself goes over other connections, and what many callers
//! ask for at once goes in one statement: whatever waits when one ends is the next one.

mod admin;
mod builder;
mod completion;
mod credentials;
mod dead_letters;
mod depth;
mod error;
mod frontier;
mod group;
mod inbox;
mod internal_pool;
mod limits;
mod listener;
mod look;
mod mark;
mod migrate;
mod nodes;
mod outbox;
mod pace;
#[cfg(test)]
mod plans;
mod pooler;
mod rows;
mod session;
mod sessions;
mod settlement;
mod sharing;
mod sql;
mod steps;
mod tables;
mod transaction;

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use sqlx::postgres::PgConnectOptions;
use sqlx::{PgConnection, PgPool, Postgres};
use tokio::runtime;
use tokio::sync::Semaphore;

pub use self::builder::PostgresStoreBuilder;
use self::error::Place;
use self::internal_pool::InternalPool;
use self::listener::Listener;
use self::pace::Pace;
use self::rows::Insert;
use self::sharing::Handlers;
use self::sql::Sql;
use self::transaction::Run;
use super::sql::gathered::Gathered;
use super::sql::lines::{KEYED_WAITING, Keyed, Lines};
use super::sql::ports::its_own_ports;
use super::{
    Connection, ConnectionType, MessageStore, StoreError, StoreInfo, StoreTransaction,
    TransactionOptions, TransactionScope,
};

/// The most rows of one statement that several callers share.
const SHARED_ROWS: usize = 500;

impl Connection for PgConnection {}

impl TransactionScope for sqlx::Transaction<'_, Postgres> {
    type Connection = PgConnection;

    fn connection(&mut self) -> &mut PgConnection {
        self
    }
}

/// A message store in a schema of a PostgreSQL database. Clones share their connections.
///
/// **Sessions.** While a handler runs, its session's `application_name` ends in `jasper/…`. By that
/// the store cancels what a handler has left at work and ends a session that does not answer, and
/// other nodes end the sessions of a process that is gone. Any role may do that to its own
/// sessions. The server ends a session that is idle in a transaction for five seconds longer than
/// its handler may take.
///
/// **Credentials.** The store's own connections are opened as those of [`pool`](Self::pool) are:
/// give that one new options by `set_connect_options`, and all have them.
///
/// **Poolers.** PgBouncer and its like are used with `pool_mode = session` (and
/// `ignore_startup_parameters = extra_float_digits`). With `transaction` or `statement` a start is
/// refused ([`StoreError::Pooler`]): prepared statements, `listen` and settings of a session do not
/// work there. Name the database itself instead, for example with its direct port.
#[derive(Clone)]
pub struct PostgresStore {
    shared: Arc<Shared>,
}

struct Shared {
    pool: PgPool,
    /// Where nothing waits but leases.
    nodes: InternalPool,
    desk: InternalPool,
    has_warned: AtomicBool,
    /// The runtime that serves the connections of the pools.
    home: runtime::Id,
    listener: Listener,
    /// When owners are looked for that no node is known to be.
    forgotten: Pace,
    sharing: Handlers,
    gathered: Gathered,
}

impl PostgresStore {
    /// Connects to the database of a URL such as `postgres://user:password@host:5432/database`,
    /// with the schema `jasper`.
    ///
    /// # Errors
    /// The URL is none, or the database cannot be reached.
    ///
    /// # Panics
    /// Outside of a tokio runtime.
    pub async fn connect(url: &str) -> Result<Self, StoreError> {
        Self::builder().connect(url).await
    }

    /// Connects with options of your own, with the schema `jasper`.
    ///
    /// # Errors
    /// The database cannot be reached.
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

    /// The connections on which handlers run, for reading and writing of your own outside of
    /// handlers.
    ///
    /// A connection that is held here is one that no handler has. The server ends one that does
    /// nothing in a transaction for 65 seconds.
    pub fn pool(&self) -> &PgPool {
        &self.shared.pool
    }

    /// `keyed`: where inserts wait that may meet the key of an open transaction.
    fn new(pool: PgPool, desk: InternalPool, keyed: &InternalPool, nodes: InternalPool) -> Self {
        let listener = Listener::of(&nodes);
        let waiting = Arc::new(Semaphore::new(KEYED_WAITING));
        Self {
            shared: Arc::new(Shared {
                gathered: Gathered {
                    incoming: lines(&desk, keyed, &waiting),
                    outgoing: lines(&desk, keyed, &waiting),
                    settlements: steps::coalescer(&desk),
                    outgoing_settlements: steps::coalescer(&desk),
                },
                sharing: Handlers::new(pool.clone(), desk.clone()),
                pool,
                nodes,
                desk,
                has_warned: AtomicBool::new(false),
                home: runtime::Handle::current().id(),
                listener,
                forgotten: Pace::default(),
            }),
        }
    }

    fn desk(&self) -> &InternalPool {
        &self.shared.desk
    }

    fn node_desk(&self) -> &InternalPool {
        &self.shared.nodes
    }

    fn sql(&self) -> &Sql {
        &self.shared.desk.sql
    }

    fn place(&self) -> &Place {
        &self.shared.desk.place
    }

    fn error(&self, error: sqlx::Error) -> StoreError {
        self.place().error(error)
    }
}

/// What stores the rows of all callers.
fn lines<R>(desk: &InternalPool, keyed: &InternalPool, waiting: &Arc<Semaphore>) -> Lines<R>
where
    R: Insert + Keyed + Clone + 'static,
{
    let desks = (desk.clone(), keyed.clone());
    let insert = |desk: InternalPool, rows: Vec<R>, wait| {
        async move {
            let change = R::frontier(&desk).change();
            let stored = rows::store(&desk, &rows, wait).await;
            // Where that has failed, they may be stored all the same.
            change.note(rows.iter().filter_map(R::waits));
            stored.map_err(|error| desk.error(error))
        }
        .boxed()
    };
    Lines::new(SHARED_ROWS, waiting, desk.place.name(), desks, insert)
}

impl fmt::Debug for PostgresStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PostgresStore")
            .field("place", &self.place().name())
            .field("schema", &self.desk().names.schema())
            .finish_non_exhaustive()
    }
}

impl MessageStore for PostgresStore {
    fn info(&self) -> StoreInfo {
        let connection = ConnectionType::of::<PgConnection>();
        let info = StoreInfo::new("postgres", Some(connection), true);
        info.telling().with_conflicts(error::is_conflict)
    }

    fn begin(
        &self,
        begin: TransactionOptions,
    ) -> BoxFuture<'_, Result<Box<dyn StoreTransaction>, StoreError>> {
        Box::pin(async move {
            if begin.share > 1 {
                let loan = self.shared.sharing.borrow(begin).await?;
                return Ok(Box::new(loan) as Box<dyn StoreTransaction>);
            }
            let run = Run::begin(&self.shared.pool, self.desk(), begin.limit).await?;
            Ok(Box::new(run) as Box<dyn StoreTransaction>)
        })
    }

    its_own_ports!();
}
