//! The schema and its versions, in a migration table of our own.

use sqlx::mysql::MySqlConnectOptions;
use sqlx::{AssertSqlSafe, Connection, MySqlConnection, SqlSafeStr, SqlStr};

use super::error::Place;
use super::session::READ_COMMITTED;
use super::sql::{NOW, Names};
use crate::store::sql::migrations::{
    Migration, Question, Schema, Tries, migrations, newest_known, version,
};
use crate::store::sql::schema;
use crate::store::{MigrationScript, StoreError};

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

/// All tables of a store.
const TABLES: [&str; 6] = [
    "jasper_incoming",
    "jasper_outgoing",
    "jasper_dead_letters",
    "jasper_nodes",
    "jasper_schema",
    "jasper_migrations",
];

/// For how long another process may take to upgrade the schema, in seconds.
const PATIENCE: i64 = 60;

/// What waits for a lock that changes a table keeps all others from the table too, also leases.
const SHORT_LOCKS: &str = "set session lock_wait_timeout = 1";

/// The same for a lock of rows.
const SHORT_WAITS: &str = "set session innodb_lock_wait_timeout = 1";

const CREATE_VERSIONS: &str = "\
create table if not exists {migrations} (
    version bigint not null primary key,
    installed_at bigint not null
) engine = InnoDB";

const HAS_TABLE: &str = "\
select count(*) from information_schema.tables where table_schema = database() and table_name = ?";

const NEWEST_VERSION: &str = "select coalesce(max(version), 0) from {migrations}";

const USABLE_FROM: &str = "select usable_from from {schema}";

const ADD_VERSION: &str = "insert into {migrations} (version, installed_at) values (?, {now})";

/// A node that has joined and is gone: its number is the last one.
const LAST_NODE: &str = "insert into {nodes} (name, lease_until, takes) values ('', 0, '')";

/// The most nodes that may join after the last number was read and before the tables are swapped.
const JOINING: u64 = 1_000;

// The name of a lock holds for the whole server, and has 64 characters at most.
const LOCK: &str = "select get_lock(concat('jasper:', sha1(?)), ?)";
const UNLOCK: &str = "select release_lock(concat('jasper:', sha1(?)))";

/// What is to be done with the schema, as errors say it.
const UPGRADE: &str = "make or upgrade the tables";
const REBUILD: &str = "drop the tables and make them anew";
const LOOK: &str = "look at the tables";
const EMPTY: &str = "delete all messages";

/// Where a store has its tables.
#[derive(Clone, Copy)]
pub(super) struct Target<'s> {
    pub(super) options: &'s MySqlConnectOptions,
    pub(super) names: &'s Names,
    pub(super) place: &'s Place,
}

/// Brings the schema to the newest version, while nodes of older builds work with it.
///
/// Processes that start at once do it one after the other.
pub(super) async fn upgrade(target: Target<'_>) -> Result<(), StoreError> {
    let mut work = SchemaWork::begin(target, UPGRADE).await?;
    // Without the right to change the schema, a process can work with one that is there.
    let known = newest_known(MIGRATIONS);
    if version(&mut work, known).await? < known {
        work.lock().await?;
        let mut tries = Tries::default();
        while let Err(error) = work.migrate().await {
            tries.after(error).await?;
        }
        work.unlock().await?;
    }
    work.end().await
}

/// Whether the schema is there as this build needs it.
pub(super) async fn check(target: Target<'_>) -> Result<(), StoreError> {
    let mut work = SchemaWork::begin(target, LOOK).await?;
    schema::check(&mut work, newest_known(MIGRATIONS)).await?;
    work.end().await
}

/// Makes new tables beside those that are there, and exchanges all at once: a definition commits by
/// itself, and nodes at work are to find either those or these.
pub(super) async fn rebuild(target: Target<'_>) -> Result<(), StoreError> {
    let mut work = SchemaWork::begin(target, REBUILD).await?;
    work.lock().await?;
    let mut tries = Tries::default();
    while let Err(error) = work.rebuild().await {
        tries.after(error).await?;
    }
    work.unlock().await?;
    work.end().await
}

/// Deletes all rows of these statements, one process after the other.
pub(super) async fn empty(target: Target<'_>, deletes: &[&SqlStr]) -> Result<(), StoreError> {
    let mut work = SchemaWork::begin(target, EMPTY).await?;
    work.lock().await?;
    work.execute(READ_COMMITTED).await?;
    work.execute(SHORT_WAITS).await?;
    let mut tries = Tries::default();
    while let Err(error) = work.empty(deletes).await {
        tries.after(error).await?;
    }
    work.unlock().await?;
    work.end().await
}

/// The migrations, each with the note that it is done.
pub(super) fn scripts(names: &Names) -> Vec<MigrationScript> {
    let prefix = names.prefix();
    let table = format!("`{prefix}jasper_migrations`");
    let text = |text: &str| text.replace("{migrations}", &table).replace("{now}", NOW);
    let script = |migration: &Migration| {
        let (version, name) = (migration.version(), migration.description());
        let versions = match version {
            1 => format!("{};\n", text(CREATE_VERSIONS)),
            _ => String::new(),
        };
        let script = migration.script.replace("{prefix}", prefix);
        let note = text(ADD_VERSION).replacen('?', &version.to_string(), 1);
        MigrationScript::new(version, name, format!("{versions}{script}\n{note};\n"))
    };
    MIGRATIONS.iter().map(script).collect()
}

struct SchemaWork<'s> {
    connection: MySqlConnection,
    target: Target<'s>,
    /// What it is, as errors say it.
    what: &'static str,
}

