//! The inbox in SQLite.

use std::time::Duration;

use sqlx::sqlite::SqliteRow;
use sqlx::{AssertSqlSafe, SqliteConnection};

use super::rows;
use super::sql::{SQL, statements};
use super::statement_batch::{StatementBatch, StatementResult};
use super::store::SqliteStore;
use super::writer::Write;
use crate::envelope::time::{from_micros, now, to_micros};
use crate::store::portions::{PORTION, claimed};
use crate::store::sql::columns::{self, Columns};
use crate::store::sql::number;
use crate::store::sql::ports::messages::SqlInbox;
use crate::store::{ClaimRequest, Claimable, ClaimableRequest, Claimed, StoreError, Subscription};

/// Rows whose time has come wait like any other from then on.
const BECOME_DUE: &str = "\
update jasper_incoming set status = 'incoming', due_at = null
where seq in (
    select seq from jasper_incoming where status = 'scheduled' and due_at <= ?
    order by due_at limit 1000
)";

/// Steps from one subscription to the next, so that many rows cost no more than few. The next type
/// of one destination comes first: compared as a pair, SQLite would walk over all types before it.
const WAITING: &str = "\
with recursive waiting (seq) as (
    select coalesce((
        select seq from jasper_incoming
        where status = 'incoming' and owner = 0 and destination = ?1 and message_type > ?2
        order by message_type limit 1
    ), (
        select seq from jasper_incoming
        where status = 'incoming' and owner = 0 and destination > ?1
        order by destination, message_type limit 1
    ))
    union all
    select coalesce((
        select next.seq from jasper_incoming here join jasper_incoming next
        where here.seq = waiting.seq and next.status = 'incoming' and next.owner = 0
            and next.destination = here.destination and next.message_type > here.message_type
        order by next.message_type limit 1
    ), (
        select next.seq from jasper_incoming here join jasper_incoming next
        where here.seq = waiting.seq and next.status = 'incoming' and next.owner = 0
            and next.destination > here.destination
        order by next.destination, next.message_type limit 1
    ))
    from waiting where waiting.seq is not null
    limit ?3
)
select destination, message_type from waiting join jasper_incoming using (seq)";

/// Which of these subscriptions rows wait for.
const TAKEN: &str = "\
select column1, column2 from (values {takes}) takes
where exists (
    select 1 from jasper_incoming
    where status = 'incoming' and owner = 0 and destination = takes.column1
        and message_type = takes.column2
)";

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

/// The body only where it is small: many that are large would not fit into memory.
const OLDEST: &str = "\
select row.id, row.destination, row.attempts, case when length(row.body) <= ? then row.body end,
    row.sent_at, row.seq, coalesce(row.interrupted_by, ''), length(row.body)
from (
    select seq from ({claimable}) order by sent_at, seq limit ?
) one cross join jasper_incoming row on row.seq = one.seq";

/// The bodies that [`OLDEST`] left out, with what stands beside them.
const READ: &str = "\
select id, destination, attempts, body, sent_at, seq, coalesce(interrupted_by, ''), length(body)
from jasper_incoming
where seq in (select value from json_each(?))";

/// The most subscriptions in one statement, of which SQLite takes five hundred.
const PARTS: usize = 100;

const TAKE: &str = "\
update jasper_incoming
set owner = ?, attempts = min(max(attempts, ?), 4294967295)
where seq in (select value from json_each(?))";

const RELEASE: &str = "\
update jasper_incoming
set owner = 0, interrupted_by = case
    when instr(interrupted_by, ' ' || attempts || ':') > 0 then interrupted_by
    else substr(coalesce(interrupted_by, '') || ' ' || attempts || ':' || owner, -200)
end
where seq in (
    select seq from jasper_incoming where owner = ? and owner > 0
        and not exists (select 1 from jasper_nodes where node = owner and lease_until > 0)
    limit ?
)";

