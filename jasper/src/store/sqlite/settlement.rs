//! The ends and changes of ownership in the inbox, each by compare-and-set.

use super::rows::{bind_key, bind_ownership};
use super::sql::{SQL, statements};
use super::statement_batch::{SETTLEMENTS_PER_TRIP, StatementBatch, StatementResult};
use super::writer::batchable::Batchable;
use crate::envelope::time::{now, to_micros};
use crate::store::dead_letter::DeadLetterCause;
use crate::store::sql::columns::Columns;
use crate::store::{Ownership, Settled, Settlement};

const DELETE_HANDLED: &str = "\
delete from jasper_incoming
where id = ? and destination = ? and owner = ? and attempts = ?
    and status = 'incoming' and retention is null";

const RETAIN_HANDLED: &str = "\
update jasper_incoming
set status = 'handled', owner = 0, body = null,
    retained_until = ? + min(retention, 4611686018427387903)
where id = ? and destination = ? and owner = ? and attempts = ?
    and status = 'incoming' and retention is not null";

/// Which of many rows are held, as the bits of a number: one row of an answer costs less than many,
/// and less than what a `returning` has to keep.
const HELD: &str = "\
with held (bit, id, destination, owner, attempts) as (values {held})
select coalesce(sum(1 << bit), 0)
from held cross join jasper_incoming row
where row.id = held.id and row.destination = held.destination and row.owner = held.owner
    and row.attempts = held.attempts and row.status = 'incoming'";

/// As [`DELETE_HANDLED`], for many rows.
const DELETE_ALL_HANDLED: &str = "\
with held (bit, id, destination, owner, attempts) as (values {held})
delete from jasper_incoming where seq in (
    select row.seq
    from held cross join jasper_incoming row
    where row.id = held.id and row.destination = held.destination and row.owner = held.owner
        and row.attempts = held.attempts and row.status = 'incoming' and row.retention is null
)";

/// As [`RETAIN_HANDLED`], for many rows. It looks for none where [`DELETE_ALL_HANDLED`], which runs
/// before it, has deleted them all.
const RETAIN_ALL_HANDLED: &str = "\
with held (bit, id, destination, owner, attempts) as (values {held})
update jasper_incoming
set status = 'handled', owner = 0, body = null,
    retained_until = ? + min(retention, 4611686018427387903)
where seq in (
    select row.seq
    from held cross join jasper_incoming row
    where row.id = held.id and row.destination = held.destination and row.owner = held.owner
        and row.attempts = held.attempts and row.status = 'incoming'
        and row.retention is not null
    limit iif(changes() < {count}, -1, 0)
)";

const COUNT_ATTEMPT: &str = "\
update jasper_incoming set attempts = ?
where id = ? and destination = ? and owner = ? and attempts between ? and ?
    and status = 'incoming'";

const SCHEDULE: &str = "\
update jasper_incoming set status = 'scheduled', owner = 0, due_at = ?
where id = ? and destination = ? and owner = ? and attempts = ? and status = 'incoming'";

/// A count that is too large for us was read as the largest.
const RELEASE: &str = "\
update jasper_incoming set owner = 0, attempts = max(0, attempts - ?)
where id = ? and destination = ? and owner = ? and min(attempts, 4294967295) = ?
    and status = 'incoming'";

const DEAD_LETTER: &str = "\
insert or replace into jasper_dead_letters (id, destination, reason, message_type, error_type,
    error_message, attempts, body, dead_lettered_at, group_id, tenant_id, correlation_id, sent_at,
    retention)
select id, destination, ?, message_type, ?, ?, attempts, body, ?, group_id, tenant_id,
    correlation_id, sent_at, retention
from jasper_incoming
where id = ? and destination = ? and owner = ? and attempts = ? and status = 'incoming'";

const DELETE_DEAD_LETTERED: &str = "\
delete from jasper_incoming
where id = ? and destination = ? and owner = ? and attempts = ? and status = 'incoming'";

