//! The schema and its versions, in a migration table of our own.

use sqlx::{Connection, SqliteConnection};

use super::error::Place;
use crate::store::StoreError;
use crate::store::sql::migrations::{
    self, Migration, Question, Schema, migrations, migrator, newest_known, version,
};

const MIGRATIONS: &[Migration] = migrations!(
    "sqlite":
    "0001_create_tables.sql",
    "0002_nodes_say_what_they_take.sql",
    "0003_claim_by_subscription.sql",
    "0004_say_who_may_use_the_tables.sql",
    "0005_interrupted_runs.sql",
);

const HAS_VERSIONS: &str =
    "select count(*) from sqlite_schema where type = 'table' and name = 'jasper_migrations'";
const NEWEST_VERSION: &str = "select coalesce(max(version), 0) from jasper_migrations";
const USABLE_FROM: &str = "select usable_from from jasper_schema";

/// Brings the schema to the newest version.
///
/// All in one write transaction, so that two processes that start at once do it one after the
/// other.
pub(super) async fn upgrade(
    connection: &mut SqliteConnection,
    place: &Place,
) -> Result<(), StoreError> {
    let said = |error| place.error(error);
    let known = newest_known(MIGRATIONS);
    // Where there is nothing to do, nothing is locked.
    if version(&mut Asked { connection, place }, known).await? >= known {
        return Ok(());
    }
    let mut transaction = connection.begin_with("begin immediate").await.map_err(said)?;
    version(&mut Asked { connection: &mut transaction, place }, known).await?;
    // `run` would do, but the compiler cannot tell that its future may move between threads.
    let migrated = migrator(MIGRATIONS).run_direct(None, &mut *transaction, false).await;
    migrated.map_err(|error| migrations::error(error, said))?;
    transaction.commit().await.map_err(said)
}

struct Asked<'s> {
    connection: &'s mut SqliteConnection,
    place: &'s Place,
}

impl Schema for Asked<'_> {
    async fn ask(&mut self, question: Question) -> Result<i64, StoreError> {
        let statement = match question {
            Question::HasVersions => HAS_VERSIONS,
            Question::NewestVersion => NEWEST_VERSION,
            Question::UsableFrom => USABLE_FROM,
        };
        let answer = sqlx::query_scalar(statement).fetch_one(&mut *self.connection).await;
        answer.map_err(|error| self.place.error(error))
    }

    fn place(&self) -> String {
        self.place.name()
    }
}
