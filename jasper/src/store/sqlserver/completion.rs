//! The last writes of a durable handler's transaction, and its commit, in one trip.

use tiberius::Row;

use super::batch::Batch;
use super::connection::SqlServerConnection;
use super::error::Result;
use super::parameters::HeldParameter;
use super::rows::{Insert, add_insert, answers, checked, keys};
use super::sql::{Sql, statements};
use crate::store::sql::columns::Columns;
use crate::store::{Committed, Completion, Incoming, Outgoing, Settled};

/// A handler that has ended its transaction, or begun another one, finds nothing done.
const BEGIN: &str = "\
set xact_abort on;
if @@trancount <> 2 or xact_state() <> 1
begin
    select cast(2 as bigint);
    return;
end;
";

/// The handled row, compared and set as the last thing.
const HANDLED: &str = "\
declare @settled bigint = 0;
delete from {incoming} with (rowlock)
where id = convert(binary(16), @id) and destination = @destination and owner = @owner
    and attempts = @attempts and status = 'incoming' and retention is null;
set @settled = @@rowcount;
if @settled = 0
begin
    update {incoming} with (rowlock)
    set status = 'handled', owner = 0, body = null, retained_until = {now} + case
        when retention > 4611686018427387903 then 4611686018427387903 else retention end
    where id = convert(binary(16), @id) and destination = @destination and owner = @owner
        and attempts = @attempts and status = 'incoming' and retention is not null;
    set @settled = @@rowcount;
end;
";

/// Where the run answers no message, as that of an invocation.
const INVOKED: &str = "declare @settled bigint = 1;\n";

/// A fenced run is left open, for the rollback.
const COMMIT: &str = "\
if @settled = 1
begin
    commit transaction;
    commit transaction;
end;
select @settled;
";

statements!(CompletionSql { begin: BEGIN, handled: HANDLED, invoked: INVOKED, commit: COMMIT });

/// How the trip ended.
#[derive(Debug)]
pub(super) enum Written {
    /// It is committed, unless it is fenced: then the transaction is still open.
    Done(Committed),
    /// The handler has ended its transaction.
    TransactionEnded,
}

/// Writes the cascades, compares and sets the handled row, and commits.
pub(super) async fn write(
    connection: &mut SqlServerConnection,
    sql: &Sql,
    completion: &Completion,
) -> Result<Written> {
    let results = batch(sql, completion)?.results(connection).await?;
    read(completion, results)
}

/// The batch of a completion. All rows of a table are in one statement, however many bytes they
/// have: they are in memory anyhow.
pub(super) fn batch<'r>(sql: &Sql, completion: &'r Completion) -> Result<Batch<'r>> {
    let mut batch = Batch::new(&sql.completion.begin);
    insert(&mut batch, sql, &completion.incoming)?;
    insert(&mut batch, sql, &completion.outgoing)?;
    match &completion.handled {
        Some(row) => batch.add_one(&sql.completion.handled, HeldParameter::new(row).values()),
        None => batch.add(&sql.completion.invoked),
    }
    batch.add(&sql.completion.commit);
    Ok(batch)
}

fn insert<'r, R: Insert>(batch: &mut Batch<'r>, sql: &Sql, rows: &'r [R]) -> Result<()> {
    let rows = checked(rows)?;
    if !rows.is_empty() {
        add_insert(batch, sql, &rows);
    }
    Ok(())
}

/// The results are one for each insert, and how it ended.
fn read(completion: &Completion, results: Vec<Vec<Row>>) -> Result<Written> {
    let mut results = results;
    let last = results.pop().and_then(|rows| rows.into_iter().next());
    let settled = last.map(|row| row.number(0)).transpose()?;
    let settled = match settled {
        Some(1) => Settled::Done,
        Some(0) => {
            let committed =
                Committed { settled: Settled::Fenced, incoming: Vec::new(), outgoing: Vec::new() };
            return Ok(Written::Done(committed));
        }
        _ => return Ok(Written::TransactionEnded),
    };
    let mut results = results.into_iter();
    let mut new = |is_empty: bool| {
        let rows = if is_empty { None } else { results.next() };
        keys(&rows.unwrap_or_default())
    };
    let incoming = answers::<Incoming>(&completion.incoming, new(completion.incoming.is_empty())?);
    let outgoing = answers::<Outgoing>(&completion.outgoing, new(completion.outgoing.is_empty())?);
    Ok(Written::Done(Committed { settled, incoming, outgoing }))
}
