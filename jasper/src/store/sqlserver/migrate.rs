//! The schema and its versions, in a migration table of our own.

use std::time::Duration;

use super::connection::SqlServerConnection;
use super::error::{Error, Result};
use super::server::Server;
use super::sql::Names;
use crate::store::sql::columns::Columns;
use crate::store::sql::limits::within;
use crate::store::sql::migrations::{
    Migration, Question, Schema, Tries, migrations, newest_known, version,
};
use crate::store::sql::schema;
use crate::store::{MigrationScript, StoreError};

const MIGRATIONS: &[Migration] = migrations!("sqlserver": "0001_create_tables.sql");

/// All or nothing, and no lock of a table is waited for long: what waits for one keeps all others
/// from the table too, also leases.
const BEGIN: &str = "\
set xact_abort on; set lock_timeout 1000; set implicit_transactions off;
begin transaction;
";

const COMMIT: &str = "commit transaction;\n";

/// One lock for all processes that use the schema, until the transaction ends.
const LOCK: &str = "\
declare @locked int;
exec @locked = sp_getapplock @Resource = 'jasper/{name}', @LockMode = 'Exclusive',
    @LockOwner = 'Transaction', @LockTimeout = 60000;
if @locked < 0 throw 51205, 'another process is changing the tables', 1;
";

/// The number of the error with which [`LOCK`] gives up.
const NOT_LOCKED: u32 = 51205;

/// Asked first, as a login that may not create schemas may use one that is there.
const CREATE_SCHEMA: &str = "if schema_id('{name}') is null exec ('create schema {schema}');\n";

const CREATE_VERSIONS: &str = "\
if object_id('{migrations}') is null
    create table {migrations} (
        version bigint not null primary key,
        description nvarchar(200) not null,
        installed_at bigint not null
    );
";

const ADD_VERSION: &str = "\
insert into {migrations} (version, description, installed_at) values ({version}, '{what}', {now});
";

const HAS_VERSIONS: &str = "select cast(count(object_id('{migrations}')) as bigint)";
const NEWEST_VERSION: &str = "select coalesce(max(version), 0) from {migrations}";
const USABLE_FROM: &str = "select usable_from from {schema}.jasper_schema";

const DROP: &str = "\
drop table if exists {incoming};
drop table if exists {outgoing};
drop table if exists {dead_letters};
drop table if exists {nodes};
drop table if exists {schema}.jasper_schema;
drop table if exists {migrations};
";

/// The number of the last node, also of one that is forgotten: that of one more, as no node joins
/// any more once this one has.
const LAST_NODE: &str = "\
if object_id('{nodes}') is not null
    exec ('insert into {nodes} with (tablockx) (name, lease_until, takes)
        output inserted.node values ('''', 0, '''')');
";

/// Numbers go on after this one.
const GO_ON_AFTER: &str = "\
set identity_insert {nodes} on;
insert into {nodes} (node, name, lease_until, takes) values ({number}, '', 0, '');
set identity_insert {nodes} off;
delete from {nodes} where node = {number};
";

/// What is to be done with the schema, as errors say it.
const UPGRADE: &str = "make or upgrade the tables";
const REBUILD: &str = "drop the tables and make them anew";
const LOOK: &str = "look at the tables";
const EMPTY: &str = "delete all messages";

/// For how long a change of the schema may take, the wait for another one included.
const PATIENCE: Duration = Duration::from_secs(120);

/// Where a store has its tables.
#[derive(Clone, Copy)]
pub(super) struct Target<'s> {
    pub(super) server: &'s Server,
    pub(super) names: &'s Names,
}

/// Brings the schema to the newest version, while nodes of older builds work with it.
///
/// All in one transaction under a lock, so that two processes that start at once do it one after
/// the other. Where there is nothing to do, a login may do without the right to change the schema.
pub(super) async fn upgrade(target: Target<'_>) -> Result<(), StoreError> {
    let mut work = SchemaWork::begin(target, UPGRADE).await?;
    let (mut tries, known) = (Tries::default(), newest_known(MIGRATIONS));
    while version(&mut work, known).await? < known {
        if let Err(error) = work.upgrade().await {
            work.undo().await;
            tries.after(error).await?;
        }
    }
    Ok(())
}

/// Whether the schema is there as this build needs it.
pub(super) async fn check(target: Target<'_>) -> Result<(), StoreError> {
    let mut work = SchemaWork::begin(target, LOOK).await?;
    schema::check(&mut work, newest_known(MIGRATIONS)).await
}

/// Drops the tables and makes them anew, in one transaction under the lock of the upgrades. Nodes
/// at work wait for it, and then find that their leases have ended.
pub(super) async fn rebuild(target: Target<'_>) -> Result<(), StoreError> {
    let mut work = SchemaWork::begin(target, REBUILD).await?;
    let mut tries = Tries::default();
    while let Err(error) = work.rebuild().await {
        work.undo().await;
        tries.after(error).await?;
    }
    Ok(())
}

