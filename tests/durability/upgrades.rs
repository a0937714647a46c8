//! Schemas of other versions: an older one is upgraded with its rows, and a newer one is used as
//! long as it says that it may be.

#[path = "../mariadb_database.rs"]
mod mariadb_database;
#[path = "../postgres_schema.rs"]
mod postgres_schema;

use std::time::{Duration, Instant};

use jasper::envelope::{Envelope, MessageId};
use jasper::message::Message;
use jasper::prelude::*;
use jasper::store::mysql::MysqlStore;
use jasper::store::postgres::PostgresStore;
use jasper::store::{MessageStore, StoreError};
use mariadb_database::Database;
use postgres_schema::Schema;
use serde::{Deserialize, Serialize};
use sqlx::migrate::{Migration, MigrationType, Migrator};
use sqlx::sqlite::SqliteConnectOptions;
use sqlx::{
    AssertSqlSafe, ConnectOptions, Connection, MySqlConnection, PgConnection, SqlSafeStr,
    SqliteConnection,
};
use tempfile::TempDir;
use tests::Journal;
use tests::servers::postgres_url;
use tokio::time::timeout;
use uuid::Uuid;

/// Less than the store waits for a lock.
const STUCK: Duration = Duration::from_secs(10);

const ID: Uuid = Uuid::from_u128(0x0190_0000_0000_7000_8000_0000_0000_0007);

const SQLITE: [&str; 3] = [
    include_str!("../../migrations/sqlite/0001_create_tables.sql"),
    include_str!("../../migrations/sqlite/0002_nodes_say_what_they_take.sql"),
    include_str!("../../migrations/sqlite/0003_claim_by_subscription.sql"),
];
const POSTGRES: [&str; 1] = [include_str!("../../migrations/postgres/0001_create_tables.sql")];
const MYSQL: &str = include_str!("../../migrations/mysql/0001_create_tables.sql");

/// For how long others may be kept from a table by an upgrade that waits for it.
const SHORT: Duration = Duration::from_secs(4);

#[derive(Command, Serialize, Deserialize)]
struct Work {
    number: u32,
}

#[handler]
async fn work(cmd: Work, journal: State<Journal>) {
    journal.note(cmd.number.to_string());
}

/// What an older build has left: the columns that a message cannot do without. The number of the
/// message is 7.
const OLD_ROW: &str = "insert into jasper_incoming
    (id, destination, status, owner, attempts, message_type, body, sent_at)
    values ({id}, 'local://work/work', 'incoming', 0, 0, '{type}', {body}, 1)";

/// The row as this database writes bytes.
fn old_row(id: &str, bytes: fn(&str) -> String) -> AssertSqlSafe<String> {
    let payload = serde_json::to_vec(&Work { number: 7 }).unwrap().into();
    let to = "local://work/work".parse().unwrap();
    let mut envelope = Envelope::new(Work::TYPE, "application/json", payload, to);
    envelope.id = MessageId::from(ID);
    let hex: String = envelope.to_bytes().iter().map(|byte| format!("{byte:02x}")).collect();
    let row = OLD_ROW.replace("{type}", &Work::TYPE.to_string());
    AssertSqlSafe(row.replace("{id}", id).replace("{body}", &bytes(&hex)))
}

/// Upgrades the schema, and lets an application handle what is there.
async fn upgrade_and_handle(store: impl MessageStore) {
    let journal = Journal::default();
    let app =
        Jasper::builder().store(store).state(journal.clone()).handler(work).start().await.unwrap();
    app.until_idle().await.unwrap();
    app.bus().send(Work { number: 8 }).await.unwrap();
    app.until_idle().await.unwrap();
    app.stop().await.unwrap();
    assert_eq!(journal.sorted(), ["7", "8"]);
}

