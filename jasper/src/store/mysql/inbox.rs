//! The inbox in MySQL.

use std::any::Any;
use std::time::Duration;

use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use sqlx::mysql::{MySqlArguments, MySqlRow};
use sqlx::{Connection, MySqlConnection, Row, SqlStr};

use super::desk::{Desk, Work};
use super::keys::{self, Key};
use super::release::{Release, Table};
use super::rows::{self, Insert, bind};
use super::sql::{self, Sql, statements};
use super::{MysqlStore, SHARED_ROWS, connection_of};
use crate::envelope::Envelope;
use crate::store::coalescer::Coalescer;
use crate::store::{
    ClaimRequest, Claimed, Inbox, Incoming, Owner, Ownership, Settled, Settlement, StoreError,
    Stored,
};

// Rows that somebody else is about to take are left to them. With another index the database would
// have to sort, and would lock all that it sorts.
const UNOWNED: &str = "\
select id, destination, attempts, body, sent_at from {incoming} force index (turns)
where owner = 0 and status = 'incoming'{filter}
order by turn limit ? for update skip locked";
const DUE: &str = "\
select id, destination, attempts, body, sent_at from {incoming} force index (turns)
where owner = 0 and status = 'scheduled' and turn <= {now}{filter}
order by turn limit ? for update skip locked";

const ONLY: &str = " and (destination, message_type) in ({pairs})";
const EXCEPT: &str = " and (destination, message_type) not in ({pairs})";
const PAIR: &str = "(?, ?)";

const TAKE: &str = "\
update {incoming}
set status = 'incoming', owner = ?, due_at = null, attempts = greatest(attempts, 1)
where {keys}";

const FIND_OWNED: &str = "\
select id, destination from {incoming} where owner = ? and status = 'incoming' limit ?
for update skip locked";

const FREE: &str = "update {incoming} set owner = 0 where {keys}";

const NEXT_CLAIMABLE: &str = "\
select case
    when exists (select 1 from {incoming} where owner = 0 and status = 'incoming') then 0
    else (
        select greatest(0, min(turn) - {now}) from {incoming}
        where owner = 0 and status = 'scheduled'
    )
end";

const OWNED: &str = "\
select id, destination, attempts from {incoming} where owner = ? and status = 'incoming' limit ?";

statements!(InboxSql {
    unowned: UNOWNED,
    due: DUE,
    take: TAKE,
    find_owned: FIND_OWNED,
    free: FREE,
    next_claimable: NEXT_CLAIMABLE,
    owned: OWNED,
});

/// What stores the rows of all callers.
pub(super) fn coalescer(desk: &Desk) -> Coalescer<Incoming, Stored> {
    let desk = desk.clone();
    Coalescer::new(SHARED_ROWS, 1, move |rows| {
        let desk = desk.clone();
        async move { desk.work(Store(rows)).await }.boxed()
    })
}

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

    fn claim(&self, request: ClaimRequest) -> BoxFuture<'_, Result<Vec<Claimed>, StoreError>> {
        Box::pin(async move {
            match request.limit == 0 || request.subscriptions.is_empty() && !request.except {
                true => Ok(Vec::new()),
                false => self.desk().give(Claim(request)).await,
            }
        })
    }

    fn settle(
        &self,
        settlements: Vec<Settlement>,
    ) -> BoxFuture<'_, Result<Vec<Settled>, StoreError>> {
        Box::pin(self.shared.settlements.submit(settlements))
    }

    fn release(&self, owner: Owner, limit: usize) -> BoxFuture<'_, Result<u64, StoreError>> {
        Box::pin(self.desk().give(Release { table: Table::Incoming, owner, limit }))
    }

    fn next_claimable(&self) -> BoxFuture<'_, Result<Option<Duration>, StoreError>> {
        Box::pin(self.desk().give(NextClaimable))
    }

    fn owned(
        &self,
        owner: Owner,
        limit: usize,
    ) -> BoxFuture<'_, Result<Vec<Ownership>, StoreError>> {
        Box::pin(self.desk().give(Owned { owner, limit }))
    }
}

/// Rows to store; also those of the outbox.
pub(super) struct Store<R>(pub(super) Vec<R>);

impl<R: Insert> Work for Store<R> {
    type Output = Vec<Stored>;

