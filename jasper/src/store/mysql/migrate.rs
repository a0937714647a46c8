//! The schema and its versions, in a migration table of our own.

use sqlx::mysql::MySqlConnectOptions;
use sqlx::{AssertSqlSafe, Connection, MySqlConnection, SqlSafeStr};

use super::error::Place;
use super::sql::Names;
use crate::store::StoreError;
use crate::store::sql::migrations::{
    Migration, Question, Schema, Tries, migrations, newest_known, version,
};

/// The versions, with what brings a schema there from the one before.
///
/// A definition commits by itself in MySQL, so that a crash may leave the first statements of a
/// migration done: each of them must be one that can be done again. Neither is any of the driver's
/// migrations, which then wait for a person.
const MIGRATIONS: &[Migration] = migrations!(
    "mysql":
    "0001_create_tables.sql",
    "0002_nodes_mark_their_sessions.sql",
    "0003_interrupted_runs.sql",
);

/// For how long another process may take to upgrade the schema, in seconds.
const PATIENCE: i64 = 60;

/// What waits for a lock that changes a table keeps all others from the table too, also leases.
const SHORT_LOCKS: &str = "set session lock_wait_timeout = 1";

const CREATE_VERSIONS: &str = "\
create table if not exists {migrations} (
    version bigint not null primary key,
    installed_at bigint not null
) engine = InnoDB";

const HAS_VERSIONS: &str = "\
select count(*) from information_schema.tables where table_schema = database() and table_name = ?";

const NEWEST_VERSION: &str = "select coalesce(max(version), 0) from {migrations}";

const USABLE_FROM: &str = "select usable_from from {schema}";

const ADD_VERSION: &str = "insert into {migrations} (version, installed_at) values (?, {now})";

// The name of a lock holds for the whole server, and has 64 characters at most.
const LOCK: &str = "select get_lock(concat('jasper:', sha1(?)), ?)";
const UNLOCK: &str = "select release_lock(concat('jasper:', sha1(?)))";

/// Brings the schema to the newest version, while nodes of older builds work with it.
///
/// Processes that start at once do it one after the other.
pub(super) async fn upgrade(
    options: &MySqlConnectOptions,
    names: &Names,
    place: &Place,
) -> Result<(), StoreError> {
    let said = |error| place.error(error);
    let connection = MySqlConnection::connect_with(options).await.map_err(said)?;
    // However it ends, the lock ends with the connection.
    let mut schema = Upgrade { connection, names, place };
    // Without the right to change the schema, a process can work with one that is there.
    let known = newest_known(MIGRATIONS);
    if version(&mut schema, known).await? < known {
        schema.lock().await?;
        schema.execute(SHORT_LOCKS).await?;
        schema.tries().await?;
        schema.unlock().await?;
    }
    schema.connection.close().await.map_err(said)
}

struct Upgrade<'s> {
    connection: MySqlConnection,
    names: &'s Names,
    place: &'s Place,
}

impl Schema for Upgrade<'_> {
    async fn ask(&mut self, question: Question) -> Result<i64, StoreError> {
        let answer = match question {
            Question::HasVersions => sqlx::query_scalar(HAS_VERSIONS.into_sql_str())
                .bind(format!("{}jasper_migrations", self.names.prefix())),
            Question::NewestVersion => sqlx::query_scalar(self.names.statement(NEWEST_VERSION)),
            Question::UsableFrom => sqlx::query_scalar(self.names.statement(USABLE_FROM)),
        };
        answer.fetch_one(&mut self.connection).await.map_err(self.said())
    }

    fn place(&self) -> String {
        self.place.name()
    }
}

impl Upgrade<'_> {
    async fn tries(&mut self) -> Result<(), StoreError> {
        let mut tries = Tries::default();
        while let Err(error) = self.migrate().await {
            tries.after(error).await?;
        }
        Ok(())
    }

    async fn migrate(&mut self) -> Result<(), StoreError> {
        // Another process may have done it before this one got the lock.
        let found = version(self, newest_known(MIGRATIONS)).await?;
        self.execute(CREATE_VERSIONS).await?;
        for migration in MIGRATIONS {
            if migration.version() > found {
                let script = migration.script.replace("{prefix}", self.names.prefix());
                // A file of ours, and a prefix that was found to be nothing else.
                let script = sqlx::raw_sql(AssertSqlSafe(script));
                script.execute(&mut self.connection).await.map_err(self.said())?;
                let add = sqlx::query(self.names.statement(ADD_VERSION)).bind(migration.version());
                add.execute(&mut self.connection).await.map_err(self.said())?;
            }
        }
        Ok(())
    }

    async fn execute(&mut self, statement: &str) -> Result<(), StoreError> {
        let query = sqlx::query(self.names.statement(statement));
        query.execute(&mut self.connection).await.map_err(self.said())?;
        Ok(())
    }

    async fn lock(&mut self) -> Result<(), StoreError> {
        let query = sqlx::query_scalar(LOCK).bind(self.names.unique()).bind(PATIENCE);
        let locked: Option<i64> =
            query.fetch_one(&mut self.connection).await.map_err(self.said())?;
        match locked {
            Some(1) => Ok(()),
            _ => Err(StoreError::Busy {
                place: self.place.name(),
                detail: "another process is upgrading the tables".to_owned(),
                source: None,
            }),
        }
    }

    async fn unlock(&mut self) -> Result<(), StoreError> {
        let query = sqlx::query(UNLOCK).bind(self.names.unique());
        query.execute(&mut self.connection).await.map_err(self.said())?;
        Ok(())
    }

    /// What an error means here.
    fn said(&self) -> impl Fn(sqlx::Error) -> StoreError {
        let place = self.place.clone();
        move |error| place.error(error)
    }
}
