//! Schema and housekeeping in SQLite.

use futures_util::future::BoxFuture;
use sqlx::{Row, SqliteConnection};

use super::SqliteStore;
use super::batch::Batch;
use super::migrate;
use super::writer::Write;
use crate::envelope::time::{now, to_micros};
use crate::store::{Counts, StoreAdmin, StoreError};

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
            let count = |column: usize| {
                let rows: i64 = row.try_get(column).map_err(|error| self.error(error))?;
                Ok(u64::try_from(rows).unwrap_or(0))
            };
            Ok(Counts {
                incoming: count(0)?,
                scheduled: count(1)?,
                handled: count(2)?,
                outgoing: count(3)?,
                dead_letters: count(4)?,
            })
        })
    }

    fn clear(&self) -> BoxFuture<'_, Result<(), StoreError>> {
        Box::pin(self.writer().write(Clear))
    }
}

struct Clear;

impl Write for Clear {
    type Output = ();

    async fn run(self, connection: &mut SqliteConnection) -> sqlx::Result<()> {
        Batch::of(CLEAR).run(connection).await.map(|_ran| ())
    }
}
