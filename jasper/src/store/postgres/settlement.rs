//! The ends and changes of ownership in the inbox, each by compare-and-set.

use std::collections::{HashMap, HashSet};

use futures_util::FutureExt;
use sqlx::postgres::{PgArguments, PgRow};
use sqlx::{PgExecutor, Row, SqlStr};

use super::SHARED_ROWS;
use super::desk::Desk;
use super::rows::{self, bind, bind_ownerships, storable};
use super::sql::statements;
use crate::envelope::time::to_micros;
use crate::envelope::{Address, MessageId};
use crate::store::coalescer::Coalescer;
use crate::store::{Ownership, Settled, Settlement};

/// Of each pair one does something: a row is deleted, or kept as handled.
const HANDLED: &str = "\
with held as materialized (
    select * from unnest($1::uuid[], $2::text[], $3::bigint[], $4::bigint[])
        as held (id, destination, owner, attempts)
), deleted as (
    delete from {incoming} row using held
    where row.id = held.id and row.destination = held.destination and row.owner = held.owner
        and row.attempts = held.attempts and row.status = 'incoming' and row.keep_for is null
    returning row.id, row.destination
), kept as (
    update {incoming} row
    set status = 'handled', owner = 0, body = null, keep_until = {now} + row.keep_for
    from held
    where row.id = held.id and row.destination = held.destination and row.owner = held.owner
        and row.attempts = held.attempts and row.status = 'incoming' and row.keep_for is not null
    returning row.id, row.destination
)
select id, destination from deleted union all select id, destination from kept";

const COUNT_ATTEMPT: &str = "\
update {incoming} row set attempts = held.attempts + 1
from unnest($1::uuid[], $2::text[], $3::bigint[], $4::bigint[])
    as held (id, destination, owner, attempts)
where row.id = held.id and row.destination = held.destination and row.owner = held.owner
    and row.attempts between held.attempts and held.attempts + 1 and row.status = 'incoming'
returning row.id, row.destination";

const SCHEDULE: &str = "\
update {incoming} row set status = 'scheduled', owner = 0, due_at = held.due_at
from unnest($1::uuid[], $2::text[], $3::bigint[], $4::bigint[], $5::bigint[])
    as held (id, destination, owner, attempts, due_at)
where row.id = held.id and row.destination = held.destination and row.owner = held.owner
    and row.attempts = held.attempts and row.status = 'incoming'
returning row.id, row.destination";

const RELEASE: &str = "\
update {incoming} row set owner = 0, attempts = greatest(0, row.attempts - held.undone)
from unnest($1::uuid[], $2::text[], $3::bigint[], $4::bigint[], $5::bigint[])
    as held (id, destination, owner, attempts, undone)
where row.id = held.id and row.destination = held.destination and row.owner = held.owner
    and row.attempts = held.attempts and row.status = 'incoming'
returning row.id, row.destination, {tell}";

const BURY: &str = "\
with buried as (
    delete from {incoming} row
    using unnest($1::uuid[], $2::text[], $3::bigint[], $4::bigint[], $5::text[], $6::text[],
        $7::text[]) as held (id, destination, owner, attempts, reason, error_type, error_message)
    where row.id = held.id and row.destination = held.destination and row.owner = held.owner
        and row.attempts = held.attempts and row.status = 'incoming'
    returning row.*, held.reason, held.error_type, held.error_message
), letters as (
    insert into {dead_letters} (id, destination, reason, message_type, error_type, error_message,
        attempts, body, buried_at, group_id, tenant_id, correlation_id, sent_at, keep_for)
    select id, destination, reason, message_type, error_type, error_message, attempts, body, {now},
        group_id, tenant_id, correlation_id, sent_at, keep_for
    from buried
    on conflict (id, destination) do update set
        (reason, message_type, error_type, error_message, attempts, body, buried_at, group_id,
            tenant_id, correlation_id, sent_at, keep_for) =
        (excluded.reason, excluded.message_type, excluded.error_type, excluded.error_message,
            excluded.attempts, excluded.body, excluded.buried_at, excluded.group_id,
            excluded.tenant_id, excluded.correlation_id, excluded.sent_at, excluded.keep_for)
)
select id, destination from buried";

statements!(SettlementSql {
    handled: HANDLED,
    count_attempt: COUNT_ATTEMPT,
    schedule: SCHEDULE,
    release: RELEASE,
    bury: BURY,
});

/// A message and its destination, as they are looked up.
pub(super) type Key = (MessageId, String);

/// What settles the rows of all callers.
pub(super) fn coalescer(desk: &Desk) -> Coalescer<Settlement, Settled> {
    let desk = desk.clone();
    Coalescer::new(SHARED_ROWS, 1, move |settlements: Vec<Settlement>| {
        let desk = desk.clone();
        async move {
            let settled = settle_all(&desk, &settlements).await;
            settled.map_err(|error| desk.error(error))
        }
        .boxed()
    })
}

/// Settlements of one kind and of different rows, as one statement does them.
struct Step<'s> {
    kind: Kind,
    /// Their places in what is to be settled.
    places: Vec<usize>,
    all: &'s [Settlement],
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Handled,
    Attempt,
    Schedule,
    Release,
    Bury,
}

impl Kind {
    const ALL: [Self; 5] =
        [Self::Handled, Self::Attempt, Self::Schedule, Self::Release, Self::Bury];

