//! What a start does with the schema of its store, and what a running application may do with it.

#[path = "../mariadb_database.rs"]
mod mariadb_database;
#[path = "provisioning/on_sqlserver.rs"]
mod on_sqlserver;
#[path = "../postgres_schema.rs"]
mod postgres_schema;
#[path = "../sqlserver_schema.rs"]
mod sqlserver_schema;

use std::sync::Arc;
use std::time::Duration;

use jasper::prelude::*;
use jasper::store::memory::MemoryStore;
use jasper::store::mysql::MysqlStore;
use jasper::store::postgres::PostgresStore;
use jasper::store::{Counts, MessageStore, StoreError};
use jasper::{Error, SendError};
use mariadb_database::Database;
use postgres_schema::Schema;
use serde::{Deserialize, Serialize};
use sqlx::{AssertSqlSafe, PgConnection};
use tempfile::TempDir;
use tests::Journal;
use tests::servers::postgres_url;
use tokio::sync::Notify;

/// A node learns soon that its tables are new, and no answer takes half of it.
const LEASE: Duration = Duration::from_secs(4);

const ALL: [StorageProvisioning; 4] = [
    StorageProvisioning::Migrate,
    StorageProvisioning::Check,
    StorageProvisioning::Rebuild,
    StorageProvisioning::Clear,
];

#[derive(Command, Serialize, Deserialize)]
struct Work {
    note: String,
}

#[handler(queue = "work")]
async fn work(cmd: Work, journal: State<Journal>) {
    journal.note(cmd.note);
}

#[derive(Command, Serialize, Deserialize)]
struct Hold;

/// Says that it runs, and waits until it may end.
#[handler]
#[durable]
async fn hold(
    _cmd: Hold,
    db: &mut PgConnection,
    journal: State<Journal>,
    may_end: State<Notify>,
) -> sqlx::Result<()> {
    sqlx::query("insert into effects (note) values ('held')").execute(db).await?;
    journal.note("holds");
    may_end.notified().await;
    Ok(())
}

async fn start(
    store: impl MessageStore,
    journal: &Journal,
    provisioning: StorageProvisioning,
) -> Result<Jasper, Error> {
    let app = Jasper::builder().store(store).state(journal.clone()).handler(work);
    let app = app.queue("work", QueueOptions::new().durable()).lease(LEASE);
    app.storage_provisioning(provisioning).start().await
}

async fn send(app: &Jasper, note: &str) -> Result<(), SendError> {
    app.bus().send(Work { note: note.to_owned() }).await.map(drop)
}

async fn counts(app: &Jasper) -> Counts {
    app.store().unwrap().admin().counts().await.unwrap()
}

/// Of stores that share their tables, each as of another process.
async fn nodes_that_start_at_once_all_work<S: MessageStore>(open: impl AsyncFn() -> S) {
    open().await.admin().prepare().await.unwrap();
    for provisioning in ALL {
        let journal = Journal::default();
        let (first, second) = (open().await, open().await);
        let (first, second) = tokio::join!(
            start(first, &journal, provisioning),
            start(second, &journal, provisioning)
        );
        let (first, second) = (first.unwrap(), second.unwrap());
        send(&first, "first").await.unwrap();
        send(&second, "second").await.unwrap();
        journal.wait_for_number(2).await;
        assert_eq!(journal.sorted(), ["first", "second"], "{provisioning:?}");
        first.stop().await.unwrap();
        second.stop().await.unwrap();
    }
}

