//! The last writes of a durable handler's transaction.

use sqlx::mysql::MySqlArguments;
use sqlx::{MySqlConnection, SqlStr};

use super::binding::bind_ownership;
use super::rows;
use super::sql::{Sql, statements};
use crate::store::{Committed, Completion, Ownership, Settled};

const DELETE: &str = "\
delete from {incoming}
where id = ? and destination = ? and owner = ? and attempts = ?
    and status = 'incoming' and retention is null";

const RETAIN_HANDLED: &str = "\
update {incoming} set status = 'handled', owner = 0, body = null,
    retained_until = {now} + least(retention, 4611686018427387903)
where id = ? and destination = ? and owner = ? and attempts = ?
    and status = 'incoming' and retention is not null";

statements!(CompletionSql { delete_handled: DELETE, retain_handled: RETAIN_HANDLED });

/// Writes the cascades and then, as the last thing, compares and sets the handled row.
///
/// That is a trip for each table and one or two for the handled row: the driver sends several
/// statements at once only if nothing is bound. Where it answers [`Settled::Fenced`] the caller
/// undoes all of it, and the handler's own rows.
pub(super) async fn write(
    connection: &mut MySqlConnection,
    sql: &Sql,
    completion: &Completion,
) -> sqlx::Result<Committed> {
    let incoming = rows::insert(connection, sql, &completion.incoming).await?;
    let outgoing = rows::insert(connection, sql, &completion.outgoing).await?;
    let settled = match &completion.handled {
        Some(row) => handle(connection, sql, row).await?,
        None => Settled::Done,
    };
    Ok(match settled {
        Settled::Done => Committed { settled, incoming, outgoing },
        Settled::Fenced => Committed { settled, incoming: Vec::new(), outgoing: Vec::new() },
    })
}

/// Ends a row that its owner has handled.
pub(super) async fn handle(
    connection: &mut MySqlConnection,
    sql: &Sql,
    row: &Ownership,
) -> sqlx::Result<Settled> {
    // Most rows are not kept.
    for statement in [&sql.completion.delete_handled, &sql.completion.retain_handled] {
        if compare_and_set(connection, statement, row).await? {
            return Ok(Settled::Done);
        }
    }
    Ok(Settled::Fenced)
}

async fn compare_and_set(
    connection: &mut MySqlConnection,
    statement: &SqlStr,
    row: &Ownership,
) -> sqlx::Result<bool> {
    let mut arguments = MySqlArguments::default();
    bind_ownership(row, &mut arguments)?;
    let written = sqlx::query_with(statement.clone(), arguments).execute(connection).await?;
    Ok(written.rows_affected() > 0)
}