    async fn run(&self, connection: &mut MySqlConnection, sql: &Sql) -> sqlx::Result<Vec<Stored>> {
        rows::insert(connection, sql, &self.0).await
    }
}

struct NextClaimable;

impl Work for NextClaimable {
    type Output = Option<Duration>;

    async fn run(
        &self,
        connection: &mut MySqlConnection,
        sql: &Sql,
    ) -> sqlx::Result<Option<Duration>> {
        let query = sqlx::query_scalar(sql.inbox.next_claimable.clone());
        let wait: Option<i64> = query.fetch_one(connection).await?;
        Ok(wait.map(|micros| Duration::from_micros(rows::total(micros))))
    }
}

struct Owned {
    owner: Owner,
    limit: usize,
}

impl Work for Owned {
    type Output = Vec<Ownership>;

    async fn run(
        &self,
        connection: &mut MySqlConnection,
        sql: &Sql,
    ) -> sqlx::Result<Vec<Ownership>> {
        let query = sqlx::query(sql.inbox.owned.clone())
            .bind(self.owner.number())
            .bind(rows::limit(self.limit));
        let rows = query.fetch_all(connection).await?;
        rows.iter().map(|row| ownership(row, self.owner)).collect()
    }
}

/// Of a row that begins with id, destination and attempts.
fn ownership(row: &MySqlRow, owner: Owner) -> sqlx::Result<Ownership> {
    let (id, destination) = keys::read(row)?;
    Ok(Ownership { id, destination, owner, attempts: rows::count(row, 2)? })
}

struct Claim(ClaimRequest);

impl Work for Claim {
    type Output = Vec<Claimed>;

    async fn run(&self, connection: &mut MySqlConnection, sql: &Sql) -> sqlx::Result<Vec<Claimed>> {
        let mut transaction = connection.begin().await?;
        let mut found = self.find(&sql.inbox.unowned, &mut transaction).await?;
        found.extend(self.find(&sql.inbox.due, &mut transaction).await?);
        let mut oldest = Vec::with_capacity(found.len());
        for row in &found {
            oldest.push((row.try_get::<i64, _>(4)?, row));
        }
        oldest.sort_by_key(|(sent_at, _row)| *sent_at);
        oldest.truncate(self.0.limit);
        let claimed = oldest.into_iter().map(|(_, row)| claimed(row, self.0.owner));
        let claimed = claimed.collect::<sqlx::Result<Vec<Claimed>>>()?;
        let keys: Vec<Key> = claimed.iter().map(|row| keys::key_of(&row.ownership)).collect();
        let owner = [self.0.owner.number()];
        keys::execute(&mut transaction, &sql.inbox.take, &owner, &keys).await?;
        transaction.commit().await?;
        Ok(claimed)
    }
}

impl Claim {
    async fn find(
        &self,
        statement: &SqlStr,
        connection: &mut MySqlConnection,
    ) -> sqlx::Result<Vec<MySqlRow>> {
        let Self(request) = self;
        let mut arguments = MySqlArguments::default();
        for subscription in &request.subscriptions {
            bind(&mut arguments, subscription.destination.as_str())?;
            bind(&mut arguments, subscription.message_type.as_str())?;
        }
        bind(&mut arguments, rows::limit(request.limit))?;
        let statement = claim_sql(statement, request.subscriptions.len(), request.except);
        sqlx::query_with(statement, arguments).fetch_all(connection).await
    }
}

/// One half of a claim with so many subscriptions.
pub(super) fn claim_sql(statement: &SqlStr, subscriptions: usize, except: bool) -> SqlStr {
    let filter = match (subscriptions, except) {
        (0, _) => "",
        (_, true) => EXCEPT,
        (_, false) => ONLY,
    };
    let statement = sql::repeated(statement, "{filter}", filter, "", 1);
    sql::repeated(&statement, "{pairs}", PAIR, ", ", subscriptions)
}

fn claimed(row: &MySqlRow, owner: Owner) -> sqlx::Result<Claimed> {
    let before = ownership(row, owner)?;
    let attempts = before.attempts.max(1);
    Ok(Claimed {
        first_attempt: before.attempts == 0,
        envelope: Envelope::from_bytes(&rows::bytes(row, 3)?)
            .map(|envelope| Envelope { attempts, ..envelope }),
        ownership: Ownership { attempts, ..before },
    })
}
