//! The inbox in SQL Server.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

use tiberius::{Row, ToSql};

use super::connection::SqlServerConnection;
use super::error::Result;
use super::internal_pool::Work;
use super::parameters::{SubscriptionParameter, json};
use super::sql::{Sql, statements};
use super::statement_size::StatementSize;
use super::store::SqlServerStore;
use super::tables::Sweep;
use crate::store::portions::PORTION;
use crate::store::sql::columns::{self, Columns};
use crate::store::sql::number;
use crate::store::sql::ports::messages::SqlInbox;
use crate::store::{
    ClaimRequest, Claimable, ClaimableRequest, Claimed, NextPage, StoreError, Subscription,
};

/// A page of what waits after `@P1` and `@P2`, then those of `@P4` that wait, then when more is
/// due. Each subscription is one step to the next entry of the index, so that many rows cost no
/// more than few.
const WAITING: &str = "\
declare @found table (
    destination nvarchar(255) {bytes} not null, message_type nvarchar(255) {bytes} not null
);
declare @at nvarchar(255) = @P1, @as nvarchar(255) = @P2, @left bigint = @P3;
declare @next_at nvarchar(255), @next_as nvarchar(255);
while @left > 0
begin
    set @next_as = null;
    select top (1) @next_at = destination, @next_as = message_type
    from {incoming} with (readcommittedlock, readpast)
    where owner = 0 and status = 'incoming' and destination = @at and message_type > @as
    order by message_type;
    if @next_as is null
        select top (1) @next_at = destination, @next_as = message_type
        from {incoming} with (readcommittedlock, readpast)
        where owner = 0 and status = 'incoming' and destination > @at
        order by destination, message_type;
    if @next_as is null break;
    select @at = @next_at, @as = @next_as, @left = @left - 1;
    insert into @found (destination, message_type) values (@at, @as);
end;
select destination, message_type from @found;
select taken.destination, taken.message_type
from openjson(@P4) with (destination nvarchar(255), message_type nvarchar(255)) taken
where exists (
    select 1 from {incoming} row with (readcommittedlock, readpast)
    where row.owner = 0 and row.status = 'incoming' and row.destination = taken.destination {bytes}
        and row.message_type = taken.message_type {bytes}
);
select case when min(due_at) > {now} then min(due_at) - {now} else 0 * min(due_at) end
from {incoming} with (readcommittedlock, readpast) where owner = 0 and status = 'scheduled'";

/// Rows whose time has come wait like any other from then on.
const BECOME_DUE: &str = "\
update {incoming} with (rowlock) set status = 'incoming', due_at = null
from (
    select top (@P1) id, destination from {incoming} with (updlock, readpast, rowlock)
    where owner = 0 and status = 'scheduled' and due_at <= {now}
    order by due_at
) due
where jasper_incoming.id = due.id and jasper_incoming.destination = due.destination
    and jasper_incoming.owner = 0 and jasper_incoming.status = 'scheduled'
{by_key}";

// The oldest of each subscription, and of those the oldest of all, as long as those before have
// less than a portion. Rows that another claim is about to take are left to it; where a server does
// not leave them, the owner is compared again, and `CLAIMABLE` finds out what is left.
const CLAIM: &str = "\
update {incoming} with (rowlock) set owner = @P1, attempts = case
    when jasper_incoming.attempts < @P2 then @P2
    when jasper_incoming.attempts > 4294967295 then 4294967295
    else jasper_incoming.attempts end
output inserted.id, inserted.destination, oldest.attempts, inserted.body,
    inserted.interrupted_by, inserted.sent_at
from (
    select top (@P4) found.id, found.destination, found.attempts, sum(found.bytes) over (
        order by found.sent_at, found.id, found.destination rows unbounded preceding
    ) - found.bytes as bytes_before
    from openjson(@P3) with (destination nvarchar(255), message_type nvarchar(255)) taken
    cross apply (
        select top (@P4) id, destination, attempts, sent_at,
            cast(datalength(body) as bigint) as bytes
        from {incoming} with (updlock, readpast, rowlock)
        where owner = 0 and status = 'incoming' and destination = taken.destination {bytes}
            and message_type = taken.message_type {bytes}
        order by sent_at
    ) found
    order by found.sent_at, found.id, found.destination
) oldest
where oldest.bytes_before < {portion}
    and jasper_incoming.id = oldest.id and jasper_incoming.destination = oldest.destination
    and jasper_incoming.owner = 0 and jasper_incoming.status = 'incoming'
{by_key}";

