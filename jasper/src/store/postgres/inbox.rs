//! The inbox in PostgreSQL.

use std::any::Any;
use std::time::Duration;

use futures_util::future::BoxFuture;
use sqlx::postgres::{PgArguments, PgRow};
use sqlx::{Row, SqlStr};

use super::desk::Desk;
use super::rows::{self, bind};
use super::sql::statements;
use super::{PostgresStore, connection_of};
use crate::envelope::Envelope;
use crate::store::portions::PORTION;
use crate::store::{
    ClaimRequest, Claimable, Claimed, Inbox, Incoming, LookRequest, Owner, Ownership, Settled,
    Settlement, StoreError, Stored, Subscription,
};

/// Rows whose time has come wait like any other from then on. The rest steps from one subscription
/// to the next, so that many rows cost no more than few, and ends with the page ($3). What the
/// asker takes ($1, $2) is looked for by itself only where the page is not all there is. The last
/// row is when more is due.
const LOOK: &str = "\
with recursive due as (
    update {incoming} set status = 'incoming', due_at = null
    where ctid = any (array(
        select ctid from {incoming} where status = 'scheduled' and due_at <= (select {now})
        order by due_at limit 1000
        for update skip locked
    ))
    returning destination, message_type
), waiting as (
    (
        select destination, message_type, 1::bigint as place from {incoming}
        where status = 'incoming' and owner = 0 and $3::bigint > 0
            and (destination, message_type) > (coalesce($4::text, ''), coalesce($5::text, ''))
        order by destination, message_type limit 1
    )
    union all
    select next.destination, next.message_type, here.place + 1
    from waiting here cross join lateral (
        select destination, message_type from {incoming}
        where status = 'incoming' and owner = 0
            and (destination, message_type) > (here.destination, here.message_type)
        order by destination, message_type limit 1
    ) next
    where here.place < $3
), takes as (
    select * from unnest($1::text[], $2::text[]) as takes (destination, message_type)
), taken as (
    select destination, message_type from takes
    where ($4::text is not null or (select count(*) from waiting) >= $3) and exists (
        select from {incoming} row
        where row.status = 'incoming' and row.owner = 0 and row.destination = takes.destination
            and row.message_type = takes.message_type
    )
)
select destination, message_type, null::bigint as next_due, max(place) as place
from (
    select * from waiting
    union all select *, null from taken
    union all
    select *, null from due
    where ($4::text is null and (select count(*) from waiting) < $3)
        or (destination, message_type) in (select * from takes)
) claimable
group by destination, message_type
union all
select null, null, case
    when (select count(*) from due) = 1000 then 0
    else (select min(due_at) from {incoming} where status = 'scheduled' and due_at > (select {now}))
        - {now}
end, null";

/// Rows that somebody else is about to take are left to them. Those that are not among the oldest,
/// or are more than a portion, stay locked until the statement ends, and unclaimed.
const CLAIM: &str = "\
with oldest as materialized (
    select candidate.*
    from unnest($2::text[], $3::text[]) as wanted (destination, message_type)
        cross join lateral (
            select ctid as place, id, destination, sent_at, attempts, octet_length(body) as length
            from {incoming} row
            where row.status = 'incoming' and row.owner = 0
                and row.destination = wanted.destination
                and row.message_type = wanted.message_type
            order by sent_at limit $4
            for update skip locked
        ) candidate
    order by sent_at limit $4
), sized as (
    select place, sum(length) over (order by sent_at, id, destination) - length as before
    from oldest
), taken as (
    update {incoming} set owner = $1, attempts = least(greatest(attempts, 1), 4294967295)
    where ctid = any (array(select place from sized where before < $5))
    returning id, destination, attempts, body, interrupted_by
)
select taken.id, taken.destination, taken.attempts, taken.body, oldest.attempts = 0,
    taken.interrupted_by
from taken join oldest on taken.id = oldest.id and taken.destination = oldest.destination
order by oldest.sent_at, taken.id";

const RELEASE: &str = "\
with released as (
    update {incoming}
    set owner = 0, interrupted_by = right(concat(interrupted_by, ' ', owner), 200)
    where ctid = any (array(
        select ctid from {incoming} where owner = $1 and owner > 0 limit $2
        for update skip locked
    ))
    returning 1
)
select (select count(*) from released), (select 1 from {tell} told where exists (
    select from released
))";

const OWNED: &str = "\
select id, destination, attempts from {incoming} where owner = $1 and owner > 0 limit $2";

statements!(InboxSql { look: LOOK, claim: CLAIM, release: RELEASE, owned: OWNED });

