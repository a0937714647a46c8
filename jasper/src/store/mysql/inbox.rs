//! The inbox in MySQL.

use std::any::Any;
use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::BoxFuture;
use sqlx::mysql::{MySqlArguments, MySqlRow};
use sqlx::{AssertSqlSafe, Connection, MySqlConnection, Row, SqlSafeStr, SqlStr};

use super::desk::Work;
use super::keys::{self, Key};
use super::rows::{self, Insert, bind};
use super::sql::{Sql, statements, unprepared};
use super::sweep::{Sweep, Table};
use super::{MysqlStore, connection_of};
use crate::envelope::Envelope;
use crate::store::lines::Wait;
use crate::store::portions::{Guess, claimed};
use crate::store::{
    ClaimRequest, Claimable, Claimed, Inbox, Incoming, Owner, Ownership, Settled, Settlement,
    StoreError, Stored, Subscription,
};

/// Reads one entry of the index for each subscription, so that many rows cost no more than few.
const WAITING: &str = "\
select waits_at, waits_as from {incoming} where owner = 0 and status = 'incoming'
group by owner, status, waits_at, waits_as";

const NEXT_DUE: &str = "\
select greatest(min(turn), {now}) - {now} from {incoming}
where owner = 0 and status = 'scheduled' and waits_at = '' and waits_as = ''";

const FIND_DUE: &str = "\
select id, destination from {incoming} force index (turns)
where owner = 0 and status = 'scheduled' and waits_at = '' and waits_as = '' and turn <= {now}
order by turn limit ? for update skip locked";

/// Rows whose time has come wait like any other from then on.
const BECOME_DUE: &str = "update {incoming} set status = 'incoming', due_at = null where {keys}";

// Rows that somebody else is about to take are left to them. With another index the database would
// have to sort, and would lock all that it sorts. That parts of a union lock what they read is
// documented for MySQL 8, and tried on MariaDB only.
const CLAIMABLE: &str = "\
(select id, destination, turn, octet_length(body) from {incoming} force index (turns)
where owner = 0 and status = 'incoming' and waits_at = ? and waits_as = ?
order by turn limit ? for update skip locked)";

const READ: &str = "select id, destination, attempts, body from {incoming} where {keys}";

const TAKE: &str = "\
update {incoming} set owner = ?, attempts = least(greatest(attempts, 1), 4294967295)
where {keys}";

const FIND_OWNED: &str = "\
select id, destination from {incoming} where owner = ? and status = 'incoming' limit ?
for update skip locked";

const FREE: &str = "update {incoming} set owner = 0 where {keys}";

const OWNED: &str = "\
select id, destination, attempts from {incoming} where owner = ? and status = 'incoming' limit ?";

statements!(InboxSql {
    waiting: WAITING,
    next_due: NEXT_DUE,
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

impl Inbox for MysqlStore {
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

    fn look(&self) -> BoxFuture<'_, Result<Claimable, StoreError>> {
        Box::pin(async move {
            let seen = self.desk().give(Look).await?;
            if seen.next_due != Some(Duration::ZERO) {
                return Ok(seen);
            }
            self.desk().give(Sweep::due(DUE_AT_ONCE)).await?;
            self.desk().give(Look).await
        })
    }

    fn claim(&self, request: ClaimRequest) -> BoxFuture<'_, Result<Vec<Claimed>, StoreError>> {
        Box::pin(
            self.desk().give(Claim { request, guess: Arc::clone(&self.shared.incoming_guess) }),
        )
    }

    fn settle(
        &self,
        settlements: Vec<Settlement>,
    ) -> BoxFuture<'_, Result<Vec<Settled>, StoreError>> {
        Box::pin(self.shared.settlements.submit(settlements))
    }

    fn release(&self, owner: Owner, limit: usize) -> BoxFuture<'_, Result<u64, StoreError>> {
        Box::pin(self.desk().give(Sweep::release(Table::Incoming, owner, limit)))
    }

    fn owned(
        &self,
        owner: Owner,
        limit: usize,
    ) -> BoxFuture<'_, Result<Vec<Ownership>, StoreError>> {
        Box::pin(self.desk().give(Owned { table: Table::Incoming, owner, limit }))
    }
}

/// Rows to store; also those of the outbox.
pub(super) struct Store<R> {
    pub(super) rows: Vec<R>,
    pub(super) wait: Wait,
}

impl<R: Insert> Work for Store<R> {
    type Output = Vec<Stored>;

    async fn run(&self, connection: &mut MySqlConnection, sql: &Sql) -> sqlx::Result<Vec<Stored>> {
        rows::store(connection, sql, &self.rows, self.wait).await
    }
}

