//! The inbox in SQLite.

use std::any::Any;
use std::time::Duration;

use futures_util::future::BoxFuture;
use sqlx::sqlite::SqliteRow;
use sqlx::{Row, SqliteConnection};

use super::batch::Batch;
use super::release::Release;
use super::rows;
use super::writer::Write;
use super::{SqliteStore, connection_of};
use crate::envelope::Envelope;
use crate::envelope::time::{from_micros, now, to_micros};
use crate::store::{
    ClaimRequest, Claimed, Inbox, Incoming, Owner, Ownership, Settled, Settlement, StoreError,
    Stored,
};

/// Up to the list of subscriptions, which stands in both halves.
const CLAIMABLE_UNOWNED: &str = "\
with claimable (seq) as (
    select * from (
        select seq from jasper_incoming
        where status = 'incoming' and owner = 0 and ((destination, message_type) in (";
const CLAIMABLE_DUE: &str = ")) <> ?
        order by sent_at limit ?
    ) union all select * from (
        select seq from jasper_incoming
        where status = 'scheduled' and due_at <= ?
            and ((destination, message_type) in (";
const CLAIMABLE_OLDEST: &str = ")) <> ?
        order by due_at limit ?
    )
)
select seq, id, destination, attempts, body from claimable join jasper_incoming using (seq)
order by sent_at, seq limit ?";

const TAKE: &str = "\
update jasper_incoming
set status = 'incoming', owner = ?, due_at = null, attempts = max(attempts, 1)
where seq in (select value from json_each(?))";

const RELEASE: &str = "\
update jasper_incoming set owner = 0
where seq in (select seq from jasper_incoming where owner = ? and owner > 0 limit ?)";

const NEXT_CLAIMABLE: &str = "\
select min(since) from (
    select 0 as since
    where exists (select 1 from jasper_incoming where status = 'incoming' and owner = 0)
    union all
    select min(due_at) from jasper_incoming where status = 'scheduled'
)";

const OWNED: &str = "\
select id, destination, attempts from jasper_incoming where owner = ? and owner > 0 limit ?";

/// What is to find its rows through an index, beside the claim.
#[cfg(test)]
pub(super) const STATEMENTS: &[&str] = &[TAKE, RELEASE, NEXT_CLAIMABLE, OWNED];

impl Inbox for SqliteStore {
    fn store(&self, rows: Vec<Incoming>) -> BoxFuture<'_, Result<Vec<Stored>, StoreError>> {
        Box::pin(self.writer().share(rows))
    }

    fn store_within<'a>(
        &'a self,
        connection: &'a mut (dyn Any + Send),
        rows: Vec<Incoming>,
    ) -> BoxFuture<'a, Result<Vec<Stored>, StoreError>> {
        Box::pin(async move {
            let stored = rows::insert(connection_of(connection)?, &rows).await;
            stored.map_err(|error| self.error(error))
        })
    }

    fn claim(&self, request: ClaimRequest) -> BoxFuture<'_, Result<Vec<Claimed>, StoreError>> {
        Box::pin(self.writer().write(Claim(request)))
    }

    fn settle(
        &self,
        settlements: Vec<Settlement>,
    ) -> BoxFuture<'_, Result<Vec<Settled>, StoreError>> {
        Box::pin(self.writer().share(settlements))
    }

    fn release(&self, owner: Owner, limit: usize) -> BoxFuture<'_, Result<u64, StoreError>> {
        Box::pin(self.writer().write(Release { sql: RELEASE, owner, limit }))
    }

    fn next_claimable(&self) -> BoxFuture<'_, Result<Option<Duration>, StoreError>> {
        Box::pin(async move {
            let due: Result<Option<i64>, _> =
                sqlx::query_scalar(NEXT_CLAIMABLE).fetch_one(self.pool()).await;
            let wait = |due| from_micros(due).duration_since(now()).unwrap_or_default();
            due.map(|due| due.map(wait)).map_err(|error| self.error(error))
        })
    }

    fn owned(
        &self,
        owner: Owner,
        limit: usize,
    ) -> BoxFuture<'_, Result<Vec<Ownership>, StoreError>> {
        Box::pin(async move {
            let query = sqlx::query(OWNED).bind(owner.number()).bind(rows::limit(limit));
            let rows = query.fetch_all(self.pool()).await;
            rows.and_then(|rows| rows.iter().map(|row| ownership(row, owner)).collect())
                .map_err(|error| self.error(error))
        })
    }
}

fn ownership(row: &SqliteRow, owner: Owner) -> sqlx::Result<Ownership> {
    Ok(Ownership {
        id: rows::message_id(row, 0)?,
        destination: rows::address(row, 1)?,
        owner,
        attempts: rows::count(row, 2)?,
    })
}

struct Claim(ClaimRequest);

/// The query of a claim with so many subscriptions.
pub(super) fn claim_sql(subscriptions: usize) -> String {
    let places = match subscriptions {
        // An empty list of pairs does not parse.
        0 => "select null, null where false".to_owned(),
        some => format!("values {}", vec!["(?, ?)"; some].join(", ")),
    };
    let parts = [CLAIMABLE_UNOWNED, &places, CLAIMABLE_DUE, &places, CLAIMABLE_OLDEST];
    parts.concat()
}

impl Claim {
    fn query(&self) -> sqlx::Result<Batch> {
        let Self(request) = self;
        let mut batch = Batch::default();
        batch.push(claim_sql(request.subscriptions.len()));
        self.bind_subscriptions(&mut batch)?;
        batch.bind(to_micros(now()))?;
        self.bind_subscriptions(&mut batch)?;
        batch.bind(rows::limit(request.limit))?;
        Ok(batch)
    }

    fn bind_subscriptions(&self, batch: &mut Batch) -> sqlx::Result<()> {
        for subscription in &self.0.subscriptions {
            batch.bind(subscription.destination.as_str())?;
            batch.bind(subscription.message_type.as_str())?;
        }
        batch.bind(self.0.except)?;
        batch.bind(rows::limit(self.0.limit))
    }
}

impl Write for Claim {
    type Output = Vec<Claimed>;

    async fn run(self, connection: &mut SqliteConnection) -> sqlx::Result<Vec<Claimed>> {
        let ran = self.query()?.run(connection).await?;
        let mut claimed = Vec::new();
        let mut numbers = Vec::new();
        for row in ran.iter().flat_map(|ran| &ran.rows) {
            numbers.push(row.try_get::<i64, _>(0)?);
            let before = rows::count(row, 3)?;
            let attempts = before.max(1);
            claimed.push(Claimed {
                ownership: Ownership {
                    id: rows::message_id(row, 1)?,
                    destination: rows::address(row, 2)?,
                    owner: self.0.owner,
                    attempts,
                },
                envelope: Envelope::from_bytes(&rows::bytes(row, 4)?)
                    .map(|envelope| Envelope { attempts, ..envelope }),
                first_attempt: before == 0,
            });
        }
        if !numbers.is_empty() {
            let mut take = Batch::of(TAKE);
            take.bind(self.0.owner.number())?;
            take.bind(rows::row_numbers(numbers.into_iter()))?;
            take.run(connection).await?;
        }
        Ok(claimed)
    }
}
