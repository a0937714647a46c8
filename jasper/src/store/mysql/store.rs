//! What the clones of a store share.

use std::fmt;
use std::sync::Arc;

use sqlx::MySqlPool;

use super::error::Place;
use super::internal_pool::InternalPool;
use super::pool::Pool;
use super::sql::{Names, Sql};
use crate::store::StoreError;
use crate::store::portions::Guess;
use crate::store::sql::write_batchers::WriteBatchers;

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
    pub(super) shared: Arc<StoreShared>,
}

pub(super) struct StoreShared {
    pub(super) connections: Connections,
    pub(super) gathered: WriteBatchers,
    pub(super) incoming_guess: Arc<Guess>,
    pub(super) outgoing_guess: Arc<Guess>,
}

/// What a store reaches its database with.
pub(super) struct Connections {
    /// For handlers: never with autocommit.
    pub(super) runs: Pool,
    /// For the user, with autocommit.
    pub(super) users: MySqlPool,
    pub(super) internal: InternalPool,
    /// Where inserts wait that may meet the key of an open transaction.
    pub(super) keyed: InternalPool,
    pub(super) nodes: InternalPool,
    pub(super) names: Names,
}

impl MysqlStore {
    /// Connections for reading and writing of your own outside of handlers, at read committed.
    ///
    /// None is opened before one is asked for. Handlers run on others.
    ///
    /// Its `set_connect_options` is where credentials are renewed, for all connections of the
    /// store: those that are opened from then on take them.
    pub fn pool(&self) -> &MySqlPool {
        &self.shared.connections.users
    }

    pub(super) fn internal_pool(&self) -> &InternalPool {
        &self.shared.connections.internal
    }

    /// The connections at which nothing waits but leases.
    pub(super) fn node_pool(&self) -> &InternalPool {
        &self.shared.connections.nodes
    }

    pub(super) fn sql(&self) -> &Sql {
        &self.internal_pool().sql
    }

    pub(super) fn place(&self) -> &Place {
        &self.internal_pool().place
    }

    pub(super) fn error(&self, error: sqlx::Error) -> StoreError {
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