/// Deletes all rows of these statements, in one transaction under the lock of the upgrades: two
/// that did it at once would wait for each other.
pub(super) async fn empty(target: Target<'_>, deletes: &[&str]) -> Result<(), StoreError> {
    let mut work = SchemaWork::begin(target, EMPTY).await?;
    let mut tries = Tries::default();
    while let Err(error) = work.in_transaction(&[LOCK, &deletes.join(";\n"), ";\n"]).await {
        work.undo().await;
        tries.after(error).await?;
    }
    Ok(())
}

/// The migrations with all that the upgrade does around them.
pub(super) fn scripts(names: &Names) -> Vec<MigrationScript> {
    let script = |migration: &Migration| {
        let (version, name) = (migration.version(), migration.description());
        let first =
            if version == 1 { [CREATE_SCHEMA, CREATE_VERSIONS].concat() } else { String::new() };
        let text = [BEGIN, LOCK, &first, migration.script, "\n", &note(migration), COMMIT].concat();
        MigrationScript::new(version, name, statement(names, &text))
    };
    MIGRATIONS.iter().map(script).collect()
}

/// What notes that a migration is done.
fn note(migration: &Migration) -> String {
    let version = migration.version().to_string();
    ADD_VERSION.replace("{version}", &version).replace("{what}", &migration.description())
}

fn statement(names: &Names, text: &str) -> String {
    names.statement(&text.replace("{name}", names.schema()))
}

struct SchemaWork<'s> {
    connection: SqlServerConnection,
    target: Target<'s>,
    /// What it is, as errors say it.
    what: &'static str,
}

impl Schema for SchemaWork<'_> {
    async fn ask(&mut self, question: Question) -> Result<i64, StoreError> {
        let text = match question {
            Question::HasVersions => HAS_VERSIONS,
            Question::NewestVersion => NEWEST_VERSION,
            Question::UsableFrom => USABLE_FROM,
        };
        Ok(self.batch(text).await?.unwrap_or(0))
    }

    fn place(&self) -> String {
        self.target.server.place.name()
    }
}

impl<'s> SchemaWork<'s> {
    async fn begin(target: Target<'s>, what: &'static str) -> Result<Self, StoreError> {
        let connected = target.server.connect().await;
        let (connection, _name) = connected.map_err(|error| target.server.place.error(error))?;
        Ok(Self { connection, target, what })
    }

    async fn upgrade(&mut self) -> Result<(), StoreError> {
        self.batch(&[BEGIN, LOCK, CREATE_SCHEMA, CREATE_VERSIONS].concat()).await?;
        // Another process may have upgraded it further before this one got the lock.
        let found = version(self, newest_known(MIGRATIONS)).await?;
        self.migrate_from(found).await?;
        self.batch(COMMIT).await.map(drop)
    }

    async fn migrate_from(&mut self, found: i64) -> Result<(), StoreError> {
        for migration in MIGRATIONS {
            if migration.version() > found {
                self.batch(migration.script).await?;
                self.batch(&note(migration)).await?;
            }
        }
        Ok(())
    }

    async fn rebuild(&mut self) -> Result<(), StoreError> {
        self.batch(&[BEGIN, LOCK, CREATE_SCHEMA].concat()).await?;
        let last_node = self.batch(LAST_NODE).await?;
        self.batch(&[DROP, CREATE_VERSIONS].concat()).await?;
        self.migrate_from(0).await?;
        if let Some(number) = last_node {
            self.batch(&GO_ON_AFTER.replace("{number}", &number.to_string())).await?;
        }
        self.batch(COMMIT).await.map(drop)
    }

    async fn in_transaction(&mut self, texts: &[&str]) -> Result<(), StoreError> {
        self.batch(&[BEGIN, &texts.concat(), COMMIT].concat()).await.map(drop)
    }

    /// After an error nothing is to be left open.
    async fn undo(&mut self) {
        // Where that fails too, the next statement says so.
        let _ = self.batch("if @@trancount > 0 rollback transaction").await;
    }

    /// The number that a batch answers with, if it does.
    async fn batch(&mut self, text: &str) -> Result<Option<i64>, StoreError> {
        let text = statement(self.target.names, text);
        let answer = async {
            let rows = self.connection.batch(&text).await?;
            rows.last().map(|row| row.number(0)).transpose()
        };
        within(PATIENCE, answer).await?.map_err(|error| self.said(error))
    }

    /// What an error means here.
    fn said(&self, error: Error) -> StoreError {
        let place = &self.target.server.place;
        match error {
            Error::Driver(said) if said.code() == Some(NOT_LOCKED) => {
                let detail = "another process is changing the tables".to_owned();
                StoreError::Busy { place: place.name(), detail, source: None }
            }
            error => place.schema_error(self.what, error),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_that_changes_the_schema_is_as_it_was_reviewed() {
        let names = Names::of("shop").expect("a schema");
        let scripts = scripts(&names).into_iter().map(|script| script.sql);
        let others =
            [HAS_VERSIONS, NEWEST_VERSION, USABLE_FROM, LAST_NODE, DROP, GO_ON_AFTER, LOCK];
        let others = others.map(|text| statement(&names, text));
        let texts: Vec<String> = scripts.chain(others).collect();
        insta::assert_snapshot!(texts.join("\n----\n"));
    }
}
