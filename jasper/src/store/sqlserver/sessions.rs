//! Sessions that are ended from outside, as what they hold keeps others waiting.

use std::time::Duration;

use super::connection::SqlServerConnection;
use super::error::{Error, Result};
use crate::store::sql::columns::Columns;

/// How long the end of a session is waited for until it is looked for again: at first, and how many
/// times longer after that.
const FIRST_WAIT: Duration = Duration::from_millis(200);
const LONGER: u32 = 3;

/// A lock with a name, until the end of the session, and whether it was had within a time.
const LOCK: &str = "\
declare @locked int;
exec @locked = sp_getapplock @Resource = @P1, @LockMode = @P2, @LockOwner = 'Session',
    @LockTimeout = @P3;
select cast(@locked as bigint)";

const NAMED: &str = "\
select cast(session_id as bigint) from sys.dm_exec_sessions
where program_name = @P1 and session_id <> @@spid";

const NUMBERED: &str = "select 1 from sys.dm_exec_sessions where session_id = @P1";

#[cfg(test)]
pub(super) const TEXTS: [&str; 3] = [LOCK, NAMED, NUMBERED];

/// Holds a lock of the session's name until the session is over. That it is free is seen by any
/// login; sessions of others are seen only by one that may.
pub(super) async fn hold(connection: &mut SqlServerConnection, name: &str) -> Result<()> {
    let is_held = lock(connection, name, "Exclusive", Duration::ZERO).await?;
    if is_held { Ok(()) } else { Err(Error::NoLock) }
}

/// Ends the session of this name, and returns when it is seen that the server has undone its
/// transaction: it is not listed, and holds its lock no more.
pub(super) async fn end(connection: &mut SqlServerConnection, name: &str) -> Result<()> {
    let mut wait = FIRST_WAIT;
    loop {
        let found = connection.rows(NAMED, &[&name]).await?;
        for session in &found {
            kill(connection, session.number(0)?).await?;
        }
        if lock(connection, name, "Shared", wait).await? && found.is_empty() {
            return Ok(());
        }
        wait = wait.saturating_mul(LONGER);
    }
}

async fn lock(
    connection: &mut SqlServerConnection,
    name: &str,
    mode: &str,
    wait: Duration,
) -> Result<bool> {
    let wait = i32::try_from(wait.as_millis()).unwrap_or(i32::MAX);
    let locked = connection.rows(LOCK, &[&name, &mode, &wait]).await?;
    Ok(locked.first().map_or(Ok(-1), |row| row.number(0))? >= 0)
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
