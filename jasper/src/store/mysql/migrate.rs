//! The schema and its versions, in a migration table of our own.

use std::time::Duration;

use sqlx::mysql::MySqlConnectOptions;
use sqlx::{AssertSqlSafe, Connection, MySqlConnection};

use super::error::Place;
use super::sql::Names;
use crate::store::StoreError;

/// The versions, with what brings a schema there from the one before.
///
/// A definition commits by itself in MySQL, so that a crash may leave the first statements of a
/// migration done: each of them must be one that can be done again. Neither is any of the driver's
/// migrations, which then wait for a person.
const MIGRATIONS: [(i64, &str); 3] = [
    (1, include_str!("../../../migrations/mysql/0001_create_tables.sql")),
    (2, include_str!("../../../migrations/mysql/0002_nodes_mark_their_sessions.sql")),
    (3, include_str!("../../../migrations/mysql/0003_interrupted_runs.sql")),
];

/// For how long another process may take to upgrade the schema, in seconds.
const PATIENCE: i64 = 60;

/// What waits for a lock that changes a table keeps all others from the table too, also leases.
const SHORT_LOCKS: &str = "set session lock_wait_timeout = 1";

/// How often an upgrade is tried that meets a lock, and how long others have the tables then.
const TRIES: u32 = 20;
const PAUSE: Duration = Duration::from_millis(500);

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
    let mut schema = Schema { connection, names, place };
    // Without the right to change the schema, a process can work with one that is there.
    if schema.version().await? < newest_known() {
        schema.lock().await?;
        schema.execute(SHORT_LOCKS).await?;
        schema.tries().await?;
        schema.unlock().await?;
    }
    schema.connection.close().await.map_err(said)
}

fn newest_known() -> i64 {
    MIGRATIONS.iter().map(|(version, ..)| *version).max().unwrap_or(0)
}

struct Schema<'s> {
    connection: MySqlConnection,
    names: &'s Names,
    place: &'s Place,
}

impl Schema<'_> {
    /// The version that is there, 0 for none. A newer one is used as long as the tables are the
    /// same for this build: nodes of two versions then work side by side.
    async fn version(&mut self) -> Result<i64, StoreError> {
        let table = format!("{}jasper_migrations", self.names.prefix());
        let tables = sqlx::query_scalar(HAS_VERSIONS).bind(table);
        let tables: i64 = tables.fetch_one(&mut self.connection).await.map_err(self.said())?;
        if tables == 0 {
            return Ok(0);
        }
        let newest = sqlx::query_scalar(self.names.statement(NEWEST_VERSION));
        let found: i64 = newest.fetch_one(&mut self.connection).await.map_err(self.said())?;
        let known = newest_known();
        if found <= known {
            return Ok(found);
        }
        let usable_from = sqlx::query_scalar(self.names.statement(USABLE_FROM));
        let usable_from: i64 =
            usable_from.fetch_one(&mut self.connection).await.map_err(self.said())?;
        match usable_from > known {
            true => Err(StoreError::NewerSchema { place: self.place.name(), found, known }),
            false => Ok(found),
        }
    }

    async fn tries(&mut self) -> Result<(), StoreError> {
        let mut tried = 1;
        loop {
            match self.migrate().await {
                Err(StoreError::Busy { .. }) if tried < TRIES => {
                    tried += 1;
                    tokio::time::sleep(PAUSE).await;
                }
                done => return done,
            }
        }
    }

    async fn migrate(&mut self) -> Result<(), StoreError> {
        // Another process may have done it before this one got the lock.
        let found = self.version().await?;
        self.execute(CREATE_VERSIONS).await?;
        for (version, script) in MIGRATIONS {
            if version > found {
                let script = script.replace("{prefix}", self.names.prefix());
                // A file of ours, and a prefix that was found to be nothing else.
                let script = sqlx::raw_sql(AssertSqlSafe(script));
                script.execute(&mut self.connection).await.map_err(self.said())?;
                let add = sqlx::query(self.names.statement(ADD_VERSION)).bind(version);
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
