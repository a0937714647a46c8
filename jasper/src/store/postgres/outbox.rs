//! The outbox in PostgreSQL.

use std::collections::{HashMap, HashSet};
use std::time::Duration;

use sqlx::postgres::{PgArguments, PgRow};
use sqlx::{Row, SqlStr};

use super::frontier::{Frontier, FrontierRead, Range, RowAvailability, Scope};
use super::internal_pool::InternalPool;
use super::rows::{bind, bind_ownerships, bind_reasons};
use super::settle::Settle;
use super::sql::{Sql, statements};
use super::store::PostgresStore;
use crate::envelope::{Address, Envelope};
use crate::store::dead_letter::DeadLetterCause;
use crate::store::portions::PORTION;
use crate::store::sql::columns::{self, ClaimedOutgoing, Columns};
use crate::store::sql::number;
use crate::store::sql::ports::messages::{OutgoingClaim, SqlOutbox};
use crate::store::{OutgoingSettlement, Owner, Ownership, StoreError};

/// No row lies in two of the ranges.
const CLAIM: &str = "\
with oldest as materialized (
    select candidate.*
    from {without_flush} cross join unnest($5::bigint[], $6::bigint[]) as wanted (since, until)
        cross join lateral (
            select ctid as row_ctid, id, sent_at, octet_length(body) as length from {outgoing} row
            where row.owner = 0 and row.destination = $2
                and row.sent_at >= wanted.since and row.sent_at <= wanted.until
            order by sent_at limit $3
            for update skip locked
        ) candidate
    order by sent_at limit $3
), sized as (
    select row_ctid, sum(length) over (order by sent_at, id) - length as before from oldest
), taken as (
    update {outgoing} set owner = $1, attempts = least(attempts, 4294967295)
    where ctid = any (array(select row_ctid from sized where before < $4))
    returning id, destination, attempts, body, sent_at
)
select id, destination, attempts, body, sent_at from taken order by sent_at, id";

const DELETE: &str = "\
delete from {outgoing} row
using unnest($1::uuid[], $2::text[], $3::bigint[], $4::bigint[])
    as held (id, destination, owner, attempts)
where row.id = held.id and row.destination = held.destination and row.owner = held.owner
    and row.attempts = held.attempts
returning row.id, row.destination";

const GIVE_BACK: &str = "\
update {outgoing} row set owner = 0, attempts = row.attempts + held.failed
from unnest($1::uuid[], $2::text[], $3::bigint[], $4::bigint[], $5::bigint[])
    as held (id, destination, owner, attempts, failed)
where row.id = held.id and row.destination = held.destination and row.owner = held.owner
    and least(row.attempts, 4294967295) = held.attempts
returning row.id, row.destination, row.sent_at, {notify}";

const RELEASE: &str = "\
with released as (
    update {outgoing} set owner = 0
    where ctid = any (array(
        select ctid from {outgoing} where owner = $1 and owner > 0 limit $2
        for update skip locked
    ))
    returning 1
)
select (select count(*) from released), (select 1 from {notify} notified where exists (
    select from released
))";

const OWNED: &str = "\
select id, destination, attempts from {outgoing} where owner = $1 and owner > 0 limit $2";

/// Steps from one destination to the next, so that a long queue costs no more than a short one. The
/// last row says when it began and how long it took.
const DESTINATIONS: &str = "\
with recursive waiting as (
    (
        select destination, sent_at from {outgoing}
        where owner = 0 order by destination, sent_at limit 1
    )
    union all
    select next.destination, next.sent_at
    from waiting here cross join lateral (
        select destination, sent_at from {outgoing}
        where owner = 0 and destination > here.destination
        order by destination, sent_at limit 1
    ) next
)
select destination, sent_at, null from waiting
union all
select null, (extract(epoch from statement_timestamp()) * 1000000)::bigint,
    (extract(epoch from clock_timestamp() - statement_timestamp()) * 1000000)::bigint";

/// Looks only into these ranges.
const DESTINATIONS_IN: &str = "\
select wanted.ordinal, first.sent_at
from unnest($1::text[], $2::bigint[], $3::bigint[]) with ordinality
        as wanted (destination, since, until, ordinal)
    cross join lateral (
        select sent_at from {outgoing} row
        where row.owner = 0 and row.destination = wanted.destination
            and row.sent_at >= wanted.since and row.sent_at <= wanted.until
        order by row.sent_at limit 1
    ) first";