    const fn of(settlement: &Settlement) -> Self {
        match settlement {
            Settlement::Handled(_) => Self::Handled,
            Settlement::Attempt(_) => Self::Attempt,
            Settlement::Schedule(..) => Self::Schedule,
            Settlement::Release { .. } => Self::Release,
            Settlement::Bury { .. } => Self::Bury,
        }
    }

    fn statement(self, sql: &SettlementSql) -> SqlStr {
        let statement = match self {
            Self::Handled => &sql.handled,
            Self::Attempt => &sql.count_attempt,
            Self::Schedule => &sql.schedule,
            Self::Release => &sql.release,
            Self::Bury => &sql.bury,
        };
        statement.clone()
    }
}

/// Settles each, in as few statements as tell kinds and repeats of a row apart.
async fn settle_all(desk: &Desk, all: &[Settlement]) -> sqlx::Result<Vec<Settled>> {
    let mut settled = vec![Settled::Fenced; all.len()];
    let mut steps = Vec::new();
    for round in rounds(all.iter().map(Settlement::ownership)) {
        for kind in Kind::ALL {
            let of_kind = |at: &usize| Kind::of(&all[*at]) == kind;
            let places: Vec<usize> = round.iter().copied().filter(of_kind).collect();
            if !places.is_empty() {
                steps.push(Step { kind, places, all });
            }
        }
    }
    if let [only] = steps.as_slice() {
        // A statement alone is a transaction by itself, which saves two trips.
        only.run(&desk.pool, &desk.sql.settlement, &mut settled).await?;
        return Ok(settled);
    }
    let mut transaction = desk.pool.begin().await?;
    for step in &steps {
        step.run(&mut *transaction, &desk.sql.settlement, &mut settled).await?;
    }
    transaction.commit().await?;
    Ok(settled)
}

impl Step<'_> {
    async fn run(
        &self,
        executor: impl PgExecutor<'_>,
        sql: &SettlementSql,
        settled: &mut [Settled],
    ) -> sqlx::Result<()> {
        let query = sqlx::query_with(self.kind.statement(sql), self.arguments()?);
        let done = keys(&query.fetch_all(executor).await?)?;
        let held: Vec<&Ownership> =
            self.places.iter().map(|at| self.all[*at].ownership()).collect();
        mark(settled, &self.places, &held, &done);
        Ok(())
    }

    fn arguments(&self) -> sqlx::Result<PgArguments> {
        let mut arguments = PgArguments::default();
        let settlements = self.places.iter().map(|at| &self.all[*at]);
        bind_ownerships(settlements.clone().map(Settlement::ownership), &mut arguments)?;
        match self.kind {
            Kind::Handled | Kind::Attempt => {}
            Kind::Schedule => {
                let due_at = settlements.map(|settlement| match settlement {
                    Settlement::Schedule(_, due_at) => to_micros(*due_at),
                    _ => 0,
                });
                bind(&mut arguments, due_at.collect::<Vec<_>>())?;
            }
            Kind::Release => {
                let undone = settlements.map(|settlement| match settlement {
                    Settlement::Release { ran: false, .. } => 1_i64,
                    _ => 0,
                });
                bind(&mut arguments, undone.collect::<Vec<_>>())?;
            }
            Kind::Bury => {
                let reasons = settlements.map(|settlement| match settlement {
                    Settlement::Bury { reason, error_type, error_message, .. } => {
                        (reason.as_str(), storable(error_type), storable(error_message))
                    }
                    _ => ("", "".into(), "".into()),
                });
                let reasons: Vec<_> = reasons.collect();
                bind(
                    &mut arguments,
                    reasons.iter().map(|(reason, ..)| *reason).collect::<Vec<_>>(),
                )?;
                bind(
                    &mut arguments,
                    reasons.iter().map(|(_, kind, _)| &**kind).collect::<Vec<_>>(),
                )?;
                bind(&mut arguments, reasons.iter().map(|(.., text)| &**text).collect::<Vec<_>>())?;
            }
        }
        Ok(arguments)
    }
}

/// Parts such that no row stands twice in one: a statement sees each row as it was before it.
pub(super) fn rounds<'o>(rows: impl Iterator<Item = &'o Ownership>) -> Vec<Vec<usize>> {
    let mut seen: HashMap<(MessageId, &Address), usize> = HashMap::new();
    let mut rounds: Vec<Vec<usize>> = Vec::new();
    for (at, row) in rows.enumerate() {
        let round = seen.entry((row.id, &row.destination)).or_default();
        match rounds.get_mut(*round) {
            Some(places) => places.push(at),
            None => rounds.push(vec![at]),
        }
        *round += 1;
    }
    rounds
}

/// The keys with which rows begin.
pub(super) fn keys(rows: &[PgRow]) -> sqlx::Result<HashSet<Key>> {
    rows.iter().map(|row| Ok((rows::message_id(row, 0)?, row.try_get(1)?))).collect()
}

/// Notes which of these were done.
pub(super) fn mark(
    settled: &mut [Settled],
    places: &[usize],
    held: &[&Ownership],
    done: &HashSet<Key>,
) {
    for (at, row) in places.iter().zip(held) {
        if done.len() == places.len() || done.contains(&(row.id, row.destination.to_string())) {
            settled[*at] = Settled::Done;
        }
    }
}
