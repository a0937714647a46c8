//! The ends and changes of ownership in the inbox, each by compare-and-set.

use std::collections::HashMap;

use futures_util::FutureExt;
use sqlx::mysql::{MySqlArguments, MySqlRow};
use sqlx::{Connection, MySqlConnection, SqlStr};

use super::binding::{bind, bind_key};
use super::completion;
use super::internal_pool::{InternalPool, Work};
use super::keys;
use super::rows::SHARED_ROWS;
use super::sql::{self, Sql, statements};
use crate::envelope::time::to_micros;
use crate::store::dead_letter::DeadLetterCause;
use crate::store::portions::Weigh;
use crate::store::sql::coalescer::Coalescer;
use crate::store::sql::columns::{self, Columns};
use crate::store::sql::key::{Key, key_of};
use crate::store::sql::rounds::rounds;
use crate::store::{Ownership, Settled, Settlement};

/// Locks the rows, so that what is found holds until the transaction ends.
const LOCK: &str = "\
select id, destination, owner, attempts, status = 'incoming', retention is not null
from {incoming} where {keys} for update";

// What follows meets rows that are locked and compared.

const DELETE: &str = "delete from {incoming} where {keys}";

const RETAIN_HANDLED: &str = "\
update {incoming} set status = 'handled', owner = 0, body = null,
    retained_until = {now} + least(retention, 4611686018427387903)
where {keys}";

const COUNT_ATTEMPT: &str = "update {incoming} set attempts = attempts + 1 where {keys}";

const SCHEDULE: &str = "\
update {incoming} set status = 'scheduled', owner = 0, due_at = case {cases} end where {keys}";
const CASE: &str = "when id = ? and destination = ? then ?";

const RELEASE: &str = "update {incoming} set owner = 0 where {keys}";

const TAKE_BACK: &str = "\
update {incoming} set owner = 0, attempts = greatest(0, attempts - 1) where {keys}";

const DEAD_LETTER: &str = "\
replace into {dead_letters} (id, destination, reason, message_type, error_type, error_message,
    attempts, body, dead_lettered_at, group_id, tenant_id, correlation_id, sent_at, retention)
select id, destination, ?, message_type, ?, ?, attempts, body, {now}, group_id, tenant_id,
    correlation_id, sent_at, retention
from {incoming} where id = ? and destination = ?";

statements!(SettlementSql {
    lock: LOCK,
    delete: DELETE,
    retain_handled: RETAIN_HANDLED,
    count_attempt: COUNT_ATTEMPT,
    schedule: SCHEDULE,
    release: RELEASE,
    take_back: TAKE_BACK,
    dead_letter: DEAD_LETTER,
});

/// What settles the rows of a table for all callers.
pub(super) fn coalescer<S, W>(
    internal: &InternalPool,
    settle: fn(Vec<S>) -> W,
) -> Coalescer<S, Settled>
where
    S: Weigh + Clone + Send + 'static,
    W: Work<Output = Vec<Settled>>,
{
    let internal = internal.clone();
    Coalescer::new(SHARED_ROWS, 1, move |settlements| {
        let internal = internal.clone();
        async move { internal.work(settle(settlements)).await }.boxed()
    })
}

pub(super) struct Settle(pub(super) Vec<Settlement>);

impl Work for Settle {
    type Output = Vec<Settled>;

    async fn run(&self, connection: &mut MySqlConnection, sql: &Sql) -> sqlx::Result<Vec<Settled>> {
        if let [Settlement::Handled(row)] = &self.0[..] {
            return Ok(vec![completion::handle(connection, sql, row).await?]);
        }
        let mut answers = vec![Settled::Fenced; self.0.len()];
        let mut transaction = connection.begin().await?;
        for round in rounds(self.0.iter().map(Settlement::ownership)) {
            let keys: Vec<Key> = round.iter().map(|&at| key_of(self.0[at].ownership())).collect();
            let held = lock(&mut transaction, &sql.settlement.lock, &keys).await?;
            let mut writes = Writes::default();
            for &at in &round {
                answers[at] = writes.decide(&self.0[at], &held);
            }
            writes.execute(&mut transaction, sql).await?;
        }
        transaction.commit().await?;
        Ok(answers)
    }
}

/// A row as it stands in a table, locked.
pub(super) struct LockedRow {
    owner: i64,
    attempts: i64,
    /// Neither scheduled nor handled; always so in the outbox.
    is_incoming: bool,
    /// Whether its id is kept after it is handled; never in the outbox.
    is_retained: bool,
}

impl LockedRow {
    /// Whether it is held as this says.
    pub(super) fn is(&self, row: &Ownership) -> bool {
        self.is_owned(row) && self.attempts == i64::from(row.attempts)
    }

    fn is_owned(&self, row: &Ownership) -> bool {
        self.is_incoming && self.owner == row.owner.number()
    }
}