fn migrator(scripts: &'static [&str]) -> Migrator {
    let migration = |(version, script): (i64, &&'static str)| {
        let description = format!("version {version}").into();
        let script = (*script).into_sql_str();
        Migration::new(version, description, MigrationType::Simple, script, false)
    };
    let mut migrator = Migrator::with_migrations((1..).zip(scripts).map(migration).collect());
    migrator.dangerous_set_table_name("jasper_migrations");
    migrator.set_locking(false);
    migrator
}

/// Refused in these words, with the version found and one that is known.
async fn assert_refused(store: &impl MessageStore) {
    let error = store.admin().prepare().await.unwrap_err();
    let StoreError::NewerSchema { place, found: 4711, known } = &error else {
        panic!("{error:?}");
    };
    assert_eq!(
        error.to_string(),
        format!(
            "`{place}` has schema version 4711, and this build knows up to {known}; run a build at \
             least as new as the one that upgraded it"
        )
    );
}

// ---- SQLite ----------------------------------------------------------------------------------

struct File {
    _folder: TempDir,
    options: SqliteConnectOptions,
}

impl File {
    fn new() -> Self {
        let folder = TempDir::new().unwrap();
        let options = SqliteConnectOptions::new().filename(folder.path().join("test.db"));
        Self { options: options.create_if_missing(true), _folder: folder }
    }

    async fn connect(&self) -> SqliteConnection {
        self.options.connect().await.unwrap()
    }

    async fn store(&self) -> SqliteStore {
        SqliteStore::open_with(self.options.clone()).await.unwrap()
    }
}

#[tokio::test]
async fn an_older_schema_in_sqlite_is_upgraded_with_its_rows() {
    let file = File::new();
    let mut old = file.connect().await;
    migrator(&SQLITE).run_direct(None, &mut old, false).await.unwrap();
    let row = old_row("x'01900000000070008000000000000007'", |hex| format!("x'{hex}'"));
    sqlx::query(row).execute(&mut old).await.unwrap();
    old.close().await.unwrap();
    upgrade_and_handle(file.store().await).await;
}

#[tokio::test]
async fn a_newer_schema_in_sqlite_is_used_where_it_may_be() {
    let file = File::new();
    file.store().await.admin().prepare().await.unwrap();
    let mut newer = file.connect().await;
    let migration = "insert into jasper_migrations
        (version, description, success, checksum, execution_time)
        values (4711, 'from the future', true, x'00', 0);
        alter table jasper_nodes add column more text";
    sqlx::raw_sql(migration).execute(&mut newer).await.unwrap();
    let row = old_row("x'01900000000070008000000000000007'", |hex| format!("x'{hex}'"));
    sqlx::query(row).execute(&mut newer).await.unwrap();
    upgrade_and_handle(file.store().await).await;

    let breaking = "update jasper_schema set usable_from = 4711";
    sqlx::query(breaking).execute(&mut newer).await.unwrap();
    assert_refused(&file.store().await).await;
}

/// There are no roles; one that may only use the tables is one that locks nothing to look at them.
#[tokio::test]
async fn a_finished_schema_in_sqlite_is_not_locked_at_the_start() {
    let file = File::new();
    file.store().await.admin().prepare().await.unwrap();
    let mut writer = file.connect().await;
    let writing = writer.begin_with("begin immediate").await.unwrap();
    timeout(STUCK, file.store().await.admin().prepare()).await.unwrap().unwrap();
    writing.rollback().await.unwrap();
}

// ---- PostgreSQL ------------------------------------------------------------------------------

const POSTGRES_ID: &str = "'01900000-0000-7000-8000-000000000007'";

async fn old_postgres(schema: &Schema) -> PgConnection {
    let mut old = PgConnection::connect(&postgres_url()).await.unwrap();
    let name = &schema.name;
    let create = format!("create schema {name}; set search_path to {name}");
    sqlx::raw_sql(AssertSqlSafe(create)).execute(&mut old).await.unwrap();
    migrator(&POSTGRES).run_direct(None, &mut old, false).await.unwrap();
    let row = old_row(POSTGRES_ID, |hex| format!("'\\x{hex}'"));
    sqlx::query(row).execute(&mut old).await.unwrap();
    old
}

