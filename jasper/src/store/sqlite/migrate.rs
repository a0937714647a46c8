//! The schema and its versions, in a migration table of our own.

use std::sync::Arc;

use sqlx::migrate::{MigrateError, Migration, MigrationType, Migrator};
use sqlx::{Connection, SqlSafeStr, SqliteConnection};

use super::error::Place;
use crate::store::StoreError;

/// Apart from `_sqlx_migrations`, which belongs to the user.
const TABLE: &str = "jasper_migrations";

const MIGRATIONS: [(i64, &str, &str); 5] = [
    (1, "create tables", include_str!("../../../migrations/sqlite/0001_create_tables.sql")),
    (
        2,
        "nodes say what they take",
        include_str!("../../../migrations/sqlite/0002_nodes_say_what_they_take.sql"),
    ),
    (
        3,
        "claim by subscription",
        include_str!("../../../migrations/sqlite/0003_claim_by_subscription.sql"),
    ),
    (
        4,
        "say who may use the tables",
        include_str!("../../../migrations/sqlite/0004_say_who_may_use_the_tables.sql"),
    ),
    (5, "interrupted runs", include_str!("../../../migrations/sqlite/0005_interrupted_runs.sql")),
];

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
    // Where there is nothing to do, nothing is locked.
    if version(&mut *connection, place).await? >= newest_known() {
        return Ok(());
    }
    let mut transaction = connection.begin_with("begin immediate").await.map_err(said)?;
    version(&mut transaction, place).await?;
    // `run` would do, but the compiler cannot tell that its future may move between threads.
    let migrated = migrator().run_direct(None, &mut *transaction, false).await;
    migrated.map_err(|error| unwrapped(error, place))?;
    transaction.commit().await.map_err(said)
}

/// The version that is there, 0 for none. A newer one is used as long as the tables are the same
/// for this build: nodes of two versions then work side by side.
async fn version(connection: &mut SqliteConnection, place: &Place) -> Result<i64, StoreError> {
    let said = |error| place.error(error);
    let tables: i64 =
        sqlx::query_scalar(HAS_VERSIONS).fetch_one(&mut *connection).await.map_err(said)?;
    if tables == 0 {
        return Ok(0);
    }
    let found: i64 =
        sqlx::query_scalar(NEWEST_VERSION).fetch_one(&mut *connection).await.map_err(said)?;
    let known = newest_known();
    if found <= known {
        return Ok(found);
    }
    let usable_from: i64 =
        sqlx::query_scalar(USABLE_FROM).fetch_one(connection).await.map_err(said)?;
    match usable_from > known {
        true => Err(StoreError::NewerSchema { place: place.name(), found, known }),
        false => Ok(found),
    }
}

fn newest_known() -> i64 {
    MIGRATIONS.iter().map(|(version, ..)| *version).max().unwrap_or(0)
}

fn migrator() -> Migrator {
    let migrations = MIGRATIONS.map(|(version, description, sql)| {
        let kind = MigrationType::Simple;
        Migration::new(version, description.into(), kind, sql.into_sql_str(), false)
    });
    let mut migrator = Migrator::with_migrations(migrations.into());
    migrator.dangerous_set_table_name(TABLE);
    // Those of newer builds; whether this one may use what they left is known by then.
    migrator.set_ignore_missing(true);
    migrator
}

fn unwrapped(error: MigrateError, place: &Place) -> StoreError {
    match error {
        MigrateError::Execute(error) | MigrateError::ExecuteMigration(error, _) => {
            place.error(error)
        }
        error => StoreError::Database(Arc::new(error)),
    }
}
