//! Sessions that are ended from outside, as what they hold keeps others waiting.

use std::time::Duration;

use super::connection::SqlServerConnection;
use super::error::Result;
use crate::store::sql::columns::Columns;

/// How long it takes at first until the sessions that were ended are looked for again.
const FIRST_LOOK: Duration = Duration::from_millis(5);

const NAMED: &str = "\
select cast(session_id as bigint) from sys.dm_exec_sessions
where program_name = @P1 and session_id <> @@spid";

const NUMBERED: &str = "select 1 from sys.dm_exec_sessions where session_id = @P1";

#[cfg(test)]
pub(super) const TEXTS: [&str; 2] = [NAMED, NUMBERED];

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
pub(super) async fn kill(connection: &mut SqlServerConnection, session: i64) -> Result<()> {
    let Err(refused) = connection.batch(&format!("kill {session}")).await else {
        return Ok(());
    };
    // What is said of one that has just ended differs.
    let is_there = !connection.rows(NUMBERED, &[&session]).await?.is_empty();
    if is_there { Err(refused) } else { Ok(()) }
}
