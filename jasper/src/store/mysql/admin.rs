//! Schema and housekeeping in MySQL.

use futures_util::future::BoxFuture;
use sqlx::{Connection, MySqlConnection, Row};

use super::MysqlStore;
use super::desk::Work;
use super::migrate;
use super::rows;
use super::sql::{Sql, statements};
use crate::store::{Counts, StoreAdmin, StoreError};

/// Each count walks an index that holds no bodies.
const COUNTS: &str = "\
select
    (select count(*) from {incoming} where owner = 0 and status = 'incoming')
        + (select count(*) from {incoming} where owner > 0)
        + (select count(*) from {incoming}
            where owner = 0 and status = 'scheduled' and turn <= {now}),
    (select count(*) from {incoming} where owner = 0 and status = 'scheduled' and turn > {now}),
    (select count(*) from {incoming} where owner = 0 and status = 'handled'),
    (select count(*) from {outgoing}),
    (select count(*) from {dead_letters})";

const PURGE: &str = "\
delete from {incoming} where owner = 0 and status = 'handled' and turn <= {now}
order by turn limit ?";

const CLEAR_INCOMING: &str = "delete from {incoming}";
const CLEAR_OUTGOING: &str = "delete from {outgoing}";
const CLEAR_DEAD_LETTERS: &str = "delete from {dead_letters}";

statements!(AdminSql {
    counts: COUNTS,
    purge: PURGE,
    clear_incoming: CLEAR_INCOMING,
    clear_outgoing: CLEAR_OUTGOING,
    clear_dead_letters: CLEAR_DEAD_LETTERS,
});

impl StoreAdmin for MysqlStore {
    fn prepare(&self) -> BoxFuture<'_, Result<(), StoreError>> {
        let connections = &self.shared.connections;
        Box::pin(migrate::upgrade(&connections.options, &connections.names, self.place()))
    }

    fn counts(&self) -> BoxFuture<'_, Result<Counts, StoreError>> {
        Box::pin(self.desk().give(Count))
    }

    fn purge(&self, limit: usize) -> BoxFuture<'_, Result<u64, StoreError>> {
        Box::pin(self.desk().give(Purge(limit)))
    }

    fn clear(&self) -> BoxFuture<'_, Result<(), StoreError>> {
        Box::pin(self.desk().give(Clear))
    }
}

struct Count;

impl Work for Count {
    type Output = Counts;

    async fn run(&self, connection: &mut MySqlConnection, sql: &Sql) -> sqlx::Result<Counts> {
        let row = sqlx::query(sql.admin.counts.clone()).fetch_one(connection).await?;
        let count = |column: usize| row.try_get(column).map(rows::total);
        Ok(Counts {
            incoming: count(0)?,
            scheduled: count(1)?,
            handled: count(2)?,
            outgoing: count(3)?,
            dead_letters: count(4)?,
        })
    }
}

struct Purge(usize);

impl Work for Purge {
    type Output = u64;

    async fn run(&self, connection: &mut MySqlConnection, sql: &Sql) -> sqlx::Result<u64> {
        let query = sqlx::query(sql.admin.purge.clone()).bind(rows::limit(self.0));
        query.execute(connection).await.map(|done| done.rows_affected())
    }
}

struct Clear;

impl Work for Clear {
    type Output = ();

    async fn run(&self, connection: &mut MySqlConnection, sql: &Sql) -> sqlx::Result<()> {
        let sql = &sql.admin;
        let mut transaction = connection.begin().await?;
        for clear in [&sql.clear_incoming, &sql.clear_outgoing, &sql.clear_dead_letters] {
            sqlx::query(clear.clone()).execute(&mut *transaction).await?;
        }
        transaction.commit().await
    }
}