/// Locks these rows and reads how they are held; of those that are not there it says nothing.
pub(super) async fn lock(
    connection: &mut MySqlConnection,
    statement: &SqlStr,
    keys: &[Key],
) -> sqlx::Result<HashMap<Key, LockedRow>> {
    let found = keys::fetch(connection, statement, keys).await?;
    found.iter().map(|row| Ok((columns::key(row, 0)?, held(row)?))).collect()
}

fn held(row: &MySqlRow) -> sqlx::Result<LockedRow> {
    Ok(LockedRow {
        owner: row.number(2)?,
        // One that is too large for us was read as the largest.
        attempts: row.number(3)?.min(u32::MAX.into()),
        is_incoming: row.number(4)? != 0,
        is_retained: row.number(5)? != 0,
    })
}

/// What is to be written to rows that are locked, each of them once.
#[derive(Default)]
struct Writes<'s> {
    deletes: Vec<Key>,
    retained: Vec<Key>,
    attempts: Vec<Key>,
    schedules: Vec<(Key, i64)>,
    releases: Vec<Key>,
    taken_back: Vec<Key>,
    causes: Vec<DeadLetterCause<'s>>,
}

impl<'s> Writes<'s> {
    /// What becomes of a settlement, given how its row is held.
    fn decide(&mut self, settlement: &'s Settlement, held: &HashMap<Key, LockedRow>) -> Settled {
        let row = settlement.ownership();
        let key = key_of(row);
        let Some(held) = held.get(&key) else {
            return Settled::Fenced;
        };
        let is_counted = matches!(settlement, Settlement::Attempt(_))
            && held.is_owned(row)
            && held.attempts == i64::from(row.attempts) + 1;
        if is_counted {
            return Settled::Done;
        }
        if !held.is(row) {
            return Settled::Fenced;
        }
        match settlement {
            Settlement::Handled(_) if held.is_retained => self.retained.push(key),
            Settlement::Handled(_) => self.deletes.push(key),
            Settlement::Attempt(_) => self.attempts.push(key),
            Settlement::Schedule(_, due_at) => self.schedules.push((key, to_micros(*due_at))),
            Settlement::Release { attempt_began: true, .. } => self.releases.push(key),
            Settlement::Release { attempt_began: false, .. } => self.taken_back.push(key),
            Settlement::DeadLetter { .. } => {
                self.causes.extend(settlement.cause());
                self.deletes.push(key);
            }
        }
        Settled::Done
    }

    async fn execute(self, connection: &mut MySqlConnection, sql: &Sql) -> sqlx::Result<()> {
        let sql = &sql.settlement;
        for cause in self.causes {
            write_dead_letter(connection, &sql.dead_letter, cause).await?;
        }
        schedule(connection, &sql.schedule, &self.schedules).await?;
        for (statement, keys) in [
            (&sql.retain_handled, &self.retained),
            (&sql.count_attempt, &self.attempts),
            (&sql.release, &self.releases),
            (&sql.take_back, &self.taken_back),
            (&sql.delete, &self.deletes),
        ] {
            keys::execute(connection, statement, &[], keys).await?;
        }
        Ok(())
    }
}

/// Writes a row as a dead letter, by the statement of its table, and leaves it there.
pub(super) async fn write_dead_letter(
    connection: &mut MySqlConnection,
    statement: &SqlStr,
    cause: DeadLetterCause<'_>,
) -> sqlx::Result<()> {
    let mut arguments = MySqlArguments::default();
    bind(&mut arguments, cause.reason.as_str())?;
    bind(&mut arguments, &*cause.error_type)?;
    bind(&mut arguments, &*cause.error_message)?;
    bind_key(cause.ownership.id, &cause.ownership.destination, &mut arguments)?;
    let query = sqlx::query_with(statement.clone(), arguments);
    query.execute(connection).await.map(|_done| ())
}

/// Each for its own time.
async fn schedule(
    connection: &mut MySqlConnection,
    statement: &SqlStr,
    schedules: &[(Key, i64)],
) -> sqlx::Result<()> {
    for schedules in schedules.chunks(SCHEDULES) {
        let mut arguments = MySqlArguments::default();
        for ((id, destination), due_at) in schedules {
            bind_key(*id, destination, &mut arguments)?;
            bind(&mut arguments, *due_at)?;
        }
        for ((id, destination), _due_at) in schedules {
            bind_key(*id, destination, &mut arguments)?;
        }
        let statement = schedule_sql(statement, schedules.len());
        sqlx::query_with(statement, arguments).execute(&mut *connection).await?;
    }
    Ok(())
}

/// The most rows that are scheduled in one statement, which looks for each of them in all cases.
const SCHEDULES: usize = 32;

/// The statement that schedules this many rows.
pub(super) fn schedule_sql(statement: &SqlStr, rows: usize) -> SqlStr {
    sql::keyed(&sql::repeated(statement, "{cases}", CASE, " ", rows), rows)
}
