//! A connection with an open transaction, in which code of a user runs.

use std::any::Any;
use std::time::Duration;

use futures_util::future::join;
use sqlx::pool::PoolConnection;
use sqlx::{AssertSqlSafe, Connection, PgConnection, PgPool, Postgres, SqlSafeStr};
use tokio::runtime::Handle;
use tokio::time::timeout;

use super::depth;
use super::internal_pool::InternalPool;
use super::limits::RESERVE;
use super::pooled_connection::{PooledConnection, is_lost};
use crate::store::StoreError;
use crate::store::sql::borrowed_connection::HandlerConnection;

/// The server finds out within some 15 seconds that a client is gone which has not said so. Without
/// effect on a socket in the file system.
pub(super) const SESSION: &str = "\
set tcp_keepalives_idle = 5; set tcp_keepalives_interval = 3; set tcp_keepalives_count = 3";

/// Of a session in which handlers run.
pub(super) const RUN_SESSION: &str = "set idle_in_transaction_session_timeout = '65s'";

/// After this long without an answer to a rollback, a statement of the handler is taken to be still
/// at work, and is cancelled.
const CANCEL_AFTER: Duration = Duration::from_millis(200);

/// An open transaction on a connection of the pool.
///
/// Dropped, it is undone in a task of its own: a statement that its handler has left in the middle
/// is cancelled at the server, and a connection that does not answer is closed and its session
/// ended.
#[derive(Debug)]
pub(super) struct Session {
    connection: Option<PoolConnection<Postgres>>,
    /// What the server calls it while the transaction is open.
    name: String,
    internal: InternalPool,
}

impl Session {
    /// Begins a transaction, with these statements in it. The setting `jasper.run` is gone with the
    /// transaction, so that one that a handler has ended by a statement of its own, and maybe begun
    /// again, is recognised. A handler works in it for `limit` at the most: the
    /// server ends a session that does nothing for longer.
    ///
    /// # Cancel safety
    /// Dropped, the connection is closed, and nothing is begun.
    pub(super) async fn begin(
        pool: &PgPool,
        internal: &InternalPool,
        more: &str,
        limit: Duration,
    ) -> sqlx::Result<Self> {
        let name = internal.mark.next_run();
        let settings = settings(&name, internal, limit);
        // No query, so that a handler may choose the isolation level. A mark has no quotes in it.
        let begin = format!("begin; {settings}{more}");
        // Lost where it is dropped before the answer is read: the driver would take it for one
        // without a transaction.
        let mut connection = PooledConnection::new(internal.in_time(pool.acquire()).await?);
        let begin = AssertSqlSafe(begin).into_sql_str();
        internal.in_time(depth::begin(&mut connection, begin)).await?;
        Ok(Self { connection: connection.into_pool_connection(), name, internal: internal.clone() })
    }

    /// What gives the next run in this transaction a session as the first one had it: what a
    /// handler has set, also for its transaction only, must not reach another message. All is
    /// reset, as the server does not list the settings whose names are the application's own.
    pub(super) fn reset(&self, limit: Duration) -> String {
        let settings = settings(&self.name, &self.internal, limit);
        format!(
            "close all; unlisten *; discard temp; reset session authorization; reset role; \
             reset all; {SESSION}; {RUN_SESSION}; {settings}"
        )
    }

    /// The connection.
    ///
    /// # Errors
    /// It was lost.
    pub(super) fn connection(&mut self) -> sqlx::Result<&mut PgConnection> {
        self.connection.as_deref_mut().ok_or(sqlx::Error::PoolClosed)
    }

    /// Waits for the answer of a statement that a handler began and dropped. Where it does not come
    /// soon, the statement is cancelled.
    pub(super) async fn drain(&mut self) -> sqlx::Result<()> {
        let (internal, name) = (self.internal.clone(), self.name.clone());
        let connection = self.connection()?;
        cancelling(drain(connection), &name, &internal).await
    }

    /// Commits, with what the handler has nested in it and not ended.
    pub(super) async fn commit(mut self) -> sqlx::Result<()> {
        let internal = self.internal.clone();
        let connection = self.connection()?;
        let committed = internal.in_time(depth::commit(connection)).await;
        match &committed {
            Ok(()) => self.connection = None,
            Err(error) if is_lost(error) => self.give_up(),
            // The server has undone it.
            Err(_refused) => drop(self.undo().await),
        }
        committed
    }

