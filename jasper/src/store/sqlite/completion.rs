//! The last writes of a durable handler's transaction.

use sqlx::SqliteConnection;

use super::batch::Batch;
use super::rows;
use super::settlement;
use crate::store::{Committed, Completion, Settled, Stored};

/// Writes the cascades and then, as the last thing, compares and sets the handled row, all in one
/// trip.
///
/// What begins the next member goes along. Where it answers [`Settled::Fenced`] the caller undoes
/// all of it, and the handler's own rows.
pub(super) async fn write(
    connection: &mut SqliteConnection,
    completion: Completion,
    next: Option<&'static str>,
) -> sqlx::Result<Committed> {
    let Completion { handled, incoming, outgoing } = completion;
    let mut batch = Batch::default();
    rows::push_inserts(&incoming, &mut batch)?;
    rows::push_inserts(&outgoing, &mut batch)?;
    if let Some(row) = &handled {
        settlement::push_handled(row, &mut batch)?;
    }
    if let Some(next) = next {
        batch.push(next);
    }
    if batch.is_empty() {
        return Ok(done(Vec::new(), Vec::new()));
    }
    let mut ran = batch.run(connection).await?.into_iter();
    let incoming = rows::stored(&incoming, &mut ran)?;
    let outgoing = rows::stored(&outgoing, &mut ran)?;
    let ended = ran.take(settlement::HANDLED_STATEMENTS).any(|ran| ran.changes > 0);
    if handled.is_some() && !ended {
        return Ok(Committed {
            settled: Settled::Fenced,
            incoming: Vec::new(),
            outgoing: Vec::new(),
        });
    }
    Ok(done(incoming, outgoing))
}

fn done(incoming: Vec<Stored>, outgoing: Vec<Stored>) -> Committed {
    Committed { settled: Settled::Done, incoming, outgoing }
}