#[tokio::test]
async fn an_older_schema_in_postgres_is_upgraded_with_its_rows() {
    let schema = Schema::new();
    old_postgres(&schema).await;
    upgrade_and_handle(schema.connect().await).await;
}

#[tokio::test]
async fn a_newer_schema_in_postgres_is_used_where_it_may_be() {
    let (store, _schema) = Schema::open().await;
    let newer = "insert into jasper_migrations
        (version, description, success, checksum, execution_time)
        values (4711, 'from the future', true, '', 0);
        alter table jasper_nodes add column more text";
    sqlx::raw_sql(newer).execute(store.pool()).await.unwrap();
    let row = old_row(POSTGRES_ID, |hex| format!("'\\x{hex}'"));
    sqlx::query(row).execute(store.pool()).await.unwrap();
    upgrade_and_handle(store.clone()).await;

    let breaking = "update jasper_schema set usable_from = 4711";
    sqlx::query(breaking).execute(store.pool()).await.unwrap();
    assert_refused(&store).await;
}

#[tokio::test]
async fn an_upgrade_of_postgres_keeps_no_lease_waiting_for_long() {
    let schema = Schema::new();
    let mut old = old_postgres(&schema).await;
    let mut reader = schema.connect().await.pool().begin().await.unwrap();
    sqlx::query("select * from jasper_nodes").fetch_all(&mut *reader).await.unwrap();
    let store = schema.connect().await;
    let upgrade = tokio::spawn(async move { store.admin().prepare().await });
    for _renewal in 0..3 {
        let begun = Instant::now();
        let join = "insert into jasper_nodes (name, lease_until, takes) values ('old', 1, '')";
        sqlx::query(join).execute(&mut old).await.unwrap();
        assert!(begun.elapsed() < SHORT, "{:?}", begun.elapsed());
        assert!(!upgrade.is_finished(), "the reader keeps it waiting");
        // Real time: the upgrade is to meet the lock meanwhile.
        tokio::time::sleep(Duration::from_millis(500)).await;
    }
    reader.commit().await.unwrap();
    upgrade.await.unwrap().unwrap();
}

#[tokio::test]
async fn a_role_that_may_not_change_the_schema_of_postgres_can_work_with_it() {
    let (store, schema) = Schema::open().await;
    let role = format!("worker_{}", schema.name);
    let grant = format!(
        "create role {role} login;
         grant usage on schema {name} to {role};
         grant select, insert, update, delete on all tables in schema {name} to {role}",
        name = schema.name
    );
    sqlx::raw_sql(AssertSqlSafe(grant)).execute(store.pool()).await.unwrap();
    let row = old_row(POSTGRES_ID, |hex| format!("'\\x{hex}'"));
    sqlx::query(row).execute(store.pool()).await.unwrap();

    let url = postgres_url().replace("postgres@", &format!("{role}@"));
    let worker: PostgresStore = schema.connect_to(&url).await;
    upgrade_and_handle(worker).await;
    let drop_role = format!("drop owned by {role}; drop role {role}");
    sqlx::raw_sql(AssertSqlSafe(drop_role)).execute(store.pool()).await.unwrap();
}

// ---- MySQL and MariaDB -----------------------------------------------------------------------

const MYSQL_ID: &str = "x'01900000000070008000000000000007'";

async fn old_mysql(database: &Database) -> MySqlConnection {
    let mut old = MySqlConnection::connect(database.url()).await.unwrap();
    let versions = "create table jasper_migrations (
        version bigint not null primary key, installed_at bigint not null
    ) engine = InnoDB;
    insert into jasper_migrations values (1, 0)";
    let tables = format!("{}{versions}", MYSQL.replace("{prefix}", ""));
    sqlx::raw_sql(AssertSqlSafe(tables)).execute(&mut old).await.unwrap();
    let row = old_row(MYSQL_ID, |hex| format!("x'{hex}'"));
    sqlx::query(row).execute(&mut old).await.unwrap();
    old
}

