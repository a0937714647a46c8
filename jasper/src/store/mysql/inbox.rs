//! The inbox in MySQL.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use sqlx::mysql::{MySqlArguments, MySqlRow};
use sqlx::{AssertSqlSafe, Connection, MySqlConnection, Row, SqlSafeStr, SqlStr};

use super::binding::bind;
use super::internal_pool::Work;
use super::keys;
use super::sql::{Sql, literal, statements};
use super::store::MysqlStore;
use super::sweep::Sweep;
use crate::store::portions::{Guess, claimed};
use crate::store::sql::columns::{self, Columns};
use crate::store::sql::key::Key;
use crate::store::sql::number::{self, size};
use crate::store::sql::ports::messages::SqlInbox;
use crate::store::{ClaimRequest, Claimable, ClaimableRequest, Claimed, StoreError, Subscription};

/// The first page. It reads one entry of the index for each subscription, so that many rows cost no
/// more than few. The last row is when more is due.
const WAITING: &str = "\
(select waits_at, waits_as, null as next_due from {incoming}
where owner = 0 and status = 'incoming'
group by owner, status, waits_at, waits_as limit {page})
union all
(select null, null, greatest(min(turn), {now}) - {now} from {incoming}
where owner = 0 and status = 'scheduled' and waits_at = '' and waits_as = '')";

/// Of a further page, what is left of the destination where the last one ended.
const WAITING_HERE: &str = "\
select waits_at, waits_as, null as next_due from {incoming}
where owner = 0 and status = 'incoming' and waits_at = {at} and waits_as > {as}
group by owner, status, waits_at, waits_as limit {page}";

/// Of a further page, what waits at the destinations beyond.
const WAITING_BEYOND: &str = "\
select waits_at, waits_as, null as next_due from {incoming}
where owner = 0 and status = 'incoming' and waits_at > {at}
group by owner, status, waits_at, waits_as limit {page}";

/// Whether rows wait for one subscription.
const TAKEN: &str = "\
(select waits_at, waits_as, null as next_due from {incoming}
where owner = 0 and status = 'incoming' and waits_at = ? and waits_as = ? limit 1)";

const FIND_DUE: &str = "\
select id, destination from {incoming} force index (turns)
where owner = 0 and status = 'scheduled' and waits_at = '' and waits_as = '' and turn <= {now}
order by turn limit ? for update skip locked";

/// Rows whose time has come wait like any other from then on.
const BECOME_DUE: &str = "update {incoming} set status = 'incoming', due_at = null where {keys}";

// Rows that another claim is about to take are left to it. With another index the database would
// have to sort, and would lock all that it sorts. That parts of a union lock what they read is
// documented for MySQL 8, and tried on MariaDB only.
const CLAIMABLE: &str = "\
(select id, destination, turn, octet_length(body) from {incoming} force index (turns)
where owner = 0 and status = 'incoming' and waits_at = ? and waits_as = ?
order by turn limit ? for update skip locked)";

const READ: &str =
    "select id, destination, attempts, body, coalesce(interrupted_by, '') from {incoming}
where {keys}";

const TAKE: &str = "\
update {incoming} set owner = ?, attempts = least(greatest(attempts, ?), 4294967295)
where {keys}";

const FIND_OWNED: &str = "\
select id, destination from {incoming} where owner = ? and status = 'incoming' limit ?
for update skip locked";

// The owner is noted first: the database assigns from left to right.
const FREE: &str = "\
update {incoming}
set interrupted_by = if(
        locate(concat(' ', attempts, ':'), interrupted_by) > 0, interrupted_by,
        right(concat(coalesce(interrupted_by, ''), ' ', attempts, ':', owner), 200)
    ), owner = 0
where {keys}";

const OWNED: &str = "\
select id, destination, attempts from {incoming} where owner = ? and status = 'incoming' limit ?";

statements!(InboxSql {
    waiting: WAITING,
    waiting_here: WAITING_HERE,
    waiting_beyond: WAITING_BEYOND,
    taken: TAKEN,
    find_due: FIND_DUE,
    become_due: BECOME_DUE,
    claimable: CLAIMABLE,
    read: READ,
    take: TAKE,
    find_owned: FIND_OWNED,
    free: FREE,
    owned: OWNED,
});

/// The most rows that become due in one look.
const DUE_AT_ONCE: usize = 1000;

/// The most subscriptions of which rows are looked for in one statement.
const PARTS: usize = 50;

impl SqlInbox for MysqlStore {
    async fn claimable(&self, request: ClaimableRequest) -> Result<Claimable, StoreError> {
        let seen = self.internal_pool().give(FindClaimable(request.clone())).await?;
        if seen.next_due != Some(Duration::ZERO) {
            return Ok(seen);
        }
        self.internal_pool().give(Sweep::due(DUE_AT_ONCE)).await?;
        self.internal_pool().give(FindClaimable(request)).await
    }

    async fn claim(&self, request: ClaimRequest) -> Result<Vec<Claimed>, StoreError> {
        let guess = Arc::clone(&self.shared.incoming_guess);
        self.internal_pool().give(Claim { request, guess }).await
    }
}