const DEAD_LETTER: &str = "\
with moved as (
    delete from {outgoing} row
    using unnest($1::uuid[], $2::text[], $3::bigint[], $4::bigint[], $5::text[], $6::text[],
        $7::text[]) as held (id, destination, owner, attempts, reason, error_type, error_message)
    where row.id = held.id and row.destination = held.destination and row.owner = held.owner
        and row.attempts = held.attempts
    returning row.*, held.reason, held.error_type, held.error_message
), letters as (
    insert into {dead_letters} (id, destination, reason, message_type, error_type, error_message,
        attempts, body, dead_lettered_at, group_id, tenant_id, correlation_id, sent_at)
    select id, destination, reason, message_type, error_type, error_message, attempts, body, {now},
        group_id, tenant_id, correlation_id, sent_at
    from moved
    {or_replace}
)
select id, destination from moved";

statements!(OutboxSql {
    claim: CLAIM,
    delete: DELETE,
    give_back: GIVE_BACK,
    release: RELEASE,
    owned: OWNED,
    destinations: DESTINATIONS,
    destinations_in: DESTINATIONS_IN,
    dead_letter: DEAD_LETTER,
});

impl SqlOutbox for PostgresStore {
    async fn claim(&self, request: OutgoingClaim) -> Result<Vec<Envelope>, StoreError> {
        let OutgoingClaim { owner, destination, limit } = request;
        let claimed = claim(self.internal_pool(), owner, &destination, limit).await;
        claimed.map_err(|error| self.error(error))
    }

    async fn destinations(&self) -> Result<Vec<Address>, StoreError> {
        destinations(self.internal_pool()).await.map_err(|error| self.error(error))
    }
}

async fn claim(
    internal: &InternalPool,
    owner: Owner,
    destination: &Address,
    limit: usize,
) -> sqlx::Result<Vec<Envelope>> {
    let (asking, ranges) = internal.outgoing_frontier.claim(std::slice::from_ref(destination));
    let query = sqlx::query(internal.sql.outbox.claim.clone())
        .bind(owner.number())
        .bind(destination.as_str())
        .bind(number::limit(limit))
        .bind(number::limit(PORTION))
        .bind(ranges.iter().map(|range| range.since).collect::<Vec<_>>())
        .bind(ranges.iter().map(|range| range.until).collect::<Vec<_>>());
    let rows = internal.rows(query).await?;
    let mut bytes = 0;
    for row in &rows {
        bytes += row.try_get::<Option<&[u8]>, _>(3)?.map_or(0, <[u8]>::len);
    }
    let all = rows.len() < limit && bytes < PORTION;
    let last = rows.last().map_or(Ok(i64::MIN), |row| row.number(4))?;
    asking.claimed(&ranges, rows.len(), last, all);
    let mut claimed = ClaimedOutgoing::default();
    rows.iter().try_for_each(|row| claimed.read(row, owner))?;
    write_dead_letter(internal, &claimed.unreadable).await?;
    Ok(claimed.envelopes)
}

/// Where nothing waits past what is claimed, there may be something older: that look costs no more
/// than it would where nothing was claimed.
async fn destinations(internal: &InternalPool) -> sqlx::Result<Vec<Address>> {
    let (mut asking, scope, _due_since) = internal.outgoing_frontier.look();
    if let Scope::Known(ranges) = scope {
        let found = destinations_in(internal, asking, &ranges).await?;
        if !found.is_empty() {
            return Ok(found);
        }
        asking = internal.outgoing_frontier.full_look();
    }
    let rows = internal.rows(sqlx::query(internal.sql.outbox.destinations.clone())).await?;
    let (mut firsts, mut began, mut cost) = (HashMap::new(), 0, Duration::ZERO);
    for row in &rows {
        match row.try_get(2)? {
            None => drop(firsts.insert(columns::address(row, 0)?, row.try_get(1)?)),
            Some(micros) => {
                (began, cost) = (row.try_get(1)?, Duration::from_micros(number::total(micros)));
            }
        }
    }
    asking.looked(began, cost, began, &firsts, |_destination| true);
    Ok(firsts.into_keys().collect())
}

