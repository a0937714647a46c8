//! What the clones of a store share.

use std::fmt;
use std::sync::{Arc, Once};

use futures_util::FutureExt;
use sqlx::PgPool;
use tokio::runtime;
use tokio::sync::Semaphore;

use super::error::Place;
use super::internal_pool::InternalPool;
use super::listener::NotificationListener;
use super::pace::QueryPace;
use super::rows::{self, Insert, SHARED_ROWS};
use super::settle;
use super::sharing::SharedTransactions;
use super::sql::Sql;
use crate::store::StoreError;
use crate::store::sql::insert_queues::{InsertQueues, KEYED_WAITING, Keyed};
use crate::store::sql::sessions_left::SessionsLeft;
use crate::store::sql::write_batchers::WriteBatchers;

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
    pub(super) shared: Arc<StoreShared>,
}

pub(super) struct StoreShared {
    pub(super) pool: PgPool,
    /// Where nothing waits but leases.
    pub(super) nodes: InternalPool,
    pub(super) internal: InternalPool,
    pub(super) has_warned: Once,
    pub(super) sessions_left: SessionsLeft,
    /// The runtime that serves the connections of the pools.
    pub(super) home: runtime::Id,
    pub(super) listener: NotificationListener,
    /// When owners are looked for that no node is known to be.
    pub(super) forgotten: QueryPace,
    pub(super) sharing: SharedTransactions,
    pub(super) gathered: WriteBatchers,
}

impl PostgresStore {
    /// The connections on which handlers run, for reading and writing of your own outside of
    /// handlers.
    ///
    /// A connection that is held here is one that no handler has. The server ends one that does
    /// nothing in a transaction for 65 seconds.
    pub fn pool(&self) -> &PgPool {
        &self.shared.pool
    }

    /// `keyed`: where inserts wait that may meet the key of an open transaction.
    pub(super) fn new(
        pool: PgPool,
        internal: InternalPool,
        keyed: &InternalPool,
        nodes: InternalPool,
    ) -> Self {
        let listener = NotificationListener::of(&nodes);
        let waiting = Arc::new(Semaphore::new(KEYED_WAITING));
        Self {
            shared: Arc::new(StoreShared {
                gathered: WriteBatchers {
                    incoming: insert_queues(&internal, keyed, &waiting),
                    outgoing: insert_queues(&internal, keyed, &waiting),
                    settlements: settle::coalescer(&internal),
                    outgoing_settlements: settle::coalescer(&internal),
                },
                sharing: SharedTransactions::new(pool.clone(), internal.clone()),
                pool,
                nodes,
                internal,
                has_warned: Once::new(),
                sessions_left: SessionsLeft::default(),
                home: runtime::Handle::current().id(),
                listener,
                forgotten: QueryPace::default(),
            }),
        }
    }

    pub(super) fn internal_pool(&self) -> &InternalPool {
        &self.shared.internal
    }

    pub(super) fn node_pool(&self) -> &InternalPool {
        &self.shared.nodes
    }

    pub(super) fn sql(&self) -> &Sql {
        &self.shared.internal.sql
    }

    pub(super) fn place(&self) -> &Place {
        &self.shared.internal.place
    }

    pub(super) fn error(&self, error: sqlx::Error) -> StoreError {
        self.place().error(error)
    }
}

/// What stores the rows of all callers.
fn insert_queues<R>(
    internal: &InternalPool,
    keyed: &InternalPool,
    waiting: &Arc<Semaphore>,
) -> InsertQueues<R>
where
    R: Insert + Keyed + Clone + 'static,
{
    let pools = (internal.clone(), keyed.clone());
    let insert = |internal: InternalPool, rows: Vec<R>, wait| {
        async move {
            let change = R::frontier(&internal).change();
            let stored = rows::store(&internal, &rows, wait).await;
            // Where that has failed, they may be stored all the same.
            change.note(rows.iter().filter_map(R::waits));
            stored.map_err(|error| internal.error(error))
        }
        .boxed()
    };
    InsertQueues::new(SHARED_ROWS, waiting, internal.place.name(), pools, insert)
}

impl fmt::Debug for PostgresStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PostgresStore")
            .field("place", &self.place().name())
            .field("schema", &self.internal_pool().names.schema())
            .finish_non_exhaustive()
    }
}