const CLAIMABLE: &str = "\
select top (1) 1
from openjson(@P1) with (destination nvarchar(255), message_type nvarchar(255)) taken
join {incoming} row with (readcommittedlock, readpast)
    on row.destination = taken.destination {bytes} and row.message_type = taken.message_type {bytes}
where row.owner = 0 and row.status = 'incoming'
{by_key}";

/// The owner is noted for the attempt, unless another is.
const RELEASE: &str = "\
update {incoming} with (rowlock) set owner = 0, interrupted_by = case
    when charindex(concat(' ', attempts, ':'), interrupted_by) > 0 then interrupted_by
    else right(concat(interrupted_by, ' ', attempts, ':', owner), 200) end
from (
    select top (@P1) id as held_id, destination as held_at
    from {incoming} with (updlock, readpast, rowlock)
    where owner > 0 and owner = @P2 and status = 'incoming'
) held
where jasper_incoming.id = held.held_id and jasper_incoming.destination = held.held_at
    and jasper_incoming.owner = @P2 and jasper_incoming.status = 'incoming'
{by_key}";

const OWNED: &str = "\
select top (@P1) id, destination, attempts from {incoming} with (readcommittedlock, readpast)
where owner > 0 and owner = @P2 and status = 'incoming'";

statements!(InboxSql {
    waiting: WAITING,
    become_due: BECOME_DUE,
    claim: CLAIM,
    claimable: CLAIMABLE,
    release: RELEASE,
    owned: OWNED,
});

/// The most rows that become due in one look.
const DUE_AT_ONCE: usize = 1000;

impl SqlInbox for SqlServerStore {
    async fn claimable(&self, request: ClaimableRequest) -> Result<Claimable, StoreError> {
        let seen = self.internal_pool().give(FindClaimable(request.clone())).await?;
        if seen.next_due != Some(Duration::ZERO) {
            return Ok(seen);
        }
        let statement = self.sql().inbox.become_due.clone();
        self.internal_pool().give(Sweep { statement, owner: None, limit: DUE_AT_ONCE }).await?;
        self.internal_pool().give(FindClaimable(request)).await
    }

    async fn claim(&self, request: ClaimRequest) -> Result<Vec<Claimed>, StoreError> {
        if request.subscriptions.is_empty() || request.limit == 0 {
            return Ok(Vec::new());
        }
        let size = Arc::clone(&self.shared.claims.incoming);
        self.internal_pool().give(Claim { request, size }).await
    }
}

/// What is claimable without anything becoming due.
struct FindClaimable(ClaimableRequest);

impl Work for FindClaimable {
    type Output = Claimable;
    const REPEATS: bool = true;

    async fn run(&self, connection: &mut SqlServerConnection, sql: &Sql) -> Result<Claimable> {
        let ClaimableRequest { takes, page, after } = &self.0;
        let (at, after_type) = match after {
            Some(after) => (after.destination.as_str(), after.message_type.as_str()),
            None => ("", ""),
        };
        let limit = number::limit(*page);
        let takes = subscriptions(takes);
        let results =
            connection.results(&sql.inbox.waiting, &[&at, &after_type, &limit, &takes]).await?;
        let mut results = results.into_iter();
        let mut result = || results.next().unwrap_or_default();
        let (found, taken, due) = (result(), result(), result());
        let mut now = columns::all(&found, |row| columns::subscription(row, 0))?;
        let is_full = now.len() == *page;
        let next_page: Option<Subscription> = now.last().filter(|_| is_full).cloned();
        now.extend(columns::all(&taken, |row| columns::subscription(row, 0))?);
        now.sort_unstable();
        now.dedup();
        let next_due = due.first().map(|row| columns::span(row, 0)).transpose()?.flatten();
        Ok(Claimable { now, next_page: NextPage::from(next_page), next_due })
    }
}

/// As a parameter, each once.
pub(super) fn subscriptions(all: &[Subscription]) -> String {
    let once: HashSet<_> = all.iter().map(SubscriptionParameter::of).collect();
    json(&once.into_iter().collect::<Vec<_>>())
}

