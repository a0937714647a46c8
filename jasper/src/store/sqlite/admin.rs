//! Schema and housekeeping in SQLite.

use futures_util::future::BoxFuture;
use sqlx::SqliteConnection;

use super::SqliteStore;
use super::batch::Batch;
use super::migrate;
use super::writer::Write;
use crate::envelope::time::{now, to_micros};
use crate::store::sql::columns;
use crate::store::sql::number::limit;
use crate::store::{Counts, StoreAdmin, StoreError};

/// Each count walks an index that holds no bodies.
pub(super) const COUNTS: &str = "\
select
    (select count(*) from jasper_incoming where status = 'incoming' and owner = 0)
        + (select count(*) from jasper_incoming where owner > 0)
        + (select count(*) from jasper_incoming where status = 'scheduled' and due_at <= ?1),
    (select count(*) from jasper_incoming where status = 'scheduled' and due_at > ?1),
    (select count(*) from jasper_incoming where status = 'handled'),
    (select count(*) from jasper_outgoing),
    (select count(*) from jasper_dead_letters)";

pub(super) const PURGE: &str = "\
delete from jasper_incoming
where seq in (
    select seq from jasper_incoming
    where status = 'handled' and keep_until <= ?
    order by keep_until limit ?
)";

const CLEAR: &str = "\
delete from jasper_incoming; delete from jasper_outgoing; delete from jasper_dead_letters";

impl StoreAdmin for SqliteStore {
    fn prepare(&self) -> BoxFuture<'_, Result<(), StoreError>> {
        Box::pin(async move {
            let connection = self.pool().acquire().await;
            let mut connection = connection.map_err(|error| self.error(error))?;
            migrate::upgrade(&mut connection, self.place()).await
        })
    }

    fn counts(&self) -> BoxFuture<'_, Result<Counts, StoreError>> {
        Box::pin(async move {
            let row = sqlx::query(COUNTS)
                .bind(to_micros(now()))
                .fetch_one(self.pool())
                .await
                .map_err(|error| self.error(error))?;
            columns::counts(&row).map_err(|error| self.error(error))
        })
    }

    fn purge(&self, limit: usize) -> BoxFuture<'_, Result<u64, StoreError>> {
        Box::pin(self.writer().write(Purge(limit)))
    }

    fn clear(&self) -> BoxFuture<'_, Result<(), StoreError>> {
        Box::pin(self.writer().write(Clear))
    }
}

struct Purge(usize);

impl Write for Purge {
    type Output = u64;

    fn is_one_statement(&self) -> bool {
        true
    }

    async fn run(&self, connection: &mut SqliteConnection) -> sqlx::Result<u64> {
        let mut batch = Batch::of(PURGE);
        batch.bind(to_micros(now()))?;
        batch.bind(limit(self.0))?;
        batch.changes(connection).await
    }
}

struct Clear;

impl Write for Clear {
    type Output = ();

    async fn run(&self, connection: &mut SqliteConnection) -> sqlx::Result<()> {
        Batch::of(CLEAR).run(connection).await.map(|_ran| ())
    }
}