/// What is claimable without anything becoming due.
struct Look;

impl Work for Look {
    type Output = Claimable;
    const REPEATS: bool = true;

    async fn run(&self, connection: &mut MySqlConnection, sql: &Sql) -> sqlx::Result<Claimable> {
        let rows = unprepared(&sql.inbox.waiting).fetch_all(&mut *connection).await?;
        let subscription = |row: &MySqlRow| -> sqlx::Result<Subscription> {
            Ok(Subscription { destination: rows::address(row, 0)?, message_type: row.try_get(1)? })
        };
        let mut now: Vec<_> = rows.iter().map(subscription).collect::<sqlx::Result<_>>()?;
        now.sort_unstable();
        let next_due = unprepared(&sql.inbox.next_due).fetch_one(connection).await?;
        let next_due: Option<i64> = next_due.try_get(0)?;
        let next_due = next_due.map(|micros| Duration::from_micros(rows::total(micros)));
        Ok(Claimable { now, next_due })
    }
}

/// At most so many rows that an owner holds; also those of the outbox.
pub(super) struct Owned {
    pub(super) table: Table,
    pub(super) owner: Owner,
    pub(super) limit: usize,
}

impl Work for Owned {
    type Output = Vec<Ownership>;
    const REPEATS: bool = true;

    async fn run(
        &self,
        connection: &mut MySqlConnection,
        sql: &Sql,
    ) -> sqlx::Result<Vec<Ownership>> {
        let statement = match self.table {
            Table::Incoming => &sql.inbox.owned,
            Table::Outgoing => &sql.outbox.owned,
        };
        let query =
            sqlx::query(statement.clone()).bind(self.owner.number()).bind(rows::limit(self.limit));
        let rows = query.fetch_all(connection).await?;
        rows.iter().map(|row| ownership(row, self.owner)).collect()
    }
}

/// Of a row that begins with id, destination and attempts.
pub(super) fn ownership(row: &MySqlRow, owner: Owner) -> sqlx::Result<Ownership> {
    let (id, destination) = keys::read(row)?;
    Ok(Ownership { id, destination, owner, attempts: rows::count(row, 2)? })
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
            read.insert(keys::read(row)?, read_claimed(row, self.request.owner)?);
        }
        let owner = [self.request.owner.number()];
        keys::execute(&mut transaction, &sql.inbox.take, &owner, &oldest).await?;
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

    /// The oldest rows with the lengths of their bodies, at most so many.
    async fn find(
        &self,
        limit: usize,
        connection: &mut MySqlConnection,
        sql: &Sql,
    ) -> sqlx::Result<Vec<Found>> {
        let mut oldest = Vec::new();
        for subscriptions in self.request.subscriptions.chunks(PARTS) {
            let mut arguments = MySqlArguments::default();
            for subscription in subscriptions {
                bind(&mut arguments, subscription.destination.as_str())?;
                bind(&mut arguments, subscription.message_type.as_str())?;
                bind(&mut arguments, rows::limit(limit))?;
            }
            let statement = claim_sql(&sql.inbox.claimable, subscriptions.len());
            let found = sqlx::query_with(statement, arguments).fetch_all(&mut *connection).await?;
            for row in &found {
                let length = row.try_get::<Option<i64>, _>(3)?.map_or(0, rows::total);
                oldest.push((row.try_get::<i64, _>(2)?, keys::read(row)?, rows::size(length)));
            }
        }
        oldest.sort_unstable();
        oldest.truncate(limit);
        Ok(oldest)
    }
}

/// When a row was sent, its key, and the length of its body.
type Found = (i64, Key, usize);

fn lengths(found: &[Found]) -> Vec<usize> {
    found.iter().map(|(.., length)| *length).collect()
}

/// What finds the rows of so many subscriptions.
pub(super) fn claim_sql(part: &SqlStr, subscriptions: usize) -> SqlStr {
    let parts = vec![part.as_str(); subscriptions].join(" union all ");
    // Constants of this store; what users give is bound.
    AssertSqlSafe(parts).into_sql_str()
}

fn read_claimed(row: &MySqlRow, owner: Owner) -> sqlx::Result<Claimed> {
    let before = ownership(row, owner)?;
    let attempts = before.attempts.max(1);
    Ok(Claimed {
        first_attempt: before.attempts == 0,
        envelope: Envelope::from_bytes(&rows::bytes(row, 3)?)
            .map(|envelope| Envelope { attempts, ..envelope }),
        ownership: Ownership { attempts, ..before },
    })
}