statements!(SettlementSql {
    delete_handled: DELETE_HANDLED,
    retain_handled: RETAIN_HANDLED,
    held: HELD,
    delete_all_handled: DELETE_ALL_HANDLED,
    retain_all_handled: RETAIN_ALL_HANDLED,
    count_attempt: COUNT_ATTEMPT,
    schedule: SCHEDULE,
    release: RELEASE,
    dead_letter: DEAD_LETTER,
    delete_dead_lettered: DELETE_DEAD_LETTERED,
});

impl Batchable for Settlement {
    type Answer = Settled;

    const MOST: usize = SETTLEMENTS_PER_TRIP;

    fn is_one_statement() -> bool {
        false
    }

    fn push(items: &[&Self], batch: &mut StatementBatch) -> sqlx::Result<()> {
        together(items).try_for_each(|some| match some {
            [only] => push(only, batch),
            handled => push_all_handled(handled, batch),
        })
    }

    fn answers(
        items: &[&Self],
        ran: &mut impl Iterator<Item = StatementResult>,
    ) -> sqlx::Result<Vec<Settled>> {
        let mut answers = Vec::with_capacity(items.len());
        for some in together(items) {
            match some {
                [only] => answers.push(answer(statements(only), ran)),
                handled => answers.extend(answers_of_handled(handled, ran)?),
            }
        }
        Ok(answers)
    }
}

