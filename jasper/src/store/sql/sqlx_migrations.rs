//! Migrations as `sqlx` executes them, and how it knows those that were applied by hand.

use sqlx::SqlSafeStr;
use sqlx::migrate::{MigrateError, MigrationType, Migrator};

use super::migrations::Migration;
use crate::store::StoreError;

/// The table of versions, apart from `_sqlx_migrations`, which belongs to the user.
const TABLE: &str = "jasper_migrations";

/// Executes migrations in a transaction that is open, where a database undoes definitions with it.
pub(crate) fn migrator(migrations: &[Migration]) -> Migrator {
    let migrations = migrations.iter().map(of_driver).collect();
    let mut migrator = Migrator::with_migrations(migrations);
    migrator.dangerous_set_table_name(TABLE);
    // The transaction holds a lock already; the migrator's would outlive it.
    migrator.set_locking(false);
    // Those of newer builds; whether this one may use what they left is known by then.
    migrator.set_ignore_missing(true);
    migrator
}

/// A migration as the driver has it.
fn of_driver(migration: &Migration) -> sqlx::migrate::Migration {
    let (version, description) = (migration.version(), migration.description().into());
    let (kind, script) = (MigrationType::Simple, migration.script.into_sql_str());
    sqlx::migrate::Migration::new(version, description, kind, script, false)
}

/// What an error of the migrator means, given what those of the database mean.
pub(crate) fn error(
    error: MigrateError,
    of_database: impl FnOnce(sqlx::Error) -> StoreError,
) -> StoreError {
    match error {
        MigrateError::Execute(error) | MigrateError::ExecuteMigration(error, _) => {
            of_database(error)
        }
        error => StoreError::Database(error.into()),
    }
}

/// Inserts the row by which the driver knows that it has executed a migration. `bytes` is what a
/// hexadecimal literal of the database begins with, the quote included.
pub(crate) fn insert_version(migration: &Migration, bytes: &str) -> String {
    let (version, name) = (migration.version(), migration.description());
    let checksum: String =
        of_driver(migration).checksum.iter().map(|byte| format!("{byte:02x}")).collect();
    format!(
        "insert into jasper_migrations (version, description, success, checksum, \
         execution_time)\nvalues ({version}, '{name}', true, {bytes}{checksum}', 0)"
    )
}
