//! The schema and its versions, in a migration table of our own.

use sqlx::{Connection, PgConnection, SqlStr};

use super::internal_pool::InternalPool;
use super::sql::Names;
use crate::store::sql::migrations::{
    Migration, Question, Schema, Tries, migrations, newest_known, version,
};
use crate::store::sql::{schema, sqlx_migrations};
use crate::store::{MigrationScript, StoreError};

const MIGRATIONS: &[Migration] = migrations!(
    "postgres":
    "0001_create_tables.sql",
    "0002_nodes_mark_their_sessions.sql",
    "0003_interrupted_runs.sql",
);

/// One number for all schemas of a database, held until the transaction ends.
const LOCK: &str = "select pg_advisory_xact_lock(7527903847203)";

/// Asked first, as a role that may not create schemas may use one that is there.
const HAS_SCHEMA: &str = "select exists (select from pg_namespace where nspname = $1)";

const CREATE_SCHEMA: &str = "create schema {schema}";
const CREATE_SCHEMA_BY_HAND: &str = "create schema if not exists {schema}";
const USE_SCHEMA: &str = "set local search_path to {schema}";

/// What waits for a lock that changes a table keeps all others from the table too, also leases.
const SHORT_LOCKS: &str = "set local lock_timeout = '1s'";

const HAS_VERSIONS: &str = "select count(to_regclass('{migrations}'))";
const NEWEST_VERSION: &str = "select coalesce(max(version), 0) from {migrations}";
const USABLE_FROM: &str = "select usable_from from {schema}.jasper_schema";

const DROP: &str = "\
drop table if exists
    {commit_guard}, {incoming}, {outgoing}, {dead_letters}, {nodes}, {schema}.jasper_schema,
    {migrations}";

const HAS_NODES: &str = "select count(to_regclass('{nodes}'))";
const LOCK_NODES: &str = "lock table {nodes} in access exclusive mode";

/// The number of the last node, also of one that is forgotten.
const LAST_NODE: &str = "\
select coalesce(max(last_value), 0) from pg_sequences
where schemaname = $1 and sequencename = 'jasper_nodes_node_seq'";

const GO_ON_AFTER: &str = "select setval('{schema}.jasper_nodes_node_seq', $1)";

/// As the driver makes it.
const CREATE_VERSIONS: &str = "\
create table if not exists jasper_migrations (
    version bigint primary key,
    description text not null,
    installed_on timestamptz not null default now(),
    success boolean not null,
    checksum bytea not null,
    execution_time bigint not null
)";

/// What is to be done with the schema, as errors say it.
const UPGRADE: &str = "make or upgrade the tables";
const REBUILD: &str = "drop the tables and make them anew";
const LOOK: &str = "look at the tables";
const EMPTY: &str = "delete all messages";

/// Brings the schema to the newest version, while nodes of older builds work with it.
///
/// All in one transaction under a lock, so that two processes that start at once do it one after
/// the other; on a connection of its own, as that transaction has another search path. Where there
/// is nothing to do, a role may do without the right to change the schema.
pub(super) async fn upgrade(internal: &InternalPool) -> Result<(), StoreError> {
    let mut connection = connect(internal).await?;
    let (mut tries, known) = (Tries::default(), newest_known(MIGRATIONS));
    while version(&mut Asked { connection: &mut connection, internal }, known).await? < known {
        if let Err(error) = upgrade_on(&mut connection, internal).await {
            tries.after(error).await?;
        }
    }
    connection.close().await.map_err(|error| internal.error(error))
}

/// Whether the schema is there as this build needs it.
pub(super) async fn check(internal: &InternalPool) -> Result<(), StoreError> {
    let mut connection = connect(internal).await?;
    let mut asked = Asked { connection: &mut connection, internal };
    schema::check(&mut asked, newest_known(MIGRATIONS)).await?;
    connection.close().await.map_err(|error| internal.error(error))
}

/// Drops the tables and makes them anew, in one transaction under the lock of the upgrades. Nodes
/// at work wait for it, and then find that their leases have ended.
pub(super) async fn rebuild(internal: &InternalPool) -> Result<(), StoreError> {
    let mut connection = connect(internal).await?;
    let mut tries = Tries::default();
    while let Err(error) = rebuild_on(&mut connection, internal).await {
        tries.after(error).await?;
    }
    internal.start_over();
    connection.close().await.map_err(|error| internal.error(error))
}

/// Deletes all rows of these statements, in one transaction under the lock of the upgrades: two
/// that did it at once would wait for each other.
pub(super) async fn empty(internal: &InternalPool, deletes: &[&SqlStr]) -> Result<(), StoreError> {
    let mut connection = connect(internal).await?;
    let mut tries = Tries::default();
    while let Err(error) = empty_on(&mut connection, deletes).await {
        tries.after(internal.place.schema_error(EMPTY, error)).await?;
    }
    connection.close().await.map_err(|error| internal.error(error))
}

