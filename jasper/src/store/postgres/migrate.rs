//! The schema and its versions, in a migration table of our own.

use std::sync::Arc;
use std::time::Duration;

use sqlx::migrate::{MigrateError, Migration, MigrationType, Migrator};
use sqlx::{Connection, PgConnection, SqlSafeStr};

use super::desk::Desk;
use super::error::Place;
use super::sql::Names;
use crate::store::StoreError;

/// In the schema of the store, so apart from `_sqlx_migrations`, which belongs to the user.
const TABLE: &str = "jasper_migrations";

const MIGRATIONS: [(i64, &str, &str); 3] = [
    (1, "create tables", include_str!("../../../migrations/postgres/0001_create_tables.sql")),
    (
        2,
        "nodes mark their sessions",
        include_str!("../../../migrations/postgres/0002_nodes_mark_their_sessions.sql"),
    ),
    (3, "interrupted runs", include_str!("../../../migrations/postgres/0003_interrupted_runs.sql")),
];

/// One number for all schemas of a database, held until the transaction ends.
const LOCK: &str = "select pg_advisory_xact_lock(7527903847203)";

/// Asked first, as a role that may not create schemas may use one that is there.
const HAS_SCHEMA: &str = "select exists (select from pg_namespace where nspname = $1)";

const CREATE_SCHEMA: &str = "create schema {schema}";
const USE_SCHEMA: &str = "set local search_path to {schema}";

/// What waits for a lock that changes a table keeps all others from the table too, also leases.
const SHORT_LOCKS: &str = "set local lock_timeout = '1s'";

/// How often an upgrade is tried that meets a lock, and how long others have the tables then.
const TRIES: u32 = 20;
const PAUSE: Duration = Duration::from_millis(500);

const HAS_VERSIONS: &str = "select to_regclass('{migrations}') is not null";
const NEWEST_VERSION: &str = "select coalesce(max(version), 0) from {migrations}";
const USABLE_FROM: &str = "select usable_from from {schema}.jasper_schema";

/// Brings the schema to the newest version, while nodes of older builds work with it.
///
/// All in one transaction under a lock, so that two processes that start at once do it one after
/// the other; on a connection of its own, as that transaction has another search path. Where there
/// is nothing to do, a role may do without the right to change the schema.
pub(super) async fn upgrade(desk: &Desk) -> Result<(), StoreError> {
    let said = |error| desk.error(error);
    let options = desk.pool.current().connect_options();
    let mut connection = PgConnection::connect_with(&options).await.map_err(said)?;
    let mut tried = 1;
    while version(&mut connection, &desk.names, &desk.place).await? < newest_known() {
        match upgrade_on(&mut connection, &desk.names, &desk.place).await {
            Err(StoreError::Busy { .. }) if tried < TRIES => {
                tried += 1;
                tokio::time::sleep(PAUSE).await;
            }
            done => done?,
        }
    }
    connection.close().await.map_err(said)
}

async fn upgrade_on(
    connection: &mut PgConnection,
    names: &Names,
    place: &Place,
) -> Result<(), StoreError> {
    let said = |error| place.error(error);
    let mut transaction = connection.begin().await.map_err(said)?;
    create_schema(&mut transaction, names).await.map_err(said)?;
    // Another process may have upgraded it further before this one got the lock.
    version(&mut transaction, names, place).await?;
    // `run` would do, but the compiler cannot tell that its future may move between threads.
    let migrated = migrator().run_direct(None, &mut *transaction, false).await;
    migrated.map_err(|error| unwrapped(error, place))?;
    transaction.commit().await.map_err(said)
}

async fn create_schema(connection: &mut PgConnection, names: &Names) -> sqlx::Result<()> {
    sqlx::query(LOCK).execute(&mut *connection).await?;
    let exists = sqlx::query_scalar(HAS_SCHEMA).bind(names.schema());
    if !exists.fetch_one(&mut *connection).await? {
        sqlx::query(names.statement(CREATE_SCHEMA)).execute(&mut *connection).await?;
    }
    sqlx::query(SHORT_LOCKS).execute(&mut *connection).await?;
    sqlx::query(names.statement(USE_SCHEMA)).execute(connection).await.map(|_done| ())
}

/// The version that is there, 0 for none. A newer one is used as long as the tables are the same
/// for this build: nodes of two versions then work side by side.
async fn version(
    connection: &mut PgConnection,
    names: &Names,
    place: &Place,
) -> Result<i64, StoreError> {
    let said = |error| place.error(error);
    let has_versions = sqlx::query_scalar(names.statement(HAS_VERSIONS));
    if !has_versions.fetch_one(&mut *connection).await.map_err(said)? {
        return Ok(0);
    }
    let newest = sqlx::query_scalar(names.statement(NEWEST_VERSION));
    let found: i64 = newest.fetch_one(&mut *connection).await.map_err(said)?;
    let known = newest_known();
    if found <= known {
        return Ok(found);
    }
    let usable_from = sqlx::query_scalar(names.statement(USABLE_FROM));
    let usable_from: i64 = usable_from.fetch_one(connection).await.map_err(said)?;
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
    // The transaction holds a lock already; the migrator's would outlive it.
    migrator.set_locking(false);
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
