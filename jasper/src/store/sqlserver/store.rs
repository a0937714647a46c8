//! What the clones of a store share.

use std::fmt;
use std::sync::Arc;

use tiberius::Config;

use super::error::{Error, Place};
use super::internal_pool::InternalPool;
use super::pool::Pool;
use super::sql::{Names, Sql};
use super::statement_size::StatementSize;
use super::user_pool::SqlServerPool;
use crate::store::StoreError;
use crate::store::sql::write_batchers::WriteBatchers;

/// A message store in a SQL Server or Azure SQL database. Clones share their connections.
///
/// A durable handler's transaction runs at read committed, unless the handler sets another level.
/// A `commit` within the handler commits nothing, as the store has two transactions open, one in
/// the other; that, and a `rollback`, is reported, and what the handler does is undone. Only a
/// handler that commits twice commits what it has done.
///
/// Runs of a handler never share a transaction here, whatever its `share` says.
///
/// # Silence
///
/// No call of the store waits for an answer of the server longer than half a lease: then the server
/// is asked to give up what it does. A session that does so is used again, as a new one would be
/// slow again at a server that is slow; where no answer comes to that either, the connection is
/// closed, and its session ended from another one. What was given up that is about many rows is
/// smaller when it is tried again. A statement of a handler may take as long as the handler.
///
/// A node ends the sessions that a process has left which is gone, frozen or cut off; for that its
/// login needs `VIEW SERVER STATE` and `ALTER ANY CONNECTION`. Without these what such a process
/// has locked stays locked until the server finds the connection broken.
///
/// # Sessions
///
/// What a handler changes of its session by `set` or `use` ends with its run: the connection is
/// then closed. Temporary tables and locks of the session (`sp_getapplock`) may stay for other
/// messages, unless the handler fails.
#[derive(Clone)]
pub struct SqlServerStore {
    pub(super) shared: Arc<StoreShared>,
}

pub(super) struct StoreShared {
    pub(super) connections: Connections,
    pub(super) gathered: WriteBatchers,
    pub(super) claims: ClaimSizes,
}

/// How many rows one statement claims. A claim takes as many as it is asked for, unless the server
/// was too slow for that.
pub(super) struct ClaimSizes {
    pub(super) incoming: Arc<StatementSize>,
    pub(super) outgoing: Arc<StatementSize>,
}

impl Default for ClaimSizes {
    fn default() -> Self {
        let size = || Arc::new(StatementSize::of(usize::MAX));
        Self { incoming: size(), outgoing: size() }
    }
}

/// What a store reaches its database with.
pub(super) struct Connections {
    /// For handlers.
    pub(super) runs: Pool,
    pub(super) users: SqlServerPool,
    pub(super) internal: InternalPool,
    /// Where inserts wait that may meet the key of an open transaction.
    pub(super) keyed: InternalPool,
    pub(super) nodes: InternalPool,
    pub(super) names: Names,
}

impl SqlServerStore {
    /// Connections for reading and writing of your own outside of handlers.
    ///
    /// None is opened before one is asked for. Handlers run on others.
    pub fn pool(&self) -> &SqlServerPool {
        &self.shared.connections.users
    }

    /// Gives new credentials to all connections of the store: those that are opened from now on
    /// take them, such as a new token of Entra.
    pub fn set_config(&self, config: Config) {
        self.internal_pool().pool.server().set_config(config);
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

    pub(super) fn error(&self, error: Error) -> StoreError {
        self.place().error(error)
    }
}

impl fmt::Debug for SqlServerStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SqlServerStore")
            .field("place", &self.place().name())
            .field("schema", &self.shared.connections.names.schema())
            .finish_non_exhaustive()
    }
}
