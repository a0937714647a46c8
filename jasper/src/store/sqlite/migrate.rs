//! The schema and its versions, in a migration table of our own.

use sqlx::{Connection, SqliteConnection, SqlitePool};

use super::error::Place;
use crate::store::sql::migrations::{
    Migration, Question, Schema, Tries, migrations, newest_known, version,
};
use crate::store::sql::{schema, sqlx_migrations};
use crate::store::{MigrationScript, StoreError};

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

const DROP: &str = "\
drop table if exists jasper_incoming;
drop table if exists jasper_outgoing;
drop table if exists jasper_dead_letters;
drop table if exists jasper_nodes;
drop table if exists jasper_schema;
drop table if exists jasper_migrations";

/// SQLite makes this table with the first number of its kind.
const HAS_NUMBERS: &str = "select count(*) from sqlite_schema where name = 'sqlite_sequence'";

/// The number of the last node, also of one that is forgotten.
const LAST_NODE: &str =
    "select coalesce(max(seq), 0) from sqlite_sequence where name = 'jasper_nodes'";

const GO_ON_AFTER: &str = "insert into sqlite_sequence (name, seq) values ('jasper_nodes', ?)";

/// As the driver makes it.
const CREATE_VERSIONS: &str = "\
create table if not exists jasper_migrations (
    version bigint primary key,
    description text not null,
    installed_on timestamp not null default current_timestamp,
    success boolean not null,
    checksum blob not null,
    execution_time bigint not null
)";

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
    migrate(&mut transaction, place).await?;
    transaction.commit().await.map_err(said)
}

/// Whether the schema is there as this build needs it.
pub(super) async fn check(
    connection: &mut SqliteConnection,
    place: &Place,
) -> Result<(), StoreError> {
    schema::check(&mut Asked { connection, place }, newest_known(MIGRATIONS)).await
}

/// Drops the tables and makes them anew, in one write transaction.
pub(super) async fn rebuild(pool: &SqlitePool, place: &Place) -> Result<(), StoreError> {
    let mut tries = Tries::default();
    while let Err(error) = rebuild_once(pool, place).await {
        tries.after(error).await?;
    }
    Ok(())
}

/// The migrations with all that the upgrade does around them.
pub(super) fn scripts() -> Vec<MigrationScript> {
    let script = |migration: &Migration| {
        let (version, name) = (migration.version(), migration.description());
        let (note, script) = (sqlx_migrations::insert_version(migration, "x'"), migration.script);
        let versions = match version {
            1 => format!("{CREATE_VERSIONS};\n"),
            _ => String::new(),
        };
        let sql = format!("begin immediate;\n{versions}{script}\n{note};\ncommit;\n");
        MigrationScript::new(version, name, sql)
    };
    MIGRATIONS.iter().map(script).collect()
}

async fn rebuild_once(pool: &SqlitePool, place: &Place) -> Result<(), StoreError> {
    let said = |error| place.error(error);
    let mut connection = pool.acquire().await.map_err(said)?;
    let mut transaction = connection.begin_with("begin immediate").await.map_err(said)?;
    let last_node = drop_tables(&mut transaction).await.map_err(said)?;
    migrate(&mut transaction, place).await?;
    if last_node > 0 {
        let go_on = sqlx::query(GO_ON_AFTER).bind(last_node);
        go_on.execute(&mut *transaction).await.map_err(said)?;
    }
    transaction.commit().await.map_err(said)
}

/// The number of the last node, which no other is to have again.
async fn drop_tables(connection: &mut SqliteConnection) -> sqlx::Result<i64> {
    let has_numbers: i64 = sqlx::query_scalar(HAS_NUMBERS).fetch_one(&mut *connection).await?;
    let last_node = match has_numbers {
        0 => 0,
        _ => sqlx::query_scalar(LAST_NODE).fetch_one(&mut *connection).await?,
    };
    sqlx::raw_sql(DROP).execute(connection).await?;
    Ok(last_node)
}

async fn migrate(connection: &mut SqliteConnection, place: &Place) -> Result<(), StoreError> {
    // `run` would do, but the compiler cannot tell that its future may move between threads.
    let migrated = sqlx_migrations::migrator(MIGRATIONS).run_direct(None, connection, false).await;
    migrated.map_err(|error| sqlx_migrations::error(error, |error| place.error(error)))
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
