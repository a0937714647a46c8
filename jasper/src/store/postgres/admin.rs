//! Schema and housekeeping in PostgreSQL.

use super::migrate;
use super::sql::statements;
use super::store::PostgresStore;
use crate::store::sql::columns;
use crate::store::sql::number;
use crate::store::sql::ports::admin::SqlAdmin;
use crate::store::{Counts, MigrationScript, StoreError};

/// Each count walks an index that holds no bodies.
const COUNTS: &str = "\
select
    (select count(*) from {incoming} where status = 'incoming' and owner = 0)
        + (select count(*) from {incoming} where owner > 0)
        + (select count(*) from {incoming} where status = 'scheduled' and due_at <= {now}),
    (select count(*) from {incoming} where status = 'scheduled' and due_at > {now}),
    (select count(*) from {incoming} where status = 'handled'),
    (select count(*) from {outgoing}),
    (select count(*) from {dead_letters})";

const PURGE: &str = "\
delete from {incoming}
where ctid = any (array(
    select ctid from {incoming} where status = 'handled' and retained_until <= {now}
    order by retained_until limit $1
    for update skip locked
))";

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

impl SqlAdmin for PostgresStore {
    async fn prepare(&self) -> Result<(), StoreError> {
        migrate::upgrade(self.internal_pool()).await
    }

    async fn counts(&self) -> Result<Counts, StoreError> {
        let query = sqlx::query(self.sql().admin.counts.clone());
        let rows =
            self.internal_pool().long_rows(query).await.map_err(|error| self.error(error))?;
        let row = rows.first().ok_or(StoreError::Closed)?;
        columns::counts(row).map_err(|error| self.error(error))
    }

    async fn purge(&self, limit: usize) -> Result<u64, StoreError> {
        let query = sqlx::query(self.sql().admin.purge.clone()).bind(number::limit(limit));
        self.internal_pool().long_run(query).await.map_err(|error| self.error(error))
    }

    async fn clear(&self) -> Result<(), StoreError> {
        let sql = &self.sql().admin;
        let deletes = [&sql.clear_incoming, &sql.clear_outgoing, &sql.clear_dead_letters];
        migrate::empty(self.internal_pool(), &deletes).await
    }

    async fn check(&self) -> Result<(), StoreError> {
        migrate::check(self.internal_pool()).await
    }

    async fn rebuild(&self) -> Result<(), StoreError> {
        migrate::rebuild(self.internal_pool()).await
    }

    fn migrations(&self) -> Vec<MigrationScript> {
        migrate::scripts(&self.internal_pool().names)
    }
}
