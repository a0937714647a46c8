//! Sessions that are ended from outside, as what they hold keeps others waiting.

use std::time::Duration;

use super::connection::SqlServerConnection;
use super::error::Result;
use super::internal_pool::InternalPool;
use super::sql::statements;
use crate::store::StoreError;
use crate::store::sql::columns::Columns;

/// How long it takes at first until the sessions that were ended are looked for again.
const FIRST_LOOK: Duration = Duration::from_millis(5);

const NAMED: &str = "\
select cast(session_id as bigint) from sys.dm_exec_sessions
where program_name = @P1 and session_id <> @@spid";

/// A process that goes on as another node has sessions that work, and so has the one that asks.
const OF_GONE: &str = "\
select cast(session.session_id as bigint)
from sys.dm_exec_sessions session join {nodes} gone
    on charindex(concat('jasper/', gone.sessions, '/'), session.program_name) > 0
where gone.lease_until = 0 and gone.sessions <> @P1 and session.session_id <> @@spid
    and not exists (
        select 1 from {nodes} other where other.sessions = gone.sessions and other.lease_until > 0
    )";

statements!(SessionsSql { of_gone: OF_GONE });

/// Ends the session of this name, and returns when the server has undone its transaction.
pub(super) async fn end(connection: &mut SqlServerConnection, name: &str) -> Result<()> {
    let mut pause = FIRST_LOOK;
    loop {
        let found = connection.rows(NAMED, &[&name]).await?;
        if found.is_empty() {
            return Ok(());
        }
        for session in &found {
            kill(connection, session.number(0)?).await?;
        }
        tokio::time::sleep(pause).await;
        pause *= 2;
    }
}

/// Ends a session. One that is not there any more has ended by itself.
async fn kill(connection: &mut SqlServerConnection, session: i64) -> Result<()> {
    const NO_SUCH_SESSION: u32 = 6106;
    match connection.batch(&format!("kill {session}")).await {
        Err(error) if error.code() == Some(NO_SUCH_SESSION) => Ok(()),
        done => Ok(done.map(drop)?),
    }
}

impl InternalPool {
    /// Ends the sessions of nodes that are gone: what a frozen process has locked would keep others
    /// waiting that take its work over.
    ///
    /// A login without `VIEW SERVER STATE` sees only the sessions of its own.
    pub(super) async fn end_sessions_of_gone(&self) {
        let server = self.pool.server();
        let end = async {
            let (mut connection, _name) = server.connect().await?;
            let of_gone = &self.sql.sessions.of_gone;
            for session in connection.rows(of_gone, &[&server.mark.word()]).await? {
                let session = session.number(0)?;
                kill(&mut connection, session).await?;
                tracing::info!(session, "ended a session of a node that is gone");
            }
            Ok(())
        };
        let limit = server.limit();
        match tokio::time::timeout(limit, end).await {
            Ok(Ok(())) => {}
            Ok(Err(error)) => server.warn_of_missing_right(&error),
            Err(_elapsed) => {
                let error = StoreError::Deadline { limit };
                tracing::debug!(%error, "sessions of nodes that are gone were not ended");
            }
        }
    }
}