struct Claim {
    request: ClaimRequest,
    size: Arc<StatementSize>,
}

impl Work for Claim {
    type Output = Vec<Claimed>;

    async fn run(&self, connection: &mut SqlServerConnection, sql: &Sql) -> Result<Vec<Claimed>> {
        let Self { request, size } = self;
        let (owner, counted) = (request.owner.number(), i64::from(request.count_attempt));
        let takes = subscriptions(&request.subscriptions);
        let claiming = Claiming {
            claim: Asked { statement: &sql.inbox.claim, parameters: &[&owner, &counted, &takes] },
            claimable: Asked { statement: &sql.inbox.claimable, parameters: &[&takes] },
            size,
        };
        let mut rows = claiming.rows(connection, request.limit).await?;
        in_order(&mut rows, 5)?;
        let claimed = |row: &Row| {
            let is_first = request.count_attempt && columns::count(row, 2)? == 0;
            let interrupted = row.try_get(4)?.unwrap_or_default();
            columns::claimed(row, request.owner, is_first, interrupted)
        };
        columns::all(&rows, claimed)
    }
}

/// A statement and its parameters.
#[derive(Clone, Copy)]
pub(super) struct Asked<'s> {
    pub(super) statement: &'s str,
    pub(super) parameters: &'s [&'s dyn ToSql],
}

/// How often a claim is tried that finds that another one was first with all of its rows.
const TRIES: usize = 10;

/// The column in which a claim gives the body of a row.
const BODY: usize = 3;

/// What claims rows of a table.
pub(super) struct Claiming<'s> {
    /// Its last parameter is how many rows it takes, after these.
    pub(super) claim: Asked<'s>,
    /// Whether something is left for it.
    pub(super) claimable: Asked<'s>,
    pub(super) size: &'s StatementSize,
}

impl Claiming<'_> {
    /// The rows that a claim gets: `limit` of them, or fewer where no more are left or their bodies
    /// have the bytes of a portion. One trip, or several after one that the server was too slow
    /// for.
    pub(super) async fn rows(
        &self,
        connection: &mut SqlServerConnection,
        limit: usize,
    ) -> Result<Vec<Row>> {
        let most = self.size.rows();
        if limit <= most {
            return self.rows_at_once(connection, limit).await;
        }
        let (mut rows, mut bytes) = (Vec::new(), 0);
        connection.batch("begin transaction").await?;
        while rows.len() < limit && bytes < PORTION {
            let wanted = most.min(limit - rows.len());
            let claimed = self.rows_at_once(connection, wanted).await?;
            let is_last = claimed.len() < wanted;
            for row in claimed {
                bytes += row.try_get::<&[u8], _>(BODY)?.map_or(0, <[u8]>::len);
                rows.push(row);
            }
            if is_last {
                break;
            }
        }
        connection.batch("commit transaction").await?;
        Ok(rows)
    }

    /// A server that does not pass over the rows of another claim gives it none of those, though
    /// there may be more.
    async fn rows_at_once(
        &self,
        connection: &mut SqlServerConnection,
        limit: usize,
    ) -> Result<Vec<Row>> {
        let most = number::limit(limit);
        let parameters = [self.claim.parameters, &[&most as &dyn ToSql]].concat();
        for _try in 0..TRIES {
            let rows = connection.rows(self.claim.statement, &parameters).await;
            self.size.note(limit, &rows);
            let rows = rows?;
            if !rows.is_empty() {
                return Ok(rows);
            }
            let Asked { statement, parameters } = self.claimable;
            if connection.rows(statement, parameters).await?.is_empty() {
                return Ok(rows);
            }
        }
        // The next look finds what is still there.
        Ok(Vec::new())
    }
}

/// Sorts rows that begin with their keys by the time in this column: an update gives what it has
/// written in no order.
pub(super) fn in_order(rows: &mut Vec<Row>, column: usize) -> Result<()> {
    let mut timed = Vec::with_capacity(rows.len());
    for row in rows.drain(..) {
        timed.push(((row.number(column)?, columns::key(&row, 0)?), row));
    }
    timed.sort_by(|(a, _), (b, _)| a.cmp(b));
    rows.extend(timed.into_iter().map(|(_, row)| row));
    Ok(())
}