#[tokio::test]
async fn an_older_schema_in_mysql_is_upgraded_with_its_rows() {
    let database = Database::create().await;
    old_mysql(&database).await;
    upgrade_and_handle(MysqlStore::connect(database.url()).await.unwrap()).await;
}

#[tokio::test]
async fn an_upgrade_of_mysql_that_crashed_half_way_is_finished() {
    let database = Database::create().await;
    let mut old = old_mysql(&database).await;
    let store = MysqlStore::connect(database.url()).await.unwrap();
    store.admin().prepare().await.unwrap();
    // All is done but the note that it is.
    let forget = "delete from jasper_migrations where version > 1";
    sqlx::query(forget).execute(&mut old).await.unwrap();
    upgrade_and_handle(store).await;
}

#[tokio::test]
async fn a_newer_schema_in_mysql_is_used_where_it_may_be() {
    let database = Database::create().await;
    let store = MysqlStore::connect(database.url()).await.unwrap();
    store.admin().prepare().await.unwrap();
    let newer = "insert into jasper_migrations values (4711, 0);
        alter table jasper_nodes add column more text";
    sqlx::raw_sql(newer).execute(store.pool()).await.unwrap();
    let row = old_row(MYSQL_ID, |hex| format!("x'{hex}'"));
    sqlx::query(row).execute(store.pool()).await.unwrap();
    upgrade_and_handle(store.clone()).await;

    let breaking = "update jasper_schema set usable_from = 4711";
    sqlx::query(breaking).execute(store.pool()).await.unwrap();
    assert_refused(&store).await;
}

#[tokio::test]
async fn a_user_who_may_not_change_the_schema_of_mysql_can_work_with_it() {
    let database = Database::create().await;
    let store = MysqlStore::connect(database.url()).await.unwrap();
    store.admin().prepare().await.unwrap();
    let row = old_row(MYSQL_ID, |hex| format!("x'{hex}'"));
    sqlx::query(row).execute(store.pool()).await.unwrap();
    let (_, name) = database.url().rsplit_once('/').unwrap();
    let user = format!("worker_{}", std::process::id());
    let grant =
        format!("create user {user}; grant select, insert, update, delete on {name}.* to {user}");
    sqlx::raw_sql(AssertSqlSafe(grant)).execute(store.pool()).await.unwrap();
    let url = database.url().replace("root@", &format!("{user}@"));
    upgrade_and_handle(MysqlStore::connect(&url).await.unwrap()).await;
    let drop_user = format!("drop user {user}");
    sqlx::raw_sql(AssertSqlSafe(drop_user)).execute(store.pool()).await.unwrap();
}

#[tokio::test]
async fn an_upgrade_of_mysql_keeps_no_lease_waiting_for_long() {
    let database = Database::create().await;
    let mut old = old_mysql(&database).await;
    let mut reader = MySqlConnection::connect(database.url()).await.unwrap();
    let mut reader = reader.begin().await.unwrap();
    sqlx::query("select * from jasper_nodes").fetch_all(&mut *reader).await.unwrap();
    let store = MysqlStore::connect(database.url()).await.unwrap();
    let upgrade = tokio::spawn(async move { store.admin().prepare().await });
    for _renewal in 0..3 {
        let begun = Instant::now();
        let join = "insert into jasper_nodes (name, lease_until, takes) values ('old', 1, '')";
        sqlx::query(join).execute(&mut old).await.unwrap();
        assert!(begun.elapsed() < SHORT, "{:?}", begun.elapsed());
        assert!(!upgrade.is_finished(), "the reader keeps it waiting");
        // Real time: the upgrade is to meet the lock meanwhile.
        tokio::time::sleep(Duration::from_millis(500)).await;
    }
    reader.commit().await.unwrap();
    upgrade.await.unwrap().unwrap();
}
