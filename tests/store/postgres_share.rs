//! Runs that share a transaction on PostgreSQL: whose they are, and what never passes from one to
//! the next.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use jasper::Config;
use jasper::prelude::*;
use jasper::runtime::Builder;
use serde::{Deserialize, Serialize};
use sqlx::postgres::PgPoolOptions;
use sqlx::{AssertSqlSafe, Connection, Executor, PgConnection, query_as, query_scalar, raw_sql};
use tests::servers::new_postgres_database;
use tokio::time::timeout;

const STUCK: Duration = Duration::from_secs(60);

/// What a handler may set, open or create, for its transaction or its session.
const SETTINGS: [&str; 17] = [
    "set local app.tenant = 'acme'",
    "select set_config('app.tenant', 'acme', true)",
    "select set_config('app.tenant', 'acme', false)",
    "set local role pg_monitor",
    "set session role pg_monitor",
    "set local search_path = pg_catalog",
    "set local timezone = 'Asia/Tokyo'",
    "set local statement_timeout = '1h'",
    "set local idle_in_transaction_session_timeout = '1h'",
    "create temporary table scratch (n bigint) on commit drop",
    "declare scratch cursor for select 1",
    "set local transaction_read_only = on",
    "set session authorization pg_monitor",
    "listen scratch",
    "prepare scratch as select 'acme'",
    "deallocate all",
    "prepare \"a \"\"b; c\" as select 1; prepare second (bigint) as select $1",
];

/// What a run sees of that.
const SEEN: &str = "\
select concat_ws(' ', current_setting('app.tenant', true), current_user,
    current_setting('search_path'), current_setting('timezone'),
    current_setting('statement_timeout'),
    current_setting('idle_in_transaction_session_timeout'),
    current_setting('transaction_read_only'), to_regclass('pg_temp.scratch'),
    (select string_agg(name, ',') from pg_cursors where name = 'scratch'), session_user,
    (select string_agg(channel, ',') from pg_listening_channels() channel),
    (select string_agg(name, ',') from pg_prepared_statements where from_sql))";

/// What runs saw that they should not.
type Leaks = Arc<Mutex<Vec<String>>>;

#[derive(Command, Serialize, Deserialize)]
#[command(name = "share.work")]
struct Work {
    sql: String,
    /// What it is to see.
    expected: String,
}

#[handler(queue = "work", attempts = 1)]
#[durable(share = 50)]
async fn work(cmd: Work, db: &mut PgConnection, leaks: State<Leaks>) -> sqlx::Result<()> {
    let seen: String = query_scalar(SEEN).fetch_one(&mut *db).await?;
    if seen.trim() != cmd.expected {
        leaks.lock().unwrap().push(seen);
    }
    note(db, "work").await?;
    raw_sql(AssertSqlSafe(cmd.sql)).execute(db).await.map(drop)
}

#[derive(Command, Serialize, Deserialize)]
#[command(name = "share.failing")]
struct Failing;

/// A rollback takes no prepared statement away.
#[handler(queue = "failing", attempts = 1)]
#[durable(share = 50)]
async fn failing(_cmd: Failing, db: &mut PgConnection, leaks: State<Leaks>) -> sqlx::Result<()> {
    let left = "select count(*) from pg_prepared_statements where from_sql";
    let left: i64 = query_scalar(left).fetch_one(&mut *db).await?;
    if left > 0 {
        leaks.lock().unwrap().push(format!("{left} statements"));
    }
    raw_sql("prepare scratch as select 'acme'").execute(&mut *db).await?;
    raw_sql("select 1 / 0").execute(db).await.map(drop)
}

#[derive(Command, Serialize, Deserialize)]
#[command(name = "share.other")]
struct Other;

#[handler(queue = "other")]
#[durable(share = 50)]
async fn other(_cmd: Other, db: &mut PgConnection) -> sqlx::Result<()> {
    note(db, "other").await
}

/// Writes down in which transaction a handler ran.
async fn note(db: &mut PgConnection, handler: &str) -> sqlx::Result<()> {
    let note = sqlx::query("insert into public.runs values ($1, txid_current())").bind(handler);
    note.execute(db).await.map(drop)
}

async fn database() -> (String, PgConnection) {
    let url = new_postgres_database("share").await;
    let mut db = PgConnection::connect(&url).await.unwrap();
    db.execute("create table runs (handler text, transaction bigint)").await.unwrap();
    (url, db)
}

fn application(store: PostgresStore, leaks: &Leaks) -> Builder {
    let app = Jasper::builder().store(store).state(Arc::clone(leaks));
    app.handler(work).handler(other).handler(failing)
}

