//! Schema and housekeeping in SQLite.

use sqlx::SqliteConnection;

use super::migrate;
use super::sql::{SQL, statements};
use super::statement_batch::StatementBatch;
use super::store::SqliteStore;
use super::writer::Write;
use crate::envelope::time::{now, to_micros};
use crate::store::sql::columns;
use crate::store::sql::number::limit;
use crate::store::sql::ports::admin::SqlAdmin;
use crate::store::{Counts, MigrationScript, StoreError};

/// Each count walks an index that holds no bodies.
const COUNTS: &str = "\
select
    (select count(*) from jasper_incoming where status = 'incoming' and owner = 0)
        + (select count(*) from jasper_incoming where owner > 0)
        + (select count(*) from jasper_incoming where status = 'scheduled' and due_at <= ?1),
    (select count(*) from jasper_incoming where status = 'scheduled' and due_at > ?1),
    (select count(*) from jasper_incoming where status = 'handled'),
    (select count(*) from jasper_outgoing),
    (select count(*) from jasper_dead_letters)";

const PURGE: &str = "\
delete from jasper_incoming
where seq in (
    select seq from jasper_incoming
    where status = 'handled' and retained_until <= ?
    order by retained_until limit ?
)";

const CLEAR: &str = "\
delete from jasper_incoming; delete from jasper_outgoing; delete from jasper_dead_letters";

statements!(AdminSql { counts: COUNTS, purge: PURGE, clear: CLEAR });

impl SqlAdmin for SqliteStore {
    async fn prepare(&self) -> Result<(), StoreError> {
        let mut connection = self.pool().acquire().await.map_err(|error| self.error(error))?;
        migrate::upgrade(&mut connection, self.place()).await
    }

    async fn counts(&self) -> Result<Counts, StoreError> {
        let row = sqlx::query(SQL.admin.counts).bind(to_micros(now())).fetch_one(self.pool()).await;
        row.and_then(|row| columns::counts(&row)).map_err(|error| self.error(error))
    }

    async fn purge(&self, limit: usize) -> Result<u64, StoreError> {
        self.writer().write(Purge(limit)).await
    }

    async fn clear(&self) -> Result<(), StoreError> {
        self.writer().write(Clear).await
    }

    async fn check(&self) -> Result<(), StoreError> {
        let mut connection = self.pool().acquire().await.map_err(|error| self.error(error))?;
        migrate::check(&mut connection, self.place()).await
    }

    async fn rebuild(&self) -> Result<(), StoreError> {
        migrate::rebuild(self.pool(), self.place()).await
    }

    fn migrations(&self) -> Vec<MigrationScript> {
        migrate::scripts()
    }
}

struct Purge(usize);

impl Write for Purge {
    type Output = u64;

    fn is_one_statement(&self) -> bool {
        true
    }

    async fn run(&self, connection: &mut SqliteConnection) -> sqlx::Result<u64> {
        let mut batch = StatementBatch::of(SQL.admin.purge);
        batch.bind(to_micros(now()))?;
        batch.bind(limit(self.0))?;
        batch.changes(connection).await
    }
}

struct Clear;

impl Write for Clear {
    type Output = ();

    async fn run(&self, connection: &mut SqliteConnection) -> sqlx::Result<()> {
        StatementBatch::of(SQL.admin.clear).run(connection).await.map(|_ran| ())
    }
}
