//! Schema and housekeeping in SQL Server.

use std::time::Duration;

use super::connection::{LONGEST, SqlServerConnection};
use super::error::Result;
use super::internal_pool::Work;
use super::migrate;
use super::sql::{Sql, statements};
use super::store::SqlServerStore;
use super::tables::Sweep;
use crate::store::sql::columns;
use crate::store::sql::ports::admin::SqlAdmin;
use crate::store::{Counts, MigrationScript, StoreError};

/// Each count walks an index that holds no bodies. Rows that a transaction has locked are not
/// waited for.
const COUNTS: &str = "\
select
    (select count_big(*) from {incoming} with (readcommittedlock, readpast)
            where owner = 0 and status = 'incoming')
        + (select count_big(*) from {incoming} with (readcommittedlock, readpast) where owner > 0)
        + (select count_big(*) from {incoming} with (readcommittedlock, readpast)
            where status = 'scheduled' and due_at <= {now}),
    (select count_big(*) from {incoming} with (readcommittedlock, readpast)
        where status = 'scheduled' and due_at > {now}),
    (select count_big(*) from {incoming} with (readcommittedlock, readpast)
        where status = 'handled'),
    (select count_big(*) from {outgoing} with (readcommittedlock, readpast)),
    (select count_big(*) from {dead_letters} with (readcommittedlock, readpast))";

const PURGE: &str = "\
delete from {incoming} with (rowlock)
from (
    select top (@P1) id, destination from {incoming} with (updlock, readpast, rowlock)
    where status = 'handled' and retained_until <= {now}
    order by retained_until
) ended
where jasper_incoming.id = ended.id and jasper_incoming.destination = ended.destination
    and jasper_incoming.status = 'handled'
{by_key}";

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

impl SqlAdmin for SqlServerStore {
    async fn prepare(&self) -> Result<(), StoreError> {
        migrate::upgrade(self.target()).await
    }

    async fn counts(&self) -> Result<Counts, StoreError> {
        self.internal_pool().give(Count).await
    }

    async fn purge(&self, limit: usize) -> Result<u64, StoreError> {
        let statement = self.sql().admin.purge.clone();
        self.internal_pool().give(Sweep { statement, owner: None, limit }).await
    }

    async fn clear(&self) -> Result<(), StoreError> {
        let sql = &self.sql().admin;
        let deletes = [&*sql.clear_incoming, &sql.clear_outgoing, &sql.clear_dead_letters];
        migrate::empty(self.target(), &deletes).await
    }

    async fn check(&self) -> Result<(), StoreError> {
        migrate::check(self.target()).await
    }

    async fn rebuild(&self) -> Result<(), StoreError> {
        migrate::rebuild(self.target()).await
    }

    fn migrations(&self) -> Vec<MigrationScript> {
        migrate::scripts(&self.shared.connections.names)
    }
}

impl SqlServerStore {
    fn target(&self) -> migrate::Target<'_> {
        migrate::Target {
            server: self.internal_pool().pool.server(),
            names: &self.shared.connections.names,
        }
    }
}

struct Count;

impl Work for Count {
    type Output = Counts;
    const REPEATS: bool = true;

    fn limit(&self, _usual: Duration) -> Duration {
        LONGEST
    }

    async fn run(&self, connection: &mut SqlServerConnection, sql: &Sql) -> Result<Counts> {
        let rows = connection.rows(&sql.admin.counts, &[]).await?;
        rows.first().map_or_else(|| Ok(Counts::default()), columns::counts)
    }
}