/// Handles this many messages with each setting, and says in how many transactions.
async fn handle(store: PostgresStore, db: &mut PgConnection, each: usize) -> (i64, Vec<String>) {
    let leaks = Leaks::default();
    let expected: String = {
        let mut fresh = store.pool().begin().await.unwrap();
        query_scalar(SEEN).fetch_one(&mut *fresh).await.unwrap()
    };
    let app = application(store, &leaks).start().await.unwrap();
    let messages = SETTINGS
        .iter()
        .cycle()
        .take(each * SETTINGS.len())
        .map(|sql| Work { sql: (*sql).to_owned(), expected: expected.clone() });
    app.bus().send_all(messages).await.unwrap();
    timeout(STUCK, app.until_idle()).await.unwrap().unwrap();
    app.stop().await.unwrap();
    let all = "select count(*), count(distinct transaction) from runs";
    let (runs, transactions): (i64, i64) = query_as(all).fetch_one(db).await.unwrap();
    assert_eq!(runs, (each * SETTINGS.len()) as i64, "each is handled");
    let leaks = leaks.lock().unwrap().clone();
    (transactions, leaks)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_handler_sets_for_itself_never_reaches_another_message() {
    let (url, mut db) = database().await;
    let store = PostgresStore::connect(&url).await.unwrap();
    let (transactions, leaks) = handle(store, &mut db, 50).await;
    // How much they share depends on how busy the machine is.
    assert!(transactions < 850, "{transactions} transactions for 850 runs");
    assert_eq!(leaks, Vec::<String>::new());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_handler_has_prepared_before_it_failed_reaches_no_other_message() {
    let (url, _db) = database().await;
    let store = PostgresStore::builder().connections(1).connect(&url).await.unwrap();
    let leaks = Leaks::default();
    let app = application(store, &leaks).start().await.unwrap();
    app.bus().send_all((0..50).map(|_| Failing)).await.unwrap();
    timeout(STUCK, app.until_idle()).await.unwrap().unwrap();
    assert_eq!(app.store().unwrap().admin().counts().await.unwrap().dead_letters, 50);
    app.stop().await.unwrap();
    assert_eq!(*leaks.lock().unwrap(), Vec::<String>::new());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn runs_of_two_handlers_share_no_transaction() {
    let (url, mut db) = database().await;
    let store = PostgresStore::connect(&url).await.unwrap();
    let app = application(store, &Leaks::default()).start().await.unwrap();
    for _ in 0..10 {
        let work = |_| Work { sql: "select 1".to_owned(), expected: String::new() };
        app.bus().send_all((0..40).map(work)).await.unwrap();
        app.bus().send_all((0..40).map(|_| Other)).await.unwrap();
    }
    timeout(STUCK, app.until_idle()).await.unwrap().unwrap();
    app.stop().await.unwrap();
    let sql = "select count(*), count(distinct handler) from runs group by transaction";
    let transactions: Vec<(i64, i64)> = query_as(sql).fetch_all(&mut db).await.unwrap();
    assert_eq!(transactions.iter().map(|(runs, _)| runs).sum::<i64>(), 800);
    assert!(transactions.len() < 800, "{} transactions", transactions.len());
    assert!(transactions.iter().all(|(_, handlers)| *handlers == 1), "{transactions:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_deployment_says_how_many_runs_share_a_transaction() {
    let (url, mut db) = database().await;
    let store = PostgresStore::connect(&url).await.unwrap();
    let alone = Config::from_vars([("JASPER_QUEUE_OTHER_SHARE".to_owned(), "1".to_owned())]);
    let app = application(store, &Leaks::default()).config(alone).start().await.unwrap();
    app.bus().send_all((0..200).map(|_| Other)).await.unwrap();
    timeout(STUCK, app.until_idle()).await.unwrap().unwrap();
    app.stop().await.unwrap();
    let sql = "select count(*), count(distinct transaction) from runs";
    let (runs, transactions): (i64, i64) = query_as(sql).fetch_one(&mut db).await.unwrap();
    assert_eq!((runs, transactions), (200, 200));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_connection_is_after_shared_transactions_as_it_was_before() {
    let (url, mut db) = database().await;
    let store = PostgresStore::builder().connections(1).connect(&url).await.unwrap();
    let settings = async || -> Vec<(String, String)> {
        let sql = "\
            select name, setting from pg_settings
            where source = 'session' or name = 'application_name' order by name";
        query_as(sql).fetch_all(store.pool()).await.unwrap()
    };
    let before = settings().await;
    assert!(before.iter().any(|(name, _)| name == "tcp_keepalives_idle"), "{before:?}");
    let (_, leaks) = handle(store.clone(), &mut db, 10).await;
    assert_eq!(leaks, Vec::<String>::new());
    assert_eq!(settings().await, before);
}

/// Each run has a transaction for itself there: what the application has set on its connections
/// must stay.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn connections_of_the_application_keep_its_settings_and_share_nothing() {
    let (url, mut db) = database().await;
    let options = PgPoolOptions::new().max_connections(4).after_connect(|connection, _about| {
        Box::pin(async move { connection.execute("set timezone = 'Asia/Tokyo'").await.map(drop) })
    });
    let pool = options.connect(&url).await.unwrap();
    let store = PostgresStore::builder().of_pool(pool.clone()).await.unwrap();
    let app = application(store, &Leaks::default()).start().await.unwrap();
    app.bus().send_all((0..100).map(|_| Other)).await.unwrap();
    timeout(STUCK, app.until_idle()).await.unwrap().unwrap();
    for _ in 0..8 {
        let zone: String = query_scalar("show timezone").fetch_one(&pool).await.unwrap();
        assert_eq!(zone, "Asia/Tokyo");
    }
    let sql = "select count(distinct transaction) from runs";
    let transactions: i64 = query_scalar(sql).fetch_one(&mut db).await.unwrap();
    assert_eq!(transactions, 100);
    app.stop().await.unwrap();
}