/// What is claimable without anything becoming due.
struct FindClaimable(ClaimableRequest);

impl Work for FindClaimable {
    type Output = Claimable;
    const REPEATS: bool = true;

    async fn run(&self, connection: &mut MySqlConnection, sql: &Sql) -> sqlx::Result<Claimable> {
        let Self(request) = self;
        // Also where it is of no use as a page, it says when more is due.
        let waiting = waiting_sql(&sql.inbox.waiting, request.page);
        let first = sqlx::raw_sql(waiting).fetch_all(&mut *connection).await?;
        let mut found = Found::default();
        found.read(&first)?;
        if let Some(after) = &request.after {
            found.now.clear();
            self.page_after(after, connection, sql, &mut found).await?;
        }
        let is_full = found.now.len() == request.page;
        let next_page = found.now.last().filter(|_| is_full).cloned();
        if is_full || request.after.is_some() {
            for takes in request.takes.chunks(PARTS) {
                let mut arguments = MySqlArguments::default();
                for subscription in takes {
                    bind(&mut arguments, subscription.destination.as_str())?;
                    bind(&mut arguments, subscription.message_type.as_str())?;
                }
                let statement = claim_sql(&sql.inbox.taken, takes.len());
                let taken = sqlx::query_with(statement, arguments);
                found.read(&taken.fetch_all(&mut *connection).await?)?;
            }
        }
        found.now.sort_unstable();
        found.now.dedup();
        Ok(Claimable { now: found.now, next_page: next_page.into(), next_due: found.next_due })
    }
}

impl FindClaimable {
    async fn page_after(
        &self,
        after: &Subscription,
        connection: &mut MySqlConnection,
        sql: &Sql,
        found: &mut Found,
    ) -> sqlx::Result<()> {
        let page = self.0.page;
        let here = sqlx::raw_sql(page_sql(&sql.inbox.waiting_here, after, page));
        found.read(&here.fetch_all(&mut *connection).await?)?;
        let left = page.saturating_sub(found.now.len());
        if left > 0 {
            let beyond = sqlx::raw_sql(page_sql(&sql.inbox.waiting_beyond, after, left));
            found.read(&beyond.fetch_all(connection).await?)?;
        }
        Ok(())
    }
}

/// The rows of a look.
#[derive(Default)]
struct Found {
    now: Vec<Subscription>,
    next_due: Option<Duration>,
}

impl Found {
    fn read(&mut self, rows: &[MySqlRow]) -> sqlx::Result<()> {
        for row in rows {
            match row.try_get::<Option<&str>, _>(1)? {
                Some(_message_type) => self.now.push(columns::subscription(row, 0)?),
                None => self.next_due = columns::span(row, 2)?,
            }
        }
        Ok(())
    }
}

/// What finds the first page, of this many.
pub(super) fn waiting_sql(statement: &SqlStr, page: usize) -> SqlStr {
    // Constants of this store, and a number.
    AssertSqlSafe(statement.as_str().replace("{page}", &page.to_string())).into_sql_str()
}

/// The statement that reads a further page of at most `page` rows.
pub(super) fn page_sql(statement: &SqlStr, after: &Subscription, page: usize) -> SqlStr {
    let statement = statement
        .as_str()
        .replace("{page}", &page.to_string())
        .replace("{at}", &literal(after.destination.as_str()));
    // Constants of this store, a number, and digits.
    AssertSqlSafe(statement.replace("{as}", &literal(&after.message_type))).into_sql_str()
}

struct Claim {
    request: ClaimRequest,
    guess: Arc<Guess>,
}

impl Work for Claim {
    type Output = Vec<Claimed>;

    async fn run(&self, connection: &mut MySqlConnection, sql: &Sql) -> sqlx::Result<Vec<Claimed>> {
        if self.request.subscriptions.is_empty() || self.request.limit == 0 {
            return Ok(Vec::new());
        }
        let mut transaction = connection.begin().await?;
        let oldest = self.oldest(&mut transaction, sql).await?;
        let rows = keys::fetch(&mut transaction, &sql.inbox.read, &oldest).await?;
        let mut read = HashMap::with_capacity(rows.len());
        for row in &rows {
            let is_first = self.request.count_attempt && columns::count(row, 2)? == 0;
            let one = columns::claimed(row, self.request.owner, is_first, &row.text(4)?)?;
            read.insert(columns::key(row, 0)?, one);
        }
        let taken = [self.request.owner.number(), i64::from(self.request.count_attempt)];
        keys::execute(&mut transaction, &sql.inbox.take, &taken, &oldest).await?;
        transaction.commit().await?;
        Ok(oldest.iter().filter_map(|key| read.remove(key)).collect())
    }
}

impl Claim {
    /// Locks the oldest of each subscription, and gives the oldest of all, no more than a claim
    /// holds.
    async fn oldest(&self, connection: &mut MySqlConnection, sql: &Sql) -> sqlx::Result<Vec<Key>> {
        let limit = self.request.limit;
        let rows = self.guess.rows(limit);
        let mut oldest = self.find(rows, connection, sql).await?;
        if self.guess.missed(rows, limit, &lengths(&oldest)) {
            oldest = self.find(limit, connection, sql).await?;
        }
        oldest.truncate(claimed(lengths(&oldest)));
        Ok(oldest.into_iter().map(|(_sent_at, key, _length)| key).collect())
    }