/// One node builds the tables anew, and another one that knows nothing of it goes on too.
async fn nodes_go_on_after_a_rebuild<S: MessageStore>(open: impl AsyncFn() -> S) {
    let journal = Journal::default();
    let first = start(open().await, &journal, StorageProvisioning::Migrate).await.unwrap();
    let second = start(open().await, &journal, StorageProvisioning::Migrate).await.unwrap();
    let later = first.bus().send(Work { note: "never".to_owned() });
    later.delay(Duration::from_secs(3600)).await.unwrap();
    assert_eq!(counts(&first).await.scheduled, 1);

    first.rebuild_message_schema().await.unwrap();
    assert_eq!(counts(&first).await, Counts::default());
    let nodes = first.store().unwrap().nodes();
    assert!(!nodes.alive().await.unwrap().is_empty(), "the node has joined again");
    // Before the other one has learnt of it, and after that.
    send(&first, "1").await.unwrap();
    send(&second, "2").await.unwrap();
    journal.wait_for("1").await;
    journal.wait_for("2").await;
    while nodes.alive().await.unwrap().len() < 2 {
        // Real time: the node learns of it when it renews its lease.
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    send(&first, "3").await.unwrap();
    send(&second, "4").await.unwrap();
    first.until_idle().await.unwrap();
    second.until_idle().await.unwrap();
    let mut handled = journal.sorted();
    // The node that has not learnt of it is one that has lost its lease: others take over what it
    // stores, and the handler is not durable.
    handled.dedup();
    assert_eq!(handled, ["1", "2", "3", "4"]);
    assert_eq!(counts(&first).await, Counts::default());
    first.stop().await.unwrap();
    second.stop().await.unwrap();
}

async fn an_application_clears_its_messages(store: impl MessageStore) {
    let journal = Journal::default();
    let app = start(store, &journal, StorageProvisioning::Migrate).await.unwrap();
    let later = app.bus().send(Work { note: "never".to_owned() });
    later.delay(Duration::from_secs(3600)).await.unwrap();
    app.clear_messages().await.unwrap();
    assert_eq!(counts(&app).await, Counts::default());
    send(&app, "after").await.unwrap();
    app.until_idle().await.unwrap();
    assert_eq!(journal.notes(), ["after"]);
    app.stop().await.unwrap();
}

/// A start that is not to make the tables says what it found, and what to do.
async fn an_empty_database_is_refused(store: impl MessageStore) {
    let started = start(store, &Journal::default(), StorageProvisioning::Check).await;
    let error = started.unwrap_err();
    assert!(matches!(error, Error::Store(StoreError::OutdatedSchema { found: 0, .. })), "{error}");
    let text = error.to_string();
    assert!(text.contains("has no tables of jasper, and this build needs version"), "{text}");
    assert!(text.contains("StorageProvisioning::Migrate"), "{text}");
}

/// Nothing of what the role lacks is done, and the error says what it was.
async fn assert_forbidden(store: &impl MessageStore, what: &str, call: &str) {
    let admin = store.admin();
    let refused = match call {
        "prepare" => admin.prepare().await,
        "check" => admin.check().await,
        "rebuild" => admin.rebuild().await,
        _ => admin.clear().await,
    };
    let error = refused.unwrap_err();
    assert!(matches!(error, StoreError::Forbidden { .. }), "{call}: {error:?}");
    assert!(!error.is_transient());
    let text = error.to_string();
    assert!(text.starts_with(&format!("the role of this process may not {what} in `")), "{text}");
    assert!(text.contains("give it the right"), "{text}");
}

// ---- in memory -------------------------------------------------------------------------------

#[tokio::test]
async fn nodes_in_memory_start_at_once_and_go_on_after_a_rebuild() {
    let store = MemoryStore::new();
    nodes_that_start_at_once_all_work(async || store.clone()).await;
    nodes_go_on_after_a_rebuild(async || store.clone()).await;
    an_application_clears_its_messages(store).await;
}

#[tokio::test]
async fn an_application_without_a_store_has_nothing_to_rebuild() {
    let app = Jasper::builder().state(Journal::default()).handler(work).start().await.unwrap();
    app.rebuild_message_schema().await.unwrap();
    app.clear_messages().await.unwrap();
    app.stop().await.unwrap();
}

// ---- SQLite ----------------------------------------------------------------------------------

async fn file(folder: &TempDir) -> SqliteStore {
    SqliteStore::open(folder.path().join("test.db")).await.unwrap()
}

#[tokio::test]
async fn nodes_on_sqlite_start_at_once() {
    let folder = tempfile::tempdir().unwrap();
    nodes_that_start_at_once_all_work(async || file(&folder).await).await;
}

#[tokio::test]
async fn nodes_on_sqlite_go_on_after_a_rebuild() {
    let folder = tempfile::tempdir().unwrap();
    nodes_go_on_after_a_rebuild(async || file(&folder).await).await;
    an_application_clears_its_messages(file(&folder).await).await;
}

#[tokio::test]
async fn a_start_that_only_checks_leaves_a_file_as_it_is() {
    let folder = tempfile::tempdir().unwrap();
    an_empty_database_is_refused(file(&folder).await).await;
    let store = file(&folder).await;
    let tables = sqlx::query_scalar("select count(*) from sqlite_schema");
    let tables: i64 = tables.fetch_one(store.pool()).await.unwrap();
    assert_eq!(tables, 0);
}

#[tokio::test]
async fn a_deployment_that_says_check_goes_before_the_builder() {
    let folder = tempfile::tempdir().unwrap();
    let mut config = jasper::Config::default();
    config.storage_provisioning = Some(StorageProvisioning::Check);
    let app = Jasper::builder().store(file(&folder).await).state(Journal::default());
    let app = app.handler(work).storage_provisioning(StorageProvisioning::Migrate).config(config);
    let error = app.start().await.unwrap_err();
    assert!(matches!(error, Error::Store(StoreError::OutdatedSchema { .. })), "{error}");
}

// ---- PostgreSQL ------------------------------------------------------------------------------

#[tokio::test]
async fn nodes_on_postgres_start_at_once() {
    let schema = Schema::new();
    nodes_that_start_at_once_all_work(async || schema.connect().await).await;
}

#[tokio::test]
async fn nodes_on_postgres_go_on_after_a_rebuild() {
    let schema = Schema::new();
    nodes_go_on_after_a_rebuild(async || schema.connect().await).await;
    an_application_clears_its_messages(schema.connect().await).await;
}

#[tokio::test]
async fn a_start_that_only_checks_leaves_postgres_as_it_is() {
    let schema = Schema::new();
    let store = schema.connect().await;
    an_empty_database_is_refused(store.clone()).await;
    let schemas = sqlx::query_scalar("select count(*) from pg_namespace where nspname = $1");
    let schemas: i64 = schemas.bind(&schema.name).fetch_one(store.pool()).await.unwrap();
    assert_eq!(schemas, 0);
}

#[tokio::test]
async fn what_a_durable_handler_does_while_the_tables_are_rebuilt_is_undone() {
    let (store, _schema) = Schema::open().await;
    let effects = "create table effects (note text not null)";
    sqlx::query(effects).execute(store.pool()).await.unwrap();
    let (journal, may_end) = (Journal::default(), Arc::new(Notify::new()));
    let app = Jasper::builder().store(store.clone()).state(journal.clone()).handler(hold);
    let app = app.state(Arc::clone(&may_end)).start().await.unwrap();
    app.bus().send(Hold).await.unwrap();
    journal.wait_for("holds").await;
    app.rebuild_message_schema().await.unwrap();
    may_end.notify_one();
    app.until_idle().await.unwrap();
    let effects = sqlx::query_scalar("select count(*) from effects");
    let effects: i64 = effects.fetch_one(store.pool()).await.unwrap();
    assert_eq!((effects, counts(&app).await), (0, Counts::default()));
    app.stop().await.unwrap();
}

#[tokio::test]
async fn what_the_user_has_built_on_a_table_keeps_it_from_being_dropped() {
    let (store, _schema) = Schema::open().await;
    let view = "create view waiting as select id from jasper_incoming";
    sqlx::query(view).execute(store.pool()).await.unwrap();
    store.nodes().join("before", Duration::from_secs(60), &[]).await.unwrap();
    let error = store.admin().rebuild().await.unwrap_err();
    let text = error.to_string();
    assert!(text.contains("other objects depend on it: view waiting depends on"), "{text}");
    assert_eq!(store.nodes().alive().await.unwrap().len(), 1, "all is as before");
}

/// The tables, and a role that may use them with these rights, and no more.
async fn postgres_role(rights: &str) -> (PostgresStore, PostgresStore, Schema, String) {
    let (store, schema) = Schema::open().await;
    let role = format!("worker_{}", schema.name);
    let grant = format!(
        "create role {role} login; grant usage on schema {name} to {role};
         grant {rights} on all tables in schema {name} to {role}",
        name = schema.name
    );
    sqlx::raw_sql(AssertSqlSafe(grant)).execute(store.pool()).await.unwrap();
    let url = postgres_url().replace("postgres@", &format!("{role}@"));
    let worker = schema.connect_to(&url).await;
    (store, worker, schema, role)
}

async fn drop_role(store: &PostgresStore, role: &str) {
    let drop_role = format!("drop owned by {role}; drop role {role}");
    sqlx::raw_sql(AssertSqlSafe(drop_role)).execute(store.pool()).await.unwrap();
}

#[tokio::test]
async fn a_role_of_postgres_without_the_right_is_told_so_and_nothing_is_done() {
    let (store, worker, _schema, role) = postgres_role("select").await;
    store.nodes().join("before", Duration::from_secs(60), &[]).await.unwrap();
    worker.admin().check().await.unwrap();
    assert_forbidden(&worker, "drop the tables and make them anew", "rebuild").await;
    assert_forbidden(&worker, "delete all messages", "clear").await;
    assert_eq!(store.nodes().alive().await.unwrap().len(), 1, "all is as before");
    drop_role(&store, &role).await;
}

#[tokio::test]
async fn a_role_of_postgres_that_may_not_upgrade_or_look_is_told_so() {
    let (store, worker, schema, role) = postgres_role("select").await;
    let older = "delete from jasper_migrations where version > 1";
    sqlx::query(older).execute(store.pool()).await.unwrap();
    assert_forbidden(&worker, "make or upgrade the tables", "prepare").await;
    let revoke = format!("revoke usage on schema {} from {role}", schema.name);
    sqlx::query(AssertSqlSafe(revoke)).execute(store.pool()).await.unwrap();
    assert_forbidden(&worker, "look at the tables", "check").await;
    drop_role(&store, &role).await;
}

// ---- MySQL and MariaDB -----------------------------------------------------------------------

#[tokio::test]
async fn nodes_on_mysql_start_at_once() {
    let database = Database::create().await;
    nodes_that_start_at_once_all_work(async || MysqlStore::connect(database.url()).await.unwrap())
        .await;
}

#[tokio::test]
async fn nodes_on_mysql_go_on_after_a_rebuild() {
    let database = Database::create().await;
    let open = async || MysqlStore::connect(database.url()).await.unwrap();
    nodes_go_on_after_a_rebuild(open).await;
    an_application_clears_its_messages(open().await).await;
}

#[tokio::test]
async fn a_start_that_only_checks_leaves_mysql_as_it_is() {
    let database = Database::create().await;
    let store = MysqlStore::connect(database.url()).await.unwrap();
    an_empty_database_is_refused(store.clone()).await;
    assert_eq!(tables(&store).await, [] as [String; 0]);
}

#[tokio::test]
async fn a_rebuild_of_mysql_leaves_the_tables_of_other_prefixes_and_none_of_its_own_making() {
    let database = Database::create().await;
    // As long as it may be.
    let (long, other) = ("x".repeat(43), "other_");
    let open = |prefix: &str| MysqlStore::builder().prefix(prefix).connect(database.url());
    let (store, other) = (open(&long).await.unwrap(), open(other).await.unwrap());
    store.admin().prepare().await.unwrap();
    other.admin().prepare().await.unwrap();
    other.nodes().join("of the other", Duration::from_secs(60), &[]).await.unwrap();
    let before = tables(&store).await;
    for _round in 0..3 {
        store.admin().rebuild().await.unwrap();
        assert_eq!(tables(&store).await, before);
    }
    assert_eq!(other.nodes().alive().await.unwrap().len(), 1);
}

async fn tables(store: &MysqlStore) -> Vec<String> {
    let tables = "select table_name from information_schema.tables
        where table_schema = database() order by table_name";
    sqlx::query_scalar(tables).fetch_all(store.pool()).await.unwrap()
}

#[tokio::test]
async fn a_user_of_mysql_without_the_right_is_told_so_and_nothing_is_done() {
    let database = Database::create().await;
    let store = MysqlStore::connect(database.url()).await.unwrap();
    store.admin().prepare().await.unwrap();
    store.nodes().join("before", Duration::from_secs(60), &[]).await.unwrap();
    let (_, name) = database.url().rsplit_once('/').unwrap();
    let user = format!("reader_{}", std::process::id());
    let grant = format!("create user {user}; grant select on {name}.* to {user}");
    sqlx::raw_sql(AssertSqlSafe(grant)).execute(store.pool()).await.unwrap();
    let url = database.url().replace("root@", &format!("{user}@"));
    let worker = MysqlStore::connect(&url).await.unwrap();

    worker.admin().check().await.unwrap();
    assert_forbidden(&worker, "drop the tables and make them anew", "rebuild").await;
    assert_forbidden(&worker, "delete all messages", "clear").await;
    let older = "delete from jasper_migrations where version > 1";
    sqlx::query(older).execute(store.pool()).await.unwrap();
    assert_forbidden(&worker, "make or upgrade the tables", "prepare").await;
    assert_eq!(store.nodes().alive().await.unwrap().len(), 1, "all is as before");
    let drop_user = format!("drop user {user}");
    sqlx::raw_sql(AssertSqlSafe(drop_user)).execute(store.pool()).await.unwrap();
}