/// Those of which rows lie in these ranges.
async fn destinations_in(
    internal: &InternalPool,
    asking: FrontierRead<'_, Address>,
    ranges: &[Range<Address>],
) -> sqlx::Result<Vec<Address>> {
    let names = ranges.iter().map(|range| range.pair.as_str());
    let query = sqlx::query(internal.sql.outbox.destinations_in.clone())
        .bind(names.collect::<Vec<_>>())
        .bind(ranges.iter().map(|range| range.since).collect::<Vec<_>>())
        .bind(ranges.iter().map(|range| range.until).collect::<Vec<_>>());
    let mut firsts = HashMap::new();
    for row in internal.rows(query).await? {
        let ordinal = usize::try_from(row.try_get::<i64, _>(0)? - 1).unwrap_or(usize::MAX);
        firsts.insert(ordinal, row.try_get(1)?);
    }
    asking.looked_at(ranges, &firsts, i64::MIN);
    let found: HashSet<&Address> =
        firsts.keys().filter_map(|ordinal| ranges.get(*ordinal)).map(|range| &range.pair).collect();
    Ok(found.into_iter().cloned().collect())
}

async fn write_dead_letter(
    internal: &InternalPool,
    unreadable: &[(Ownership, String)],
) -> sqlx::Result<()> {
    if unreadable.is_empty() {
        return Ok(());
    }
    let mut arguments = PgArguments::default();
    bind_ownerships(unreadable.iter().map(|(row, _)| row), &mut arguments)?;
    let causes = unreadable.iter().map(|(row, error)| DeadLetterCause::of_unreadable(row, error));
    bind_reasons(causes, &mut arguments)?;
    let query = sqlx::query_with(internal.sql.outbox.dead_letter.clone(), arguments);
    internal.run(query).await.map(|_done| ())
}

#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum OutgoingKind {
    Delete,
    GiveBack,
    DeadLetter,
}

impl Settle for OutgoingSettlement {
    type Kind = OutgoingKind;

    type Pair = Address;

    const KINDS: &'static [OutgoingKind] =
        &[OutgoingKind::Delete, OutgoingKind::GiveBack, OutgoingKind::DeadLetter];

    fn kind(&self) -> OutgoingKind {
        match self {
            Self::Sent(_) | Self::Discarded(_) => OutgoingKind::Delete,
            Self::Failed(_) | Self::Released(_) => OutgoingKind::GiveBack,
            Self::Refused { .. } => OutgoingKind::DeadLetter,
        }
    }

    fn ownership(&self) -> &Ownership {
        self.ownership()
    }

    fn statement(kind: OutgoingKind, sql: &Sql) -> &SqlStr {
        match kind {
            OutgoingKind::Delete => &sql.outbox.delete,
            OutgoingKind::GiveBack => &sql.outbox.give_back,
            OutgoingKind::DeadLetter => &sql.outbox.dead_letter,
        }
    }

    fn waits(kind: OutgoingKind, done: &[PgRow]) -> sqlx::Result<Vec<RowAvailability<Address>>> {
        if kind != OutgoingKind::GiveBack {
            return Ok(Vec::new());
        }
        let waits =
            |row: &PgRow| Ok(RowAvailability::Unowned(columns::address(row, 1)?, row.try_get(2)?));
        done.iter().map(waits).collect()
    }

    fn frontier(internal: &InternalPool) -> &Frontier<Address> {
        &internal.outgoing_frontier
    }

    fn bind(
        of_kind: &[&Self],
        kind: OutgoingKind,
        _announced: i64,
        arguments: &mut PgArguments,
    ) -> sqlx::Result<()> {
        let settlements = of_kind.iter();
        match kind {
            OutgoingKind::Delete => Ok(()),
            OutgoingKind::GiveBack => {
                let failed = settlements.map(|settlement| match settlement {
                    Self::Failed(_) => 1_i64,
                    _ => 0,
                });
                bind(arguments, failed.collect::<Vec<_>>())
            }
            OutgoingKind::DeadLetter => {
                bind_reasons(settlements.filter_map(|settlement| settlement.cause()), arguments)
            }
        }
    }
}
