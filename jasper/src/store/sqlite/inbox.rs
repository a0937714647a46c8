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
use crate::store::portions::PORTION;
use crate::store::{
    ClaimRequest, Claimable, Claimed, Inbox, Incoming, Owner, Ownership, Settled, Settlement,
    StoreError, Stored, Subscription,
};

/// Rows whose time has come wait like any other from then on.
const BECOME_DUE: &str = "\
update jasper_incoming set status = 'incoming', due_at = null
where seq in (
    select seq from jasper_incoming where status = 'scheduled' and due_at <= ?
    order by due_at limit 1000
)";

/// Steps from one subscription to the next, so that many rows cost no more than few.
const WAITING: &str = "\
with recursive waiting (seq) as (
    select * from (
        select seq from jasper_incoming where status = 'incoming' and owner = 0
        order by destination, message_type limit 1
    )
    union all
    select (
        select next.seq from jasper_incoming here join jasper_incoming next
        where here.seq = waiting.seq and next.status = 'incoming' and next.owner = 0
            and (next.destination, next.message_type) > (here.destination, here.message_type)
        order by next.destination, next.message_type limit 1
    )
    from waiting where waiting.seq is not null
)
select destination, message_type from waiting join jasper_incoming using (seq)";

/// A text that is not UTF-8 stands there only if something else than this store wrote it.
const REPAIR: &str = "\
update or ignore jasper_incoming set destination = ?, message_type = ?
where status = 'incoming' and owner = 0 and destination = cast(? as text)
    and message_type = cast(? as text)";

const NEXT_DUE: &str = "select min(due_at) from jasper_incoming where status = 'scheduled'";

/// The oldest of one subscription.
const CLAIMABLE: &str = "\
select * from (
    select seq, sent_at from jasper_incoming
    where status = 'incoming' and owner = 0 and destination = ? and message_type = ?
    order by sent_at limit ?
)";

const TAKE: &str = "\
update jasper_incoming
set status = 'incoming', owner = ?, due_at = null, attempts = min(max(attempts, 1), 4294967295)
where seq in (select value from json_each(?))";

const RELEASE: &str = "\
update jasper_incoming set owner = 0
where seq in (
    select seq from jasper_incoming where owner = ? and owner > 0
        and not exists (select 1 from jasper_nodes where node = owner and lease_until > 0)
    limit ?
)";

const OWNED: &str = "\
select id, destination, attempts from jasper_incoming where owner = ? and owner > 0 limit ?";

/// What is to find its rows through an index, beside the claim.
#[cfg(test)]
pub(super) const STATEMENTS: &[&str] = &[BECOME_DUE, WAITING, NEXT_DUE, TAKE, RELEASE, OWNED];

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

    fn look(&self) -> BoxFuture<'_, Result<Claimable, StoreError>> {
        Box::pin(async move {
            let mut seen = self.seen().await.map_err(|error| self.error(error))?;
            if !seen.spoiled.is_empty() {
                self.writer().write(Repair { sql: REPAIR, rows: seen.spoiled }).await?;
                seen = self.seen().await.map_err(|error| self.error(error))?;
            }
            let mut seen = seen.claimable;
            if seen.next_due == Some(Duration::ZERO) {
                self.writer().write(BecomeDue).await?;
                seen = self.seen().await.map_err(|error| self.error(error))?.claimable;
            }
            Ok(seen)
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

    fn owned(
        &self,
        owner: Owner,
        limit: usize,
    ) -> BoxFuture<'_, Result<Vec<Ownership>, StoreError>> {
        Box::pin(self.owned_by(OWNED, owner, limit))
    }
}

impl SqliteStore {
    /// At most so many rows of one table that an owner holds, by the table's statement.
    pub(super) async fn owned_by(
        &self,
        sql: &'static str,
        owner: Owner,
        limit: usize,
    ) -> Result<Vec<Ownership>, StoreError> {
        let query = sqlx::query(sql).bind(owner.number()).bind(rows::limit(limit));
        let rows = query.fetch_all(self.pool()).await;
        rows.and_then(|rows| rows.iter().map(|row| ownership(row, owner)).collect())
            .map_err(|error| self.error(error))
    }