impl Inbox for PostgresStore {
    fn store(&self, rows: Vec<Incoming>) -> BoxFuture<'_, Result<Vec<Stored>, StoreError>> {
        Box::pin(self.shared.incoming.submit(rows))
    }

    fn store_within<'a>(
        &'a self,
        connection: &'a mut (dyn Any + Send),
        rows: Vec<Incoming>,
    ) -> BoxFuture<'a, Result<Vec<Stored>, StoreError>> {
        Box::pin(async move {
            let stored = rows::insert(connection_of(connection)?, self.sql(), &rows).await;
            stored.map_err(|error| self.error(error))
        })
    }

    fn look(&self, request: LookRequest) -> BoxFuture<'_, Result<Claimable, StoreError>> {
        Box::pin(async move {
            let found = look(self.desk(), &request).await;
            found.map_err(|error| self.error(error))
        })
    }

    fn claim(&self, request: ClaimRequest) -> BoxFuture<'_, Result<Vec<Claimed>, StoreError>> {
        Box::pin(async move {
            let rows = claim(self.desk(), &request).await;
            rows::read(rows, self.place(), |row| claimed(row, request.owner))
        })
    }

    fn settle(
        &self,
        settlements: Vec<Settlement>,
    ) -> BoxFuture<'_, Result<Vec<Settled>, StoreError>> {
        Box::pin(self.shared.settlements.submit(settlements))
    }

    fn release(&self, owner: Owner, limit: usize) -> BoxFuture<'_, Result<u64, StoreError>> {
        Box::pin(async move {
            let query = sqlx::query(self.sql().inbox.release.clone())
                .bind(owner.number())
                .bind(rows::limit(limit));
            let released = self.desk().row(query).await;
            released
                .and_then(|row| row.try_get(0))
                .map(rows::total)
                .map_err(|error| self.error(error))
        })
    }

    fn owned(
        &self,
        owner: Owner,
        limit: usize,
    ) -> BoxFuture<'_, Result<Vec<Ownership>, StoreError>> {
        Box::pin(self.owned_by(&self.sql().inbox.owned, owner, limit))
    }
}

impl PostgresStore {
    /// At most so many rows of one table that an owner holds, by the table's statement.
    pub(super) async fn owned_by(
        &self,
        statement: &SqlStr,
        owner: Owner,
        limit: usize,
    ) -> Result<Vec<Ownership>, StoreError> {
        let query = sqlx::query(statement.clone()).bind(owner.number()).bind(rows::limit(limit));
        let rows = self.desk().rows(query).await;
        rows::read(rows, self.place(), |row| ownership(row, owner))
    }
}

async fn look(desk: &Desk, request: &LookRequest) -> sqlx::Result<Claimable> {
    let takes = request.takes.iter();
    let (page, after) = (rows::limit(request.page), request.after.as_ref());
    let mut arguments = PgArguments::default();
    bind(&mut arguments, takes.clone().map(|s| s.destination.as_str()).collect::<Vec<_>>())?;
    bind(&mut arguments, takes.map(|s| s.message_type.as_str()).collect::<Vec<_>>())?;
    bind(&mut arguments, page)?;
    bind(&mut arguments, after.map(|after| after.destination.as_str()))?;
    bind(&mut arguments, after.map(|after| after.message_type.as_str()))?;
    let rows = desk.rows(sqlx::query_with(desk.sql.inbox.look.clone(), arguments)).await?;
    claimable(&rows, page)
}

fn claimable(rows: &[PgRow], page: i64) -> sqlx::Result<Claimable> {
    let mut claimable = Claimable::default();
    for row in rows {
        match row.try_get::<Option<String>, _>(1)? {
            Some(message_type) => {
                let destination = rows::address(row, 0)?;
                let found = Subscription { destination, message_type };
                if row.try_get::<Option<i64>, _>(3)? == Some(page) {
                    claimable.rest = Some(found.clone());
                }
                claimable.now.push(found);
            }
            None => {
                let micros: Option<i64> = row.try_get(2)?;
                claimable.next_due = micros.map(|m| Duration::from_micros(rows::total(m)));
            }
        }
    }
    claimable.now.sort_unstable();
    Ok(claimable)
}

async fn claim(desk: &Desk, request: &ClaimRequest) -> sqlx::Result<Vec<PgRow>> {
    let subscriptions = request.subscriptions.iter();
    let destinations = subscriptions.clone().map(|s| s.destination.as_str());
    let types = subscriptions.map(|s| s.message_type.as_str());
    let mut arguments = PgArguments::default();
    bind(&mut arguments, request.owner.number())?;
    bind(&mut arguments, destinations.collect::<Vec<_>>())?;
    bind(&mut arguments, types.collect::<Vec<_>>())?;
    bind(&mut arguments, rows::limit(request.limit))?;
    bind(&mut arguments, rows::limit(PORTION))?;
    desk.rows(sqlx::query_with(desk.sql.inbox.claim.clone(), arguments)).await
}

fn claimed(row: &PgRow, owner: Owner) -> sqlx::Result<Claimed> {
    let ownership = ownership(row, owner)?;
    let attempts = ownership.attempts;
    Ok(Claimed {
        ownership,
        envelope: Envelope::from_bytes(&rows::bytes(row, 3)?)
            .map(|envelope| Envelope { attempts, ..envelope }),
        first_attempt: row.try_get(4)?,
        interrupted_by: Owner::from_text(row.try_get::<Option<&str>, _>(5)?.unwrap_or_default()),
    })
}

/// Of a row that begins with id, destination and attempts.
pub(super) fn ownership(row: &PgRow, owner: Owner) -> sqlx::Result<Ownership> {
    Ok(Ownership {
        id: rows::message_id(row, 0)?,
        destination: rows::address(row, 1)?,
        owner,
        attempts: rows::count(row, 2)?,
    })
}