/// The parts of which each is done by statements of its own: a settlement, or neighbours that are
/// handled. No row stands in one twice, as a statement sees each as it was before.
fn together<'i>(items: &'i [&'i Settlement]) -> impl Iterator<Item = &'i [&'i Settlement]> {
    let mut rest = items;
    std::iter::from_fn(move || {
        let (part, after) = rest.split_at(first_part(rest));
        rest = after;
        (!part.is_empty()).then_some(part)
    })
}

fn first_part(items: &[&Settlement]) -> usize {
    let is_handled = |item: &Settlement| matches!(item, Settlement::Handled(_));
    let is_same = |one: &Ownership, other: &Ownership| {
        (one.id, &one.destination) == (other.id, &other.destination)
    };
    let joins = |at: &usize| {
        let (before, item) = (&items[..*at], items[*at]);
        is_handled(item)
            && is_handled(before[0])
            && !before.iter().any(|other| is_same(other.ownership(), item.ownership()))
    };
    (0..items.len()).take_while(|at| *at == 0 || joins(at)).count()
}

/// How many statements [`push_all_handled`] adds.
const ALL_HANDLED_STATEMENTS: usize = 3;

// Each has a bit of what `HELD` answers.
const _: () = assert!(SETTLEMENTS_PER_TRIP < i64::BITS as usize);

/// Adds what [`push_handled`] does for many rows.
fn push_all_handled(handled: &[&Settlement], batch: &mut StatementBatch) -> sqlx::Result<()> {
    let bind_rows = |batch: &mut StatementBatch| {
        handled.iter().try_for_each(|settlement| bind_ownership(settlement.ownership(), batch))
    };
    batch.push(for_all(SQL.settlement.held, handled.len()));
    bind_rows(batch)?;
    batch.push(for_all(SQL.settlement.delete_all_handled, handled.len()));
    bind_rows(batch)?;
    batch.push(for_all(SQL.settlement.retain_all_handled, handled.len()));
    bind_rows(batch)?;
    batch.bind(to_micros(now()))
}

/// A statement for this many rows that are held.
pub(super) fn for_all(sql: &str, rows: usize) -> String {
    let held: Vec<_> = (0..rows).map(|bit| format!("({bit}, ?, ?, ?, ?)")).collect();
    sql.replace("{held}", &held.join(", ")).replace("{count}", &rows.to_string())
}

/// The answers of [`push_all_handled`].
fn answers_of_handled(
    handled: &[&Settlement],
    ran: &mut impl Iterator<Item = StatementResult>,
) -> sqlx::Result<Vec<Settled>> {
    let mut held: i64 = 0;
    for row in ran.take(ALL_HANDLED_STATEMENTS).flat_map(|ran| ran.rows) {
        held |= row.number(0)?;
    }
    let answer = |bit| if held & (1_i64 << bit) == 0 { Settled::Fenced } else { Settled::Done };
    Ok((0..handled.len()).map(answer).collect())
}

/// What became of a settlement by the next this many statements of a batch that was run.
pub(super) fn answer(
    statements: usize,
    ran: &mut impl Iterator<Item = StatementResult>,
) -> Settled {
    match ran.take(statements).map(|ran| ran.changes).sum::<u64>() {
        0 => Settled::Fenced,
        _ => Settled::Done,
    }
}

/// How many statements [`push`] adds.
const fn statements(settlement: &Settlement) -> usize {
    match settlement {
        Settlement::Handled(_) => HANDLED_STATEMENTS,
        Settlement::DeadLetter { .. } => DEAD_LETTER_STATEMENTS,
        Settlement::Attempt(_) | Settlement::Schedule(..) | Settlement::Release { .. } => 1,
    }
}

fn push(settlement: &Settlement, batch: &mut StatementBatch) -> sqlx::Result<()> {
    match settlement {
        Settlement::Handled(row) => push_handled(row, batch),
        Settlement::Attempt(row) => {
            let (before, counted) = (i64::from(row.attempts), i64::from(row.attempts) + 1);
            batch.push(SQL.settlement.count_attempt);
            batch.bind(counted)?;
            bind_key(row.id, &row.destination, batch)?;
            batch.bind(row.owner.number())?;
            batch.bind(before)?;
            batch.bind(counted)
        }
        Settlement::Schedule(row, due_at) => {
            batch.push(SQL.settlement.schedule);
            batch.bind(to_micros(*due_at))?;
            bind_ownership(row, batch)
        }
        Settlement::Release { ownership, attempt_began } => {
            batch.push(SQL.settlement.release);
            batch.bind(i64::from(!attempt_began))?;
            bind_ownership(ownership, batch)
        }
        Settlement::DeadLetter { .. } => {
            let statements = [SQL.settlement.dead_letter, SQL.settlement.delete_dead_lettered];
            settlement.cause().map_or(Ok(()), |cause| push_dead_letter(cause, statements, batch))
        }
    }
}

/// How many statements [`push_dead_letter`] adds.
pub(super) const DEAD_LETTER_STATEMENTS: usize = 2;

/// Adds the statements of one table that write a row as a dead letter, and delete it.
pub(super) fn push_dead_letter(
    cause: DeadLetterCause<'_>,
    statements: [&'static str; DEAD_LETTER_STATEMENTS],
    batch: &mut StatementBatch,
) -> sqlx::Result<()> {
    let [dead_letter, delete] = statements;
    batch.push(dead_letter);
    batch.bind(cause.reason.as_str())?;
    batch.bind(&*cause.error_type)?;
    batch.bind(&*cause.error_message)?;
    batch.bind(to_micros(now()))?;
    bind_ownership(cause.ownership, batch)?;
    batch.push(delete);
    bind_ownership(cause.ownership, batch)
}

/// How many statements [`push_handled`] adds.
pub(super) const HANDLED_STATEMENTS: usize = 2;

/// Adds the statements of which one ends a row that its owner has handled; neither does where it is
/// fenced.
pub(super) fn push_handled(row: &Ownership, batch: &mut StatementBatch) -> sqlx::Result<()> {
    batch.push(SQL.settlement.delete_handled);
    bind_ownership(row, batch)?;
    batch.push(SQL.settlement.retain_handled);
    batch.bind(to_micros(now()))?;
    bind_ownership(row, batch)
}
