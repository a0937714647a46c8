//! The schema and its versions, in a migration table of our own.

use sqlx::{Connection, PgConnection};

use super::internal_pool::InternalPool;
use super::sql::Names;
use crate::store::StoreError;
use crate::store::sql::migrations::{
    self, Migration, Question, Schema, Tries, migrations, migrator, newest_known, version,
};

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
const USE_SCHEMA: &str = "set local search_path to {schema}";

/// What waits for a lock that changes a table keeps all others from the table too, also leases.
const SHORT_LOCKS: &str = "set local lock_timeout = '1s'";

const HAS_VERSIONS: &str = "select count(to_regclass('{migrations}'))";
const NEWEST_VERSION: &str = "select coalesce(max(version), 0) from {migrations}";
const USABLE_FROM: &str = "select usable_from from {schema}.jasper_schema";

/// Brings the schema to the newest version, while nodes of older builds work with it.
///
/// All in one transaction under a lock, so that two processes that start at once do it one after
/// the other; on a connection of its own, as that transaction has another search path. Where there
/// is nothing to do, a role may do without the right to change the schema.
pub(super) async fn upgrade(internal: &InternalPool) -> Result<(), StoreError> {
    let said = |error| internal.error(error);
    let options = internal.pool.current().connect_options();
    let mut connection = PgConnection::connect_with(&options).await.map_err(said)?;
    let (mut tries, known) = (Tries::default(), newest_known(MIGRATIONS));
    while version(&mut Asked { connection: &mut connection, internal }, known).await? < known {
        if let Err(error) = upgrade_on(&mut connection, internal).await {
            tries.after(error).await?;
        }
    }
    connection.close().await.map_err(said)
}

async fn upgrade_on(
    connection: &mut PgConnection,
    internal: &InternalPool,
) -> Result<(), StoreError> {
    let said = |error| internal.error(error);
    let mut transaction = connection.begin().await.map_err(said)?;
    create_schema(&mut transaction, &internal.names).await.map_err(said)?;
    // Another process may have upgraded it further before this one got the lock.
    let mut asked = Asked { connection: &mut transaction, internal };
    version(&mut asked, newest_known(MIGRATIONS)).await?;
    // `run` would do, but the compiler cannot tell that its future may move between threads.
    let migrated = migrator(MIGRATIONS).run_direct(None, &mut *transaction, false).await;
    migrated.map_err(|error| migrations::error(error, said))?;
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
        answer.map_err(|error| self.internal.error(error))
    }

    fn place(&self) -> String {
        self.internal.place.name()
    }
}
