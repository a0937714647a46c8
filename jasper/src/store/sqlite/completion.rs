//! The last writes of a durable handler's transaction.

use sqlx::SqliteConnection;

use super::rows;
use super::settlement;
use super::statement_batch::{StatementBatch, StatementResult};
use crate::store::portions::{PORTION, Weigh};
use crate::store::{Committed, Completion, Inserted, Settled};

/// Writes the cascades and then, as the last thing, compares and sets the handled row, all in one
/// trip if they are no more than a portion.
///
/// Further statements go along, and what they did comes back. Where it answers [`Settled::Fenced`]
/// the caller undoes all of it, and the handler's own rows.
pub(super) async fn write(
    connection: &mut SqliteConnection,
    completion: &Completion,
    then: &[&'static str],
) -> sqlx::Result<(Committed, Vec<StatementResult>)> {
    let Completion { handled, incoming, outgoing } = completion;
    let bytes: usize = incoming.iter().map(Weigh::weight).sum();
    let bytes = bytes + outgoing.iter().map(Weigh::weight).sum::<usize>();
    if bytes > PORTION {
        return write_in_portions(connection, completion, then).await;
    }
    let mut batch = StatementBatch::default();
    rows::push_inserts(incoming, &mut batch)?;
    rows::push_inserts(outgoing, &mut batch)?;
    if let Some(row) = handled {
        settlement::push_handled(row, &mut batch)?;
    }
    for statement in then {
        batch.push(*statement);
    }
    if batch.is_empty() {
        return Ok((done(Vec::new(), Vec::new()), Vec::new()));
    }
    let mut results = batch.run(connection).await?.into_iter();
    let incoming = rows::stored(incoming, &mut results)?;
    let outgoing = rows::stored(outgoing, &mut results)?;
    if handled.is_some()
        && settlement::answer(settlement::HANDLED_STATEMENTS, &mut results) == Settled::Fenced
    {
        let settled = Settled::Fenced;
        return Ok((
            Committed { settled, incoming: Vec::new(), outgoing: Vec::new() },
            results.collect(),
        ));
    }
    Ok((done(incoming, outgoing), results.collect()))
}

async fn write_in_portions(
    connection: &mut SqliteConnection,
    completion: &Completion,
    then: &[&'static str],
) -> sqlx::Result<(Committed, Vec<StatementResult>)> {
    let incoming = rows::insert(connection, &completion.incoming).await?;
    let outgoing = rows::insert(connection, &completion.outgoing).await?;
    let handled = Completion { handled: completion.handled.clone(), ..Completion::default() };
    let (committed, results) = Box::pin(write(connection, &handled, then)).await?;
    Ok(match committed.settled {
        Settled::Done => (done(incoming, outgoing), results),
        Settled::Fenced => (committed, results),
    })
}

fn done(incoming: Vec<Inserted>, outgoing: Vec<Inserted>) -> Committed {
    Committed { settled: Settled::Done, incoming, outgoing }
}