const OWNED: &str = "\
select id, destination, attempts from jasper_incoming where owner = ? and owner > 0 limit ?";

statements!(InboxSql {
    become_due: BECOME_DUE,
    waiting: WAITING,
    taken: TAKEN,
    repair: REPAIR,
    next_due: NEXT_DUE,
    claimable: CLAIMABLE,
    oldest: OLDEST,
    read: READ,
    take: TAKE,
    release: RELEASE,
    owned: OWNED,
});

impl SqlInbox for SqliteStore {
    async fn claimable(&self, request: ClaimableRequest) -> Result<Claimable, StoreError> {
        let mut seen = self.seen(&request).await.map_err(|error| self.error(error))?;
        if !seen.spoiled.is_empty() {
            self.writer().write(Repair { sql: SQL.inbox.repair, rows: seen.spoiled }).await?;
            seen = self.seen(&request).await.map_err(|error| self.error(error))?;
        }
        let mut seen = seen.claimable;
        if seen.next_due == Some(Duration::ZERO) {
            self.writer().write(BecomeDue).await?;
            seen = self.seen(&request).await.map_err(|error| self.error(error))?.claimable;
        }
        Ok(seen)
    }

    async fn claim(&self, request: ClaimRequest) -> Result<Vec<Claimed>, StoreError> {
        self.writer().write(Claim(request)).await
    }
}

impl SqliteStore {
    /// What is claimable without anything becoming due.
    async fn seen(&self, request: &ClaimableRequest) -> sqlx::Result<Seen> {
        let mut connection = self.pool().acquire().await?;
        let after = request.after.as_ref();
        let rows = sqlx::query(SQL.inbox.waiting)
            .bind(after.map_or("", |after| after.destination.as_str()))
            .bind(after.map_or("", |after| after.message_type.as_str()))
            .bind(number::limit(request.page))
            .fetch_all(&mut *connection)
            .await?;
        let subscription = |row: &SqliteRow| columns::subscription(row, 0);
        let mut waiting = columns::all(&rows, subscription)?;
        let next_page = waiting.last().filter(|_| waiting.len() == request.page).cloned();
        if after.is_some() || waiting.len() == request.page {
            for takes in request.takes.chunks(PARTS) {
                let mut query = sqlx::query(AssertSqlSafe(taken_sql(takes.len())));
                for Subscription { destination, message_type } in takes {
                    query = query.bind(destination.as_str()).bind(message_type);
                }
                for row in &query.fetch_all(&mut *connection).await? {
                    waiting.push(subscription(row)?);
                }
            }
        }
        waiting.sort_unstable();
        waiting.dedup();
        let due: Option<i64> =
            sqlx::query_scalar(SQL.inbox.next_due).fetch_one(&mut *connection).await?;
        let wait = |due| from_micros(due).duration_since(now()).unwrap_or_default();
        let next_due = due.map(wait);
        let claimable = Claimable { now: waiting, next_page: next_page.into(), next_due };
        Ok(Seen { claimable, spoiled: spoiled(&rows, 2)? })
    }
}

/// What finds which of this many subscriptions rows wait for, at least one.
pub(super) fn taken_sql(subscriptions: usize) -> String {
    SQL.inbox.taken.replace("{takes}", &vec!["(?, ?)"; subscriptions].join(", "))
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
        let all = (0..texts)
            .map(|column| rows::raw_text(row, column))
            .collect::<sqlx::Result<Vec<_>>>()?;
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
            let mut batch = StatementBatch::of(self.sql);
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
        let mut batch = StatementBatch::of(SQL.inbox.become_due);
        batch.bind(to_micros(now()))?;
        batch.changes(connection).await
    }
}

struct Claim(ClaimRequest);

/// What finds the oldest rows of this many subscriptions, at least one.
pub(super) fn oldest_sql(subscriptions: usize) -> String {
    let each = vec![SQL.inbox.claimable; subscriptions].join(" union all ");
    SQL.inbox.oldest.replace("{claimable}", &each)
}