impl Schema for SchemaWork<'_> {
    async fn ask(&mut self, question: Question) -> Result<i64, StoreError> {
        let names = self.target.names;
        let answer = match question {
            Question::HasVersions => return self.count(names, "jasper_migrations").await,
            Question::NewestVersion => sqlx::query_scalar(names.statement(NEWEST_VERSION)),
            Question::UsableFrom => sqlx::query_scalar(names.statement(USABLE_FROM)),
        };
        answer.fetch_one(&mut self.connection).await.map_err(self.said())
    }

    fn place(&self) -> String {
        self.target.place.name()
    }
}

impl<'s> SchemaWork<'s> {
    async fn begin(target: Target<'s>, what: &'static str) -> Result<Self, StoreError> {
        let connection = MySqlConnection::connect_with(target.options).await;
        let connection = connection.map_err(|error| target.place.error(error))?;
        // However it ends, the lock ends with the connection.
        let mut work = Self { connection, target, what };
        work.execute(SHORT_LOCKS).await?;
        Ok(work)
    }

    async fn end(self) -> Result<(), StoreError> {
        let said = self.said();
        self.connection.close().await.map_err(said)
    }

    async fn migrate(&mut self) -> Result<(), StoreError> {
        // Another process may have done it before this one got the lock.
        let found = version(self, newest_known(MIGRATIONS)).await?;
        self.migrate_from(found, self.target.names).await
    }

    async fn migrate_from(&mut self, found: i64, names: &Names) -> Result<(), StoreError> {
        self.execute_with(names, CREATE_VERSIONS).await?;
        for migration in MIGRATIONS {
            if migration.version() > found {
                let script = migration.script.replace("{prefix}", names.prefix());
                // A file of ours, and a prefix that was found to be nothing else.
                let script = sqlx::raw_sql(AssertSqlSafe(script));
                script.execute(&mut self.connection).await.map_err(self.said())?;
                let add = sqlx::query(names.statement(ADD_VERSION)).bind(migration.version());
                add.execute(&mut self.connection).await.map_err(self.said())?;
            }
        }
        Ok(())
    }

    async fn rebuild(&mut self) -> Result<(), StoreError> {
        let names = self.target.names;
        let (new, old) = (names.beside('n'), names.beside('o'));
        // What a rebuild that crashed has left.
        self.drop_tables(&new).await?;
        self.drop_tables(&old).await?;
        self.migrate_from(0, &new).await?;
        let mut moves = Vec::new();
        for table in TABLES {
            if self.count(names, table).await? > 0 {
                moves.push((names.table(table), old.table(table)));
            }
        }
        if self.count(names, "jasper_nodes").await? > 0 {
            let next = self.last_node().await?.saturating_add(JOINING);
            let nodes = new.table("jasper_nodes");
            self.execute(&format!("alter table {nodes} auto_increment = {next}")).await?;
        }
        moves.extend(TABLES.map(|table| (new.table(table), names.table(table))));
        let moves: Vec<_> = moves.iter().map(|(from, to)| format!("{from} to {to}")).collect();
        self.execute(&format!("rename table {}", moves.join(", "))).await?;
        self.drop_tables(&old).await
    }

    /// The number of the last node, also of one that is forgotten.
    async fn last_node(&mut self) -> Result<u64, StoreError> {
        let add = sqlx::query(self.target.names.statement(LAST_NODE));
        let added = add.execute(&mut self.connection).await.map_err(self.said())?;
        Ok(added.last_insert_id())
    }

    async fn drop_tables(&mut self, names: &Names) -> Result<(), StoreError> {
        let tables = TABLES.map(|table| names.table(table)).join(", ");
        self.execute(&format!("drop table if exists {tables}")).await
    }

    async fn empty(&mut self, deletes: &[&SqlStr]) -> Result<(), StoreError> {
        let said = self.said();
        let mut transaction = self.connection.begin().await.map_err(&said)?;
        for delete in deletes {
            let delete = sqlx::query(SqlStr::clone(delete));
            delete.execute(&mut *transaction).await.map_err(&said)?;
        }
        transaction.commit().await.map_err(said)
    }

    /// How many tables of this name there are.
    async fn count(&mut self, names: &Names, table: &str) -> Result<i64, StoreError> {
        let count =
            sqlx::query_scalar(HAS_TABLE.into_sql_str()).bind(format!("{}{table}", names.prefix()));
        count.fetch_one(&mut self.connection).await.map_err(self.said())
    }

    async fn execute(&mut self, statement: &str) -> Result<(), StoreError> {
        self.execute_with(self.target.names, statement).await
    }

    async fn execute_with(&mut self, names: &Names, statement: &str) -> Result<(), StoreError> {
        let query = sqlx::query(names.statement(statement));
        query.execute(&mut self.connection).await.map_err(self.said())?;
        Ok(())
    }

    async fn lock(&mut self) -> Result<(), StoreError> {
        let query = sqlx::query_scalar(LOCK).bind(self.target.names.unique()).bind(PATIENCE);
        let locked: Option<i64> =
            query.fetch_one(&mut self.connection).await.map_err(self.said())?;
        match locked {
            Some(1) => Ok(()),
            _ => Err(StoreError::Busy {
                place: self.target.place.name(),
                detail: "another process is changing the tables".to_owned(),
                source: None,
            }),
        }
    }

    async fn unlock(&mut self) -> Result<(), StoreError> {
        let query = sqlx::query(UNLOCK).bind(self.target.names.unique());
        query.execute(&mut self.connection).await.map_err(self.said())?;
        Ok(())
    }

    /// What an error means here.
    fn said(&self) -> impl Fn(sqlx::Error) -> StoreError + use<> {
        let (place, what) = (self.target.place.clone(), self.what);
        move |error| place.schema_error(what, error)
    }
}