    /// Undoes all that was done in it, and returns when it is known to be undone.
    ///
    /// # Errors
    /// The server cannot be reached. It undoes the transaction when it notices that.
    pub(super) async fn undo(mut self) -> Result<(), StoreError> {
        match self.connection.take() {
            Some(connection) => undo(connection, &self.name, &self.internal).await,
            None => Ok(()),
        }
    }

    /// Closes the connection at once, as the server did not answer on it, and ends its
    /// session over another one, in the background.
    fn give_up(&mut self) {
        let Some(connection) = self.connection.take() else {
            return;
        };
        drop(connection.detach());
        let (internal, name) = (self.internal.clone(), std::mem::take(&mut self.name));
        tokio::spawn(async move {
            if let Err(error) = internal.end_session(&name).await {
                tracing::debug!(%error, "a session that gave no answer could not be ended");
            }
        });
    }
}

/// What a run finds set in its transaction: its mark, the name of its session, and after which time
/// the server ends a session that does nothing, where that is not the usual time, as a handler may
/// work for `limit`.
fn settings(name: &str, internal: &InternalPool, limit: Duration) -> String {
    let mark = format!("set local jasper.run = 'on'; set local application_name = '{name}'; ");
    let idle = limit.saturating_add(RESERVE);
    if internal.idle_limit.is_some_and(|usual| idle <= usual) {
        return mark;
    }
    let millis = idle.as_millis().min(i32::MAX as u128);
    format!("{mark}set local idle_in_transaction_session_timeout = {millis}; ")
}

impl HandlerConnection for Session {
    fn connection(&mut self) -> Option<&mut (dyn Any + Send)> {
        let connection: &mut PgConnection = self.connection.as_deref_mut()?;
        Some(connection)
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        let Some(connection) = self.connection.take() else {
            return;
        };
        match Handle::try_current() {
            Ok(runtime) => {
                let (internal, name) = (self.internal.clone(), std::mem::take(&mut self.name));
                drop(runtime.spawn(async move {
                    if let Err(error) = undo(connection, &name, &internal).await {
                        tracing::debug!(%error, "a dropped transaction is left to the server");
                    }
                }));
            }
            Err(_no_runtime) => drop(connection.detach()),
        }
    }
}

async fn undo(
    mut connection: PoolConnection<Postgres>,
    name: &str,
    internal: &InternalPool,
) -> Result<(), StoreError> {
    let undone = cancelling(roll_back(&mut connection), name, internal).await;
    match undone {
        // It goes back to its pool.
        Ok(()) => Ok(()),
        Err(error) => {
            tracing::debug!(%error, "a rollback failed; its session is ended");
            drop(connection.detach());
            internal.end_session(name).await
        }
    }
}

/// Waits for what a session is to do once its handler has left it. If it does not do it soon, a
/// statement of the handler is still at work, and is cancelled.
async fn cancelling<T>(
    work: impl Future<Output = sqlx::Result<T>>,
    name: &str,
    internal: &InternalPool,
) -> sqlx::Result<T> {
    let mut work = std::pin::pin!(work);
    if let Ok(done) = timeout(CANCEL_AFTER, &mut work).await {
        return done;
    }
    // Both are waited for: a cancellation that comes late must not meet the next transaction.
    let (done, cancelled) = join(internal.in_time(work), internal.cancel(name)).await;
    if let Err(error) = cancelled {
        tracing::debug!(%error, "a statement could not be cancelled");
    }
    done
}

async fn roll_back(connection: &mut PgConnection) -> sqlx::Result<()> {
    drain(connection).await?;
    depth::roll_back(connection).await
}

/// Waits for the answer of a statement that a handler began and dropped, and forgets it: an error
/// in it is not one of the next statement.
async fn drain(connection: &mut PgConnection) -> sqlx::Result<()> {
    match connection.flush().await {
        Err(error @ sqlx::Error::Database(_)) if !is_lost(&error) => connection.flush().await,
        other => other,
    }
}