/// A row that a claim has found.
struct Found {
    /// When it was sent, and the number of its row.
    age: (i64, i64),
    /// Bytes of the body.
    length: usize,
    row: SqliteRow,
}

impl Found {
    fn of(row: SqliteRow) -> sqlx::Result<Self> {
        let age = (row.number(4)?, row.number(5)?);
        let length = number::size(row.maybe_number(7)?);
        Ok(Self { age, length, row })
    }

    const fn seq(&self) -> i64 {
        self.age.1
    }
}

fn found(ran: Vec<StatementResult>) -> impl Iterator<Item = sqlx::Result<Found>> {
    ran.into_iter().flat_map(|results| results.rows).map(Found::of)
}

impl Claim {
    /// The longest body that is read before it is known how many rows are taken.
    fn small(&self) -> usize {
        PORTION / self.0.limit.max(1)
    }

    /// The oldest rows of all, no more than a claim holds.
    async fn oldest(&self, connection: &mut SqliteConnection) -> sqlx::Result<Vec<Found>> {
        let Self(request) = self;
        let limit = number::limit(request.limit);
        let mut oldest = Vec::new();
        for subscriptions in request.subscriptions.chunks(PARTS) {
            let mut batch = StatementBatch::default();
            batch.push(oldest_sql(subscriptions.len()));
            batch.bind(number::limit(self.small()))?;
            for subscription in subscriptions {
                batch.bind(subscription.destination.as_str())?;
                batch.bind(subscription.message_type.as_str())?;
                batch.bind(limit)?;
            }
            batch.bind(limit)?;
            for found in found(batch.run(connection).await?) {
                oldest.push(found?);
            }
        }
        oldest.sort_unstable_by_key(|found| found.age);
        oldest.truncate(request.limit);
        oldest.truncate(claimed(oldest.iter().map(|found| found.length)));
        Ok(oldest)
    }

    /// Makes these its own, and reads the bodies that were left out.
    async fn take(
        &self,
        oldest: &mut [Found],
        connection: &mut SqliteConnection,
    ) -> sqlx::Result<()> {
        let ran = self.taking(oldest)?.run(connection).await?;
        for whole in found(ran) {
            let whole = whole?;
            if let Ok(at) = oldest.binary_search_by_key(&whole.age, |found| found.age) {
                oldest[at] = whole;
            }
        }
        Ok(())
    }

    fn taking(&self, oldest: &[Found]) -> sqlx::Result<StatementBatch> {
        let small = self.small();
        let large: Vec<_> = oldest.iter().filter(|found| found.length > small).collect();
        let mut batch = StatementBatch::default();
        if !large.is_empty() {
            batch.push(SQL.inbox.read);
            batch.bind(rows::row_numbers(large.into_iter().map(Found::seq)))?;
        }
        batch.push(SQL.inbox.take);
        batch.bind(self.0.owner.number())?;
        batch.bind(i64::from(self.0.count_attempt))?;
        batch.bind(rows::row_numbers(oldest.iter().map(Found::seq)))?;
        Ok(batch)
    }

    fn claimed(&self, Found { row, .. }: &Found) -> sqlx::Result<Claimed> {
        let is_first = self.0.count_attempt && columns::count(row, 2)? == 0;
        columns::claimed(row, self.0.owner, is_first, &row.text(6)?)
    }
}

impl Write for Claim {
    type Output = Vec<Claimed>;

    async fn run(&self, connection: &mut SqliteConnection) -> sqlx::Result<Vec<Claimed>> {
        let mut oldest = self.oldest(connection).await?;
        if oldest.is_empty() {
            return Ok(Vec::new());
        }
        self.take(&mut oldest, connection).await?;
        oldest.iter().map(|found| self.claimed(found)).collect()
    }
}
