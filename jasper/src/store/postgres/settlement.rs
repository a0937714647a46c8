//! The ends and changes of ownership in the inbox, each by compare-and-set.

use sqlx::postgres::{PgArguments, PgRow};
use sqlx::{Row, SqlStr};

use super::frontier::{Frontier, RowAvailability};
use super::internal_pool::InternalPool;
use super::rows::{self, bind, bind_reasons};
use super::settle::Settle;
use super::sql::{Sql, statements};
use crate::envelope::time::to_micros;
use crate::store::sql::settlement_kind::SettlementKind;
use crate::store::{Ownership, Settlement, Subscription};

/// Of each pair one does something: a row is deleted, or kept as handled.
const HANDLED: &str = "\
with held as materialized (
    select * from unnest($1::uuid[], $2::text[], $3::bigint[], $4::bigint[])
        as held (id, destination, owner, attempts)
), deleted as (
    delete from {incoming} row using held
    where row.id = held.id and row.destination = held.destination and row.owner = held.owner
        and row.attempts = held.attempts and row.status = 'incoming' and row.retention is null
    returning row.id, row.destination
), retained as (
    update {incoming} row
    set status = 'handled', owner = 0, body = null,
        retained_until = {now} + least(row.retention, 4611686018427387903)
    from held
    where (select count(*) from deleted) < (select count(*) from held)
        and row.id = held.id and row.destination = held.destination and row.owner = held.owner
        and row.attempts = held.attempts and row.status = 'incoming' and row.retention is not null
    returning row.id, row.destination
)
select id, destination from deleted union all select id, destination from retained";

const COUNT_ATTEMPT: &str = "\
update {incoming} row set attempts = held.attempts + 1
from unnest($1::uuid[], $2::text[], $3::bigint[], $4::bigint[])
    as held (id, destination, owner, attempts)
where row.id = held.id and row.destination = held.destination and row.owner = held.owner
    and row.attempts between held.attempts and held.attempts + 1 and row.status = 'incoming'
returning row.id, row.destination";

/// Other nodes are notified only of the earliest row that is due soon. They look at that time,
/// which is `$6` in microseconds, and learn then what is due next.
const SCHEDULE: &str = "\
update {incoming} row set status = 'scheduled', owner = 0, due_at = held.due_at
from unnest($1::uuid[], $2::text[], $3::bigint[], $4::bigint[], $5::bigint[])
    as held (id, destination, owner, attempts, due_at)
where row.id = held.id and row.destination = held.destination and row.owner = held.owner
    and row.attempts = held.attempts and row.status = 'incoming'
returning row.id, row.destination, held.due_at, case
    when held.due_at < {soon}
        and (held.due_at < $6::bigint or $6::bigint < {now} + {notified_early})
        then (select true from {notify} notified)
end";

const RELEASE: &str = "\
update {incoming} row set owner = 0, attempts = greatest(0, row.attempts - held.undone)
from unnest($1::uuid[], $2::text[], $3::bigint[], $4::bigint[], $5::bigint[])
    as held (id, destination, owner, attempts, undone)
where row.id = held.id and row.destination = held.destination and row.owner = held.owner
    and least(row.attempts, 4294967295) = held.attempts and row.status = 'incoming'
returning row.id, row.destination, row.message_type, row.sent_at, {notify}";

const DEAD_LETTER: &str = "\
with moved as (
    delete from {incoming} row
    using unnest($1::uuid[], $2::text[], $3::bigint[], $4::bigint[], $5::text[], $6::text[],
        $7::text[]) as held (id, destination, owner, attempts, reason, error_type, error_message)
    where row.id = held.id and row.destination = held.destination and row.owner = held.owner
        and row.attempts = held.attempts and row.status = 'incoming'
    returning row.*, held.reason, held.error_type, held.error_message
), letters as (
    insert into {dead_letters} (id, destination, reason, message_type, error_type, error_message,
        attempts, body, dead_lettered_at, group_id, tenant_id, correlation_id, sent_at, retention)
    select id, destination, reason, message_type, error_type, error_message, attempts, body, {now},
        group_id, tenant_id, correlation_id, sent_at, retention
    from moved
    {or_replace}
)
select id, destination from moved";

statements!(SettlementSql {
    handled: HANDLED,
    count_attempt: COUNT_ATTEMPT,
    schedule: SCHEDULE,
    release: RELEASE,
    dead_letter: DEAD_LETTER,
    notify: "select {notify}",
});

impl Settle for Settlement {
    type Kind = SettlementKind;

    type Pair = Subscription;

    const KINDS: &'static [SettlementKind] = SettlementKind::ALL;

    fn kind(&self) -> SettlementKind {
        SettlementKind::of(self)
    }

    fn ownership(&self) -> &Ownership {
        self.ownership()
    }

    fn statement(kind: SettlementKind, sql: &Sql) -> &SqlStr {
        match kind {
            SettlementKind::Handled => &sql.settlement.handled,
            SettlementKind::Attempt => &sql.settlement.count_attempt,
            SettlementKind::Schedule => &sql.settlement.schedule,
            SettlementKind::Release => &sql.settlement.release,
            SettlementKind::DeadLetter => &sql.settlement.dead_letter,
        }
    }

    fn is_notified_once(kind: SettlementKind) -> bool {
        kind == SettlementKind::Schedule
    }

    fn waits(
        kind: SettlementKind,
        done: &[PgRow],
    ) -> sqlx::Result<Vec<RowAvailability<Subscription>>> {
        match kind {
            SettlementKind::Handled | SettlementKind::Attempt | SettlementKind::DeadLetter => {
                Ok(Vec::new())
            }
            SettlementKind::Schedule => {
                let rows = done.iter().map(|row| {
                    let (due_at, notified) = (row.try_get(2)?, row.try_get::<Option<bool>, _>(3)?);
                    Ok(RowAvailability::Scheduled { due_at, is_notified: notified.is_some() })
                });
                rows.collect()
            }
            SettlementKind::Release => {
                let rows = done.iter().map(|row| {
                    let (pair, sent_at) = rows::pair_and_time(row, 1)?;
                    Ok(RowAvailability::Unowned(pair, sent_at))
                });
                rows.collect()
            }
        }
    }

    fn frontier(internal: &InternalPool) -> &Frontier<Subscription> {
        &internal.frontier
    }

    fn bind(
        of_kind: &[&Self],
        kind: SettlementKind,
        announced: i64,
        arguments: &mut PgArguments,
    ) -> sqlx::Result<()> {
        let settlements = of_kind.iter();
        match kind {
            SettlementKind::Handled | SettlementKind::Attempt => Ok(()),
            SettlementKind::Schedule => {
                let due_at = settlements.map(|settlement| match settlement {
                    Self::Schedule(_, due_at) => to_micros(*due_at),
                    _ => 0,
                });
                bind(arguments, due_at.collect::<Vec<_>>())?;
                bind(arguments, announced)
            }
            SettlementKind::Release => {
                let undone = settlements.map(|settlement| match settlement {
                    Self::Release { attempt_began: false, .. } => 1_i64,
                    _ => 0,
                });
                bind(arguments, undone.collect::<Vec<_>>())
            }
            SettlementKind::DeadLetter => {
                bind_reasons(settlements.filter_map(|settlement| settlement.cause()), arguments)
            }
        }
    }
}