    /// The oldest rows with the lengths of their bodies, at most this many.
    async fn find(
        &self,
        limit: usize,
        connection: &mut MySqlConnection,
        sql: &Sql,
    ) -> sqlx::Result<Vec<Candidate>> {
        let mut oldest = Vec::new();
        for subscriptions in self.request.subscriptions.chunks(PARTS) {
            let mut arguments = MySqlArguments::default();
            for subscription in subscriptions {
                bind(&mut arguments, subscription.destination.as_str())?;
                bind(&mut arguments, subscription.message_type.as_str())?;
                bind(&mut arguments, number::limit(limit))?;
            }
            let statement = claim_sql(&sql.inbox.claimable, subscriptions.len());
            let found = sqlx::query_with(statement, arguments).fetch_all(&mut *connection).await?;
            for row in &found {
                let length = size(row.maybe_number(3)?);
                oldest.push((row.number(2)?, columns::key(row, 0)?, length));
            }
        }
        oldest.sort_unstable();
        oldest.truncate(limit);
        Ok(oldest)
    }
}

/// When a row was sent, its key, and the length of its body.
type Candidate = (i64, Key, usize);

fn lengths(found: &[Candidate]) -> Vec<usize> {
    found.iter().map(|(.., length)| *length).collect()
}

/// What finds the rows of this many subscriptions.
pub(super) fn claim_sql(part: &SqlStr, subscriptions: usize) -> SqlStr {
    let parts = vec![part.as_str(); subscriptions].join(" union all ");
    // Constants of this store; what users give is bound.
    AssertSqlSafe(parts).into_sql_str()
}

#[cfg(test)]
mod tests {
    use sqlx::Connection;

    use super::super::rows;
    use super::*;
    use crate::envelope::{Address, Envelope};
    use crate::store::sql::insert_queues::Wait;
    use crate::store::{Inbox, Incoming, Inserted, Owner, Placement, StoreAdmin};

    /// As they would be if each type had a handler of its own.
    fn unowned(number: usize) -> Incoming {
        let message_type = format!("test.type-{number}@1").parse().expect("a type");
        let to = Address::local("queue", "it's one");
        let envelope = Envelope::new(message_type, "application/json", "{}".into(), to);
        Incoming { envelope, placement: Placement::Unowned, retention: None }
    }

    /// A close costs its connection 40 ms.
    #[tokio::test]
    async fn inserts_looks_and_claims_close_no_statement() {
        let server = std::env::var("JASPER_TEST_MARIADB")
            .expect("JASPER_TEST_MARIADB is not set: run `tests/run`");
        let name = format!("jasper_closes_{}", std::process::id());
        let mut admin = MySqlConnection::connect(&server).await.unwrap();
        let create = AssertSqlSafe(format!("create database {name}"));
        sqlx::raw_sql(create).execute(&mut admin).await.unwrap();
        let store = MysqlStore::connect(&format!("{server}{name}")).await.unwrap();
        store.prepare().await.unwrap();
        Inbox::store(&store, (0..300).map(unowned).collect()).await.unwrap();
        let mut internal = store.internal_pool().pool.acquire().await.unwrap();
        let connection = &mut internal.connection;
        let before = closed(connection).await;
        let (mut after, mut found) = (None, Vec::new());
        for _page in 0..4 {
            let look =
                FindClaimable(ClaimableRequest { page: 100, after, ..ClaimableRequest::default() })
                    .run(connection, store.sql())
                    .await
                    .unwrap();
            after = look.now.last().cloned();
            found.extend(look.now);
        }
        assert_eq!(found.len(), 300);
        for limit in [40, 100, 1] {
            let owner = Owner::new(1);
            let request =
                ClaimRequest { owner, subscriptions: found.clone(), limit, count_attempt: true };
            let claim = Claim { request, guess: Arc::clone(&store.shared.incoming_guess) };
            let claimed = claim.run(connection, store.sql()).await.unwrap();
            assert_eq!(claimed.len(), limit);
        }
        let wait = Wait::Usual;
        for count in [33, 127, 300] {
            let new: Vec<_> = (1_000..1_000 + count).map(unowned).collect();
            for expected in [Inserted::New, Inserted::Duplicate] {
                let stored = rows::store(connection, store.sql(), &new, wait).await.unwrap();
                assert_eq!(stored, vec![expected; count]);
            }
        }
        let after = closed(connection).await;
        let drop = AssertSqlSafe(format!("drop database {name}"));
        sqlx::raw_sql(drop).execute(&mut admin).await.unwrap();
        assert_eq!(before, after);
    }

    /// How many statements the session has closed.
    async fn closed(connection: &mut MySqlConnection) -> String {
        let closed = sqlx::raw_sql("show session status like 'Com_stmt_close'");
        closed.fetch_one(connection).await.unwrap().get(1)
    }
}
