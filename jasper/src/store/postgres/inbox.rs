//! The inbox in PostgreSQL.

use std::any::Any;
use std::time::Duration;

use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use sqlx::Row;
use sqlx::postgres::{PgArguments, PgRow};

use super::desk::Desk;
use super::rows::{self, bind};
use super::sql::statements;
use super::{PostgresStore, SHARED_ROWS, connection_of};
use crate::envelope::Envelope;
use crate::store::coalescer::Coalescer;
use crate::store::{
    ClaimRequest, Claimed, Inbox, Incoming, Owner, Ownership, Settled, Settlement, StoreError,
    Stored,
};

/// Rows that somebody else is about to take are left to them. Those of the two halves that are not
/// among the oldest stay locked until the statement ends, and unclaimed.
const CLAIM: &str = "\
with unowned as materialized (
    select ctid as place, id, destination, sent_at, attempts from {incoming}
    where status = 'incoming' and owner = 0
        and ((destination, message_type) in (select * from unnest($2::text[], $3::text[]))) <> $4
    order by sent_at limit $5
    for update skip locked
), due as materialized (
    select ctid as place, id, destination, sent_at, attempts from {incoming}
    where status = 'scheduled' and due_at <= {now}
        and ((destination, message_type) in (select * from unnest($2::text[], $3::text[]))) <> $4
    order by due_at limit $5
    for update skip locked
), oldest as materialized (
    select * from (select * from unowned union all select * from due) claimable
    order by sent_at limit $5
), taken as (
    update {incoming} set
        status = 'incoming', owner = $1, due_at = null, attempts = greatest(attempts, 1)
    where ctid = any (array(select place from oldest))
    returning id, destination, attempts, body
)
select taken.id, taken.destination, taken.attempts, taken.body, oldest.attempts = 0
from taken join oldest on taken.id = oldest.id and taken.destination = oldest.destination
order by oldest.sent_at, taken.id";

const RELEASE: &str = "\
with released as (
    update {incoming} set owner = 0
    where ctid = any (array(
        select ctid from {incoming} where owner = $1 and owner > 0 limit $2
        for update skip locked
    ))
    returning 1
)
select (select count(*) from released), (select 1 from {tell} told where exists (
    select from released
))";

const NEXT_CLAIMABLE: &str = "\
select case
    when exists (select from {incoming} where status = 'incoming' and owner = 0) then 0
    else (select min(due_at) - {now} from {incoming} where status = 'scheduled')
end";

const OWNED: &str = "\
select id, destination, attempts from {incoming} where owner = $1 and owner > 0 limit $2";

statements!(InboxSql {
    claim: CLAIM,
    release: RELEASE,
    next_claimable: NEXT_CLAIMABLE,
    owned: OWNED,
});

/// What stores the rows of all callers.
pub(super) fn coalescer(desk: &Desk) -> Coalescer<Incoming, Stored> {
    let desk = desk.clone();
    Coalescer::new(SHARED_ROWS, 1, move |rows: Vec<Incoming>| {
        let desk = desk.clone();
        async move {
            let stored = rows::insert(&desk.pool, &desk.sql, &rows).await;
            stored.map_err(|error| desk.error(error))
        }
        .boxed()
    })
}

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
            let query = sqlx::query_scalar(self.sql().inbox.release.clone())
                .bind(owner.number())
                .bind(rows::limit(limit));
            let released = query.fetch_one(&self.desk().pool).await;
            released.map(rows::total).map_err(|error| self.error(error))
        })
    }

    fn next_claimable(&self) -> BoxFuture<'_, Result<Option<Duration>, StoreError>> {
        Box::pin(async move {
            let query = sqlx::query_scalar(self.sql().inbox.next_claimable.clone());
            let wait: sqlx::Result<Option<i64>> = query.fetch_one(&self.desk().pool).await;
            let wait = wait.map_err(|error| self.error(error))?;
            Ok(wait.map(|micros| Duration::from_micros(rows::total(micros))))
        })
    }

    fn owned(
        &self,
        owner: Owner,
        limit: usize,
    ) -> BoxFuture<'_, Result<Vec<Ownership>, StoreError>> {
        Box::pin(async move {
            let query = sqlx::query(self.sql().inbox.owned.clone())
                .bind(owner.number())
                .bind(rows::limit(limit));
            let rows = query.fetch_all(&self.desk().pool).await;
            rows::read(rows, self.place(), |row| ownership(row, owner))
        })
    }
}

async fn claim(desk: &Desk, request: &ClaimRequest) -> sqlx::Result<Vec<PgRow>> {
    let subscriptions = request.subscriptions.iter();
    let destinations = subscriptions.clone().map(|s| s.destination.as_str());
    let types = subscriptions.map(|s| s.message_type.as_str());
    let mut arguments = PgArguments::default();
    bind(&mut arguments, request.owner.number())?;
    bind(&mut arguments, destinations.collect::<Vec<_>>())?;
    bind(&mut arguments, types.collect::<Vec<_>>())?;
    bind(&mut arguments, request.except)?;
    bind(&mut arguments, rows::limit(request.limit))?;
    sqlx::query_with(desk.sql.inbox.claim.clone(), arguments).fetch_all(&desk.pool).await
}

fn claimed(row: &PgRow, owner: Owner) -> sqlx::Result<Claimed> {
    let ownership = ownership(row, owner)?;
    let attempts = ownership.attempts;
    Ok(Claimed {
        ownership,
        envelope: Envelope::from_bytes(&rows::bytes(row, 3)?)
            .map(|envelope| Envelope { attempts, ..envelope }),
        first_attempt: row.try_get(4)?,
    })
}

/// Of a row that begins with id, destination and attempts.
fn ownership(row: &PgRow, owner: Owner) -> sqlx::Result<Ownership> {
    Ok(Ownership {
        id: rows::message_id(row, 0)?,
        destination: rows::address(row, 1)?,
        owner,
        attempts: rows::count(row, 2)?,
    })
}
