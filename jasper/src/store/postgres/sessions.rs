//! Sessions that are ended from outside, as what they hold keeps others waiting.

use std::time::Duration;

use sqlx::SqlStr;

use super::internal_pool::InternalPool;
use super::sql::statements;
use super::store::PostgresStore;
use crate::store::StoreError;

/// How long it takes at first until the sessions that were ended are looked for again.
const FIRST_LOOK: Duration = Duration::from_millis(5);

const CANCEL: &str = "\
select pg_cancel_backend(pid) from pg_stat_activity
where application_name = $1 and datname = current_database() and pid <> pg_backend_pid()";

const END: &str = "\
select pg_terminate_backend(pid) from pg_stat_activity
where application_name = $1 and datname = current_database() and pid <> pg_backend_pid()";

/// A process that goes on as another node has sessions that work, and so has the one that asks.
const END_OF_GONE: &str = "\
select pg_terminate_backend(pid)
from pg_stat_activity join {nodes} gone
    on position('jasper/' || gone.sessions || '/' in application_name) > 0
where gone.lease_until = 0 and gone.sessions <> $1
    and datname = current_database() and pid <> pg_backend_pid()
    and not exists (
        select from {nodes} other where other.sessions = gone.sessions and other.lease_until > 0
    )";

statements!(SessionsSql { cancel: CANCEL, end: END, end_of_gone: END_OF_GONE });

impl InternalPool {
    /// Cancels the statement at which the session of this name is at work.
    pub(super) async fn cancel(&self, name: &str) -> sqlx::Result<()> {
        let query = sqlx::query(self.sql.sessions.cancel.clone()).bind(name.to_owned());
        self.rows(query).await.map(|_cancelled| ())
    }

    /// Ends the session of this name, and returns when the server has undone its transaction.
    ///
    /// # Errors
    /// The server cannot be reached, or does not end it in time.
    pub(super) async fn end_session(&self, name: &str) -> Result<(), StoreError> {
        let ended = self.in_time(self.end_until_none(&self.sql.sessions.end, name));
        ended.await.map_err(|error| self.error(error))
    }

    /// Sessions go on for a moment after they were to end.
    async fn end_until_none(&self, end: &SqlStr, name: &str) -> sqlx::Result<()> {
        let mut pause = FIRST_LOOK;
        loop {
            let query = sqlx::query(end.clone()).bind(name.to_owned());
            let ended = self.rows(query).await?;
            if ended.is_empty() {
                return Ok(());
            }
            tracing::debug!(sessions = ended.len(), "sessions were ended");
            tokio::time::sleep(pause).await;
            pause *= 2;
        }
    }
}

impl PostgresStore {
    /// Ends the sessions of nodes that are gone: what a frozen process has locked would keep others
    /// waiting that take its work over. Where that fails at present, `sessions_left` says so.
    pub(super) async fn end_sessions_of_gone(&self) {
        let internal = self.internal_pool();
        let end = internal.end_until_none(&internal.sql.sessions.end_of_gone, internal.mark.word());
        let ended = internal.in_time(end).await.map_err(|error| internal.error(error));
        match &ended {
            Ok(()) => {}
            Err(error) if error.is_transient() => {
                tracing::debug!(%error, "sessions of nodes that are gone could not be ended yet");
            }
            // The same at each recovery, where the role may not.
            Err(error) => self.shared.has_warned.call_once(|| {
                tracing::warn!(
                    %error,
                    "sessions of nodes that are gone could not be ended; what they have locked \
                     stays locked until the server ends them"
                );
            }),
        }
        self.shared.sessions_left.note(ended);
    }
}