/// The migrations with all that the upgrade does around them.
pub(super) fn scripts(names: &Names) -> Vec<MigrationScript> {
    let statement = |text| names.statement(text).as_str().to_owned();
    let begin = format!("begin;\n{LOCK};\n");
    let first = format!("{};\n", statement(CREATE_SCHEMA_BY_HAND));
    let (use_schema, versions) = (statement(USE_SCHEMA), format!("{CREATE_VERSIONS};\n"));
    let script = |migration: &Migration| {
        let (version, name) = (migration.version(), migration.description());
        let (note, script) = (sqlx_migrations::insert_version(migration, "'\\x"), migration.script);
        let (create, versions) = match version {
            1 => (&*first, &*versions),
            _ => ("", ""),
        };
        let sql = format!("{begin}{create}{use_schema};\n{versions}{script}\n{note};\ncommit;\n");
        MigrationScript::new(version, name, sql)
    };
    MIGRATIONS.iter().map(script).collect()
}

async fn connect(internal: &InternalPool) -> Result<PgConnection, StoreError> {
    let options = internal.pool.current().connect_options();
    PgConnection::connect_with(&options).await.map_err(|error| internal.error(error))
}

async fn upgrade_on(
    connection: &mut PgConnection,
    internal: &InternalPool,
) -> Result<(), StoreError> {
    let said = |error| internal.place.schema_error(UPGRADE, error);
    let mut transaction = connection.begin().await.map_err(said)?;
    create_schema(&mut transaction, &internal.names).await.map_err(said)?;
    // Another process may have upgraded it further before this one got the lock.
    let mut asked = Asked { connection: &mut transaction, internal };
    version(&mut asked, newest_known(MIGRATIONS)).await?;
    migrate(&mut transaction, said).await?;
    transaction.commit().await.map_err(said)
}

async fn rebuild_on(
    connection: &mut PgConnection,
    internal: &InternalPool,
) -> Result<(), StoreError> {
    let (names, said) = (&internal.names, |error| internal.place.schema_error(REBUILD, error));
    let mut transaction = connection.begin().await.map_err(said)?;
    create_schema(&mut transaction, names).await.map_err(said)?;
    let last_node = drop_tables(&mut transaction, names).await.map_err(said)?;
    migrate(&mut transaction, said).await?;
    if last_node > 0 {
        let go_on = sqlx::query(names.statement(GO_ON_AFTER)).bind(last_node);
        go_on.execute(&mut *transaction).await.map_err(said)?;
    }
    transaction.commit().await.map_err(said)
}

/// The number of the last node, which no other is to have again.
async fn drop_tables(connection: &mut PgConnection, names: &Names) -> sqlx::Result<i64> {
    let has_nodes: i64 =
        sqlx::query_scalar(names.statement(HAS_NODES)).fetch_one(&mut *connection).await?;
    if has_nodes > 0 {
        // No node joins any more once its number is read.
        sqlx::query(names.statement(LOCK_NODES)).execute(&mut *connection).await?;
    }
    let last_node = sqlx::query_scalar(LAST_NODE).bind(names.schema());
    let last_node = last_node.fetch_one(&mut *connection).await?;
    sqlx::query(names.statement(DROP)).execute(connection).await?;
    Ok(last_node)
}

async fn migrate(
    connection: &mut PgConnection,
    said: impl FnOnce(sqlx::Error) -> StoreError,
) -> Result<(), StoreError> {
    // `run` would do, but the compiler cannot tell that its future may move between threads.
    let migrated = sqlx_migrations::migrator(MIGRATIONS).run_direct(None, connection, false).await;
    migrated.map_err(|error| sqlx_migrations::error(error, said))
}

async fn empty_on(connection: &mut PgConnection, deletes: &[&SqlStr]) -> sqlx::Result<()> {
    let mut transaction = connection.begin().await?;
    sqlx::query(LOCK).execute(&mut *transaction).await?;
    sqlx::query(SHORT_LOCKS).execute(&mut *transaction).await?;
    for delete in deletes {
        sqlx::query(SqlStr::clone(delete)).execute(&mut *transaction).await?;
    }
    transaction.commit().await
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

struct Asked<'s> {
    connection: &'s mut PgConnection,
    internal: &'s InternalPool,
}

impl Schema for Asked<'_> {
    async fn ask(&mut self, question: Question) -> Result<i64, StoreError> {
        let statement = self.internal.names.statement(match question {
            Question::HasVersions => HAS_VERSIONS,
            Question::NewestVersion => NEWEST_VERSION,
            Question::UsableFrom => USABLE_FROM,
        });
        let answer = sqlx::query_scalar(statement).fetch_one(&mut *self.connection).await;
        answer.map_err(|error| self.internal.place.schema_error(LOOK, error))
    }

    fn place(&self) -> String {
        self.internal.place.name()
    }
}