    /// What is claimable without anything becoming due.
    async fn seen(&self) -> sqlx::Result<Seen> {
        let mut connection = self.pool().acquire().await?;
        let rows = sqlx::query(WAITING).fetch_all(&mut *connection).await?;
        let subscription = |row: &SqliteRow| -> sqlx::Result<Subscription> {
            Ok(Subscription {
                destination: rows::address(row, 0)?,
                message_type: rows::text(row, 1)?,
            })
        };
        let mut waiting: Vec<_> = rows.iter().map(subscription).collect::<sqlx::Result<_>>()?;
        waiting.sort_unstable();
        let due: Option<i64> = sqlx::query_scalar(NEXT_DUE).fetch_one(&mut *connection).await?;
        let wait = |due| from_micros(due).duration_since(now()).unwrap_or_default();
        let claimable = Claimable { now: waiting, next_due: due.map(wait) };
        Ok(Seen { claimable, spoiled: spoiled(&rows, 2)? })
    }
}

/// What a look finds.
struct Seen {
    claimable: Claimable,
    /// Destinations and types that are not UTF-8, so that no claim can name them.
    spoiled: Vec<Vec<Vec<u8>>>,
}

/// The rows in which one of the first `texts` columns is not UTF-8.
pub(super) fn spoiled(rows: &[SqliteRow], texts: usize) -> sqlx::Result<Vec<Vec<Vec<u8>>>> {
    let mut spoiled = Vec::new();
    for row in rows {
        let all = (0..texts).map(|column| rows::raw_text(row, column));
        let all = all.collect::<sqlx::Result<Vec<_>>>()?;
        if all.iter().any(|text| std::str::from_utf8(text).is_err()) {
            spoiled.push(all);
        }
    }
    Ok(spoiled)
}

/// Replaces in these texts what is not UTF-8; the body of the row has the original.
pub(super) struct Repair {
    pub(super) sql: &'static str,
    pub(super) rows: Vec<Vec<Vec<u8>>>,
}

impl Write for Repair {
    type Output = ();

    async fn run(&self, connection: &mut SqliteConnection) -> sqlx::Result<()> {
        for texts in &self.rows {
            let mut batch = Batch::of(self.sql);
            for text in texts {
                batch.bind(String::from_utf8_lossy(text).into_owned())?;
            }
            for text in texts {
                batch.bind(text.clone())?;
            }
            batch.run(connection).await?;
        }
        Ok(())
    }
}

struct BecomeDue;

impl Write for BecomeDue {
    type Output = u64;

    fn is_one_statement(&self) -> bool {
        true
    }

    async fn run(&self, connection: &mut SqliteConnection) -> sqlx::Result<u64> {
        let mut batch = Batch::of(BECOME_DUE);
        batch.bind(to_micros(now()))?;
        batch.changes(connection).await
    }
}

/// Of a row that begins with id, destination and attempts.
pub(super) fn ownership(row: &SqliteRow, owner: Owner) -> sqlx::Result<Ownership> {
    Ok(Ownership {
        id: rows::message_id(row, 0)?,
        destination: rows::address(row, 1)?,
        owner,
        attempts: rows::count(row, 2)?,
    })
}

struct Claim(ClaimRequest);

/// The query of a claim with so many subscriptions, at least one.
pub(super) fn claim_sql(subscriptions: usize) -> String {
    let each = vec![CLAIMABLE; subscriptions].join(" union all ");
    format!(
        "with claimable (seq, sent_at) as ({each}), oldest (seq, sent_at, bytes) as materialized (
            select seq, first.sent_at, length(body)
            from (select * from claimable order by sent_at, seq limit ?) first
                join jasper_incoming using (seq)
        ), sized (seq, sent_at, before) as (
            select seq, sent_at, sum(bytes) over (order by sent_at, seq) - bytes from oldest
        )
        select row.seq, row.id, row.destination, row.attempts, row.body
        from sized join jasper_incoming row using (seq)
        where sized.before < {PORTION}
        order by sized.sent_at, sized.seq"
    )
}

impl Claim {
    fn query(&self) -> sqlx::Result<Batch> {
        let Self(request) = self;
        let mut batch = Batch::default();
        batch.push(claim_sql(request.subscriptions.len()));
        let limit = rows::limit(request.limit);
        for subscription in &request.subscriptions {
            batch.bind(subscription.destination.as_str())?;
            batch.bind(subscription.message_type.as_str())?;
            batch.bind(limit)?;
        }
        batch.bind(limit)?;
        Ok(batch)
    }
}

impl Write for Claim {
    type Output = Vec<Claimed>;

    async fn run(&self, connection: &mut SqliteConnection) -> sqlx::Result<Vec<Claimed>> {
        let mut claimed = Vec::new();
        if self.0.subscriptions.is_empty() {
            return Ok(claimed);
        }
        let ran = self.query()?.run(connection).await?;
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
