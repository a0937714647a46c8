//! The inbox in PostgreSQL.

use sqlx::Row;
use sqlx::postgres::{PgArguments, PgRow};

use super::claimable::{self, destinations, types};
use super::internal_pool::InternalPool;
use super::rows::bind;
use super::sql::statements;
use super::store::PostgresStore;
use crate::store::portions::PORTION;
use crate::store::sql::columns::{self, Columns};
use crate::store::sql::number;
use crate::store::sql::ports::messages::SqlInbox;
use crate::store::{ClaimRequest, Claimable, ClaimableRequest, Claimed, Owner, StoreError};

/// Rows that another claim is about to take are left to it. Those that are not among the oldest,
/// or are more than a portion, stay locked until the statement ends, and unclaimed. No row lies in
/// two of the ranges.
const CLAIM: &str = "\
with oldest as materialized (
    select candidate.*
    from {without_flush}
        cross join unnest($2::text[], $3::text[], $5::bigint[], $6::bigint[])
            as wanted (destination, message_type, since, until)
        cross join lateral (
            select ctid as row_ctid, id, destination, sent_at, attempts,
                octet_length(body) as length
            from {incoming} row
            where row.status = 'incoming' and row.owner = 0
                and row.destination = wanted.destination
                and row.message_type = wanted.message_type
                and row.sent_at >= wanted.since and row.sent_at <= wanted.until
            order by sent_at limit $4
            for update skip locked
        ) candidate
    order by sent_at limit $4
), sized as (
    select row_ctid, sum(length) over (order by sent_at, id, destination) - length as before
    from oldest
), taken as (
    update {incoming} set owner = $1, attempts = least(greatest(attempts, $8), 4294967295)
    where ctid = any (array(select row_ctid from sized where before < $7))
    returning id, destination, attempts, body, interrupted_by
)
select taken.id, taken.destination, taken.attempts, taken.body, oldest.attempts < $8,
    taken.interrupted_by, oldest.sent_at
from taken join oldest on taken.id = oldest.id and taken.destination = oldest.destination
order by oldest.sent_at, taken.id";

const RELEASE: &str = "\
with released as (
    update {incoming}
    set owner = 0, interrupted_by = case
        when position(concat(' ', attempts, ':') in interrupted_by) > 0 then interrupted_by
        else right(concat(interrupted_by, ' ', attempts, ':', owner), 200)
    end
    where ctid = any (array(
        select ctid from {incoming} where owner = $1 and owner > 0 limit $2
        for update skip locked
    ))
    returning 1
)
select (select count(*) from released), (select 1 from {notify} notified where exists (
    select from released
))";

const OWNED: &str = "\
select id, destination, attempts from {incoming} where owner = $1 and owner > 0 limit $2";

statements!(InboxSql { claim: CLAIM, release: RELEASE, owned: OWNED });

impl SqlInbox for PostgresStore {
    async fn claimable(&self, request: ClaimableRequest) -> Result<Claimable, StoreError> {
        let found = claimable::find(self.internal_pool(), &request).await;
        found.map_err(|error| self.error(error))
    }

    async fn claim(&self, request: ClaimRequest) -> Result<Vec<Claimed>, StoreError> {
        let rows = claim(self.internal_pool(), &request).await;
        let claimed = rows.and_then(|rows| columns::all(&rows, |row| claimed(row, request.owner)));
        claimed.map_err(|error| self.error(error))
    }
}

async fn claim(internal: &InternalPool, request: &ClaimRequest) -> sqlx::Result<Vec<PgRow>> {
    let (asking, ranges) = internal.frontier.claim(&request.subscriptions);
    let mut arguments = PgArguments::default();
    bind(&mut arguments, request.owner.number())?;
    bind(&mut arguments, destinations(&ranges))?;
    bind(&mut arguments, types(&ranges))?;
    bind(&mut arguments, number::limit(request.limit))?;
    bind(&mut arguments, ranges.iter().map(|range| range.since).collect::<Vec<_>>())?;
    bind(&mut arguments, ranges.iter().map(|range| range.until).collect::<Vec<_>>())?;
    bind(&mut arguments, number::limit(PORTION))?;
    bind(&mut arguments, i64::from(request.count_attempt))?;
    let rows = internal.rows(sqlx::query_with(internal.sql.inbox.claim.clone(), arguments)).await?;
    let mut bytes = 0;
    for row in &rows {
        bytes += row.try_get::<Option<&[u8]>, _>(3)?.map_or(0, <[u8]>::len);
    }
    let all = rows.len() < request.limit && bytes < PORTION;
    let last = rows.last().map_or(Ok(i64::MIN), |row| row.number(6))?;
    asking.claimed(&ranges, rows.len(), last, all);
    Ok(rows)
}

fn claimed(row: &PgRow, owner: Owner) -> sqlx::Result<Claimed> {
    let interrupted = row.try_get::<Option<&str>, _>(5)?.unwrap_or_default();
    columns::claimed(row, owner, row.try_get(4)?, interrupted)
}
