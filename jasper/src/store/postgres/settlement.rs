//! The ends and changes of ownership in the inbox, each by compare-and-set.

use sqlx::SqlStr;
use sqlx::postgres::{PgArguments, PgRow};

use super::desk::Desk;
use super::rows::{self, bind, bind_reasons};
use super::sql::{Sql, statements};
use super::steps::Settle;
use crate::envelope::time::to_micros;
use crate::store::{Ownership, Settlement};

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
    set status = 'handled', owner = 0, body = null,
        keep_until = {now} + least(row.keep_for, 4611686018427387903)
    from held
    where (select count(*) from deleted) < (select count(*) from held)
        and row.id = held.id and row.destination = held.destination and row.owner = held.owner
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
    and least(row.attempts, 4294967295) = held.attempts and row.status = 'incoming'
returning row.id, row.destination, row.message_type, row.sent_at, {tell}";

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
    {or_replace}
)
select id, destination from buried";

statements!(SettlementSql {
    handled: HANDLED,
    count_attempt: COUNT_ATTEMPT,
    schedule: SCHEDULE,
    release: RELEASE,
    bury: BURY,
});

#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Handled,
    Attempt,
    Schedule,
    Release,
    Bury,
}

impl Settle for Settlement {
    type Kind = Kind;

    const KINDS: &'static [Kind] =
        &[Kind::Handled, Kind::Attempt, Kind::Schedule, Kind::Release, Kind::Bury];

    fn kind(&self) -> Kind {
        match self {
            Self::Handled(_) => Kind::Handled,
            Self::Attempt(_) => Kind::Attempt,
            Self::Schedule(..) => Kind::Schedule,
            Self::Release { .. } => Kind::Release,
            Self::Bury { .. } => Kind::Bury,
        }
    }

    fn ownership(&self) -> &Ownership {
        self.ownership()
    }

    fn statement(kind: Kind, sql: &Sql) -> &SqlStr {
        match kind {
            Kind::Handled => &sql.settlement.handled,
            Kind::Attempt => &sql.settlement.count_attempt,
            Kind::Schedule => &sql.settlement.schedule,
            Kind::Release => &sql.settlement.release,
            Kind::Bury => &sql.settlement.bury,
        }
    }

    fn note(of_kind: &[&Self], kind: Kind, done: &[PgRow], desk: &Desk) -> sqlx::Result<()> {
        match kind {
            Kind::Handled | Kind::Attempt | Kind::Bury => {}
            Kind::Schedule => {
                let due_at = of_kind.iter().filter_map(|settlement| match settlement {
                    Self::Schedule(_, due_at) => Some(to_micros(*due_at)),
                    _ => None,
                });
                due_at.for_each(|due_at| desk.frontier.scheduled(due_at));
            }
            Kind::Release => {
                let rows = done.iter().map(|row| rows::place_in_line(row, 1));
                desk.frontier.put_back(rows.collect::<sqlx::Result<Vec<_>>>()?);
            }
        }
        Ok(())
    }

    fn bind(of_kind: &[&Self], kind: Kind, arguments: &mut PgArguments) -> sqlx::Result<()> {
        let settlements = of_kind.iter();
        match kind {
            Kind::Handled | Kind::Attempt => Ok(()),
            Kind::Schedule => {
                let due_at = settlements.map(|settlement| match settlement {
                    Self::Schedule(_, due_at) => to_micros(*due_at),
                    _ => 0,
                });
                bind(arguments, due_at.collect::<Vec<_>>())
            }
            Kind::Release => {
                let undone = settlements.map(|settlement| match settlement {
                    Self::Release { ran: false, .. } => 1_i64,
                    _ => 0,
                });
                bind(arguments, undone.collect::<Vec<_>>())
            }
            Kind::Bury => {
                bind_reasons(settlements.filter_map(|settlement| settlement.burial()), arguments)
            }
        }
    }
}
