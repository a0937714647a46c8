//! Sessions of PostgreSQL that are frozen, silent, cut or busy keep no message from being handled.

#[path = "postgres_sessions/hold.rs"]
mod hold;

use std::process::Stdio;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, LazyLock};
use std::time::{Duration, Instant};

use hold::{Book, Manner, book};
use jasper::prelude::*;
use jasper::runtime::Builder;
use jasper::store::{Completion, DeadLetterQuery, MessageStore, TransactionOptions};
use serde::{Deserialize, Serialize};
use sqlx::{Connection, PgConnection, PgPool, query, query_scalar, raw_sql};
use tests::proxy::{Lost, Proxy};
use tests::servers::new_postgres_database;
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::Command;
use tokio::time::timeout;

/// Nothing takes so long unless something is stuck.
const STUCK: Duration = Duration::from_secs(60);

/// The lease of the nodes here: a fifth of the usual one, unless `JASPER_LEASE` says how many
/// milliseconds.
static LEASE: LazyLock<Duration> = LazyLock::new(|| {
    let millis = std::env::var("JASPER_LEASE").ok().and_then(|millis| millis.parse().ok());
    Duration::from_millis(millis.unwrap_or(2_000))
});

/// What is promised with the usual lease of ten seconds.
const PROMISED: Duration = Duration::from_secs(15);

const SCHEMA: &str = "\
create table accounts (id bigint primary key, balance bigint not null);
insert into accounts select id, 0 from generate_series(0, 19) id;
create table effects (id bigint not null)";

async fn database() -> (String, PgConnection) {
    let url = new_postgres_database("sessions").await;
    let mut db = PgConnection::connect(&url).await.unwrap();
    raw_sql(SCHEMA).execute(&mut db).await.unwrap();
    (url, db)
}

async fn booking(url: &str) -> Builder {
    let store = PostgresStore::connect(url).await.unwrap();
    let app = Jasper::builder().store(store).state(Manner { stays: false }).handler(book);
    app.lease(*LEASE).drain_timeout(Duration::from_secs(1))
}

async fn balance(db: &mut PgConnection) -> i64 {
    let sql = "select sum(balance)::bigint from accounts";
    query_scalar(sql).fetch_one(db).await.unwrap()
}

/// Waits until the accounts have this balance together, and says how long that took.
async fn reaches(db: &mut PgConnection, wanted: i64) -> Duration {
    let begin = Instant::now();
    let reached = async {
        while balance(db).await < wanted {
            // Real time: the commits of others give no signal.
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    timeout(STUCK, reached).await.expect("the work goes on");
    begin.elapsed()
}

async fn signal(process: u32, signal: &str) {
    let status = Command::new("kill").args(["-s", signal, &process.to_string()]).status().await;
    assert!(status.unwrap().success());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_frozen_process_has_locked_is_free_once_another_node_takes_its_work_over() {
    let (url, mut db) = database().await;
    let mut frozen = Command::new(env!("CARGO_BIN_EXE_frozen-node"))
        .args([&url, &LEASE.as_millis().to_string()])
        .kill_on_drop(true)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(frozen.stdout.take().unwrap()).lines();
    let holds = timeout(STUCK, lines.next_line()).await.expect("it runs").unwrap();
    assert_eq!(holds.as_deref(), Some("holds 1"));
    let process = frozen.id().unwrap();
    signal(process, "STOP").await;

    let other = booking(&url).await.start().await.unwrap();
    other.bus().send(Book { id: 21 }).await.unwrap();
    let took = reaches(&mut db, 2).await;
    println!("frozen in its transaction: another node went on after {took:?}");
    assert!(took < PROMISED, "{took:?}");

    // What it still does is refused.
    signal(process, "CONT").await;
    drop(frozen.stdin.take());
    let stopped = timeout(STUCK, lines.next_line()).await.expect("it stops").unwrap();
    assert_eq!(stopped.as_deref(), Some("stopped"));
    timeout(STUCK, other.until_idle()).await.unwrap().unwrap();
    let effects = query_scalar::<_, i64>("select id from effects order by id").fetch_all(&mut db);
    assert_eq!(effects.await.unwrap(), [1, 21]);
    let letters = other.store().unwrap().dead_letters().list(DeadLetterQuery::default());
    assert_eq!(letters.await.unwrap(), []);
    other.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn commits_that_a_network_swallows_keep_neither_locks_nor_places_in_the_pool() {
    for lost in [Lost::Request, Lost::Answer] {
        let (url, mut db) = database().await;
        let proxy = Proxy::in_front_of(&url).await;
        let app = booking(&proxy.url(&url)).await.start().await.unwrap();
        proxy.swallow_commits(lost, 16);
        let begin = Instant::now();
        for id in 0..100 {
            app.bus().send(Book { id }).await.unwrap();
        }
        reaches(&mut db, 100).await;
        let took = begin.elapsed();
        println!("16 commits swallowed ({lost:?}): all is handled after {took:?}");
        proxy.cut_nothing();
        timeout(STUCK, app.until_idle()).await.unwrap().unwrap();
        assert_eq!(balance(&mut db).await, 100, "nothing took effect twice");
        let begin = Instant::now();
        timeout(STUCK, app.stop()).await.expect("it stops").unwrap();
        println!("stopped after {:?}", begin.elapsed());
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn connections_that_fall_silent_are_replaced_and_the_node_keeps_its_lease() {
    let (url, mut db) = database().await;
    let proxy = Proxy::in_front_of(&url).await;
    let app = booking(&proxy.url(&url)).await.start().await.unwrap();
    app.bus().send_all((0..50).map(|id| Book { id })).await.unwrap();
    reaches(&mut db, 50).await;
    proxy.swallow_all();
    let begin = Instant::now();
    let mut sent = 50;
    while sent < 100 {
        // A call whose connection fell silent fails, and may be repeated.
        let key = sent.to_string();
        if app.bus().send(Book { id: sent }).deduplicate(key).await.is_ok() {
            sent += 1;
        }
    }
    reaches(&mut db, 100).await;
    let took = begin.elapsed();
    println!("all connections silent: the node itself went on after {took:?}");
    assert!(took < PROMISED, "{took:?}");
    timeout(STUCK, app.until_idle()).await.unwrap().unwrap();
    let begin = Instant::now();
    timeout(STUCK, app.stop()).await.expect("it stops").unwrap();
    println!("stopped after {:?}", begin.elapsed());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stop_ends_in_time_when_the_database_does_not_answer_at_all() {
    let (url, mut db) = database().await;
    let proxy = Proxy::in_front_of(&url).await;
    let app = booking(&proxy.url(&url)).await.start().await.unwrap();
    app.bus().send(Book { id: 1 }).await.unwrap();
    reaches(&mut db, 1).await;
    let mut lock = db.begin().await.unwrap();
    query("update accounts set balance = balance").execute(&mut *lock).await.unwrap();
    app.bus().send_all((2..20).map(|id| Book { id })).await.unwrap();
    proxy.pause();
    let begin = Instant::now();
    let stopped = timeout(STUCK, app.stop()).await.expect("it stops");
    let took = begin.elapsed();
    println!("nothing answers: stopped after {took:?} with a drain time-out of 1 s");
    assert!(stopped.is_err(), "what it owns could not be given back");
    assert!(took < Duration::from_secs(6), "{took:?}");
    lock.rollback().await.unwrap();
}

#[derive(Command, Serialize, Deserialize)]
#[command(name = "sessions.slow")]
struct Slow {
    sql: String,
}

#[handler(queue = "slow", attempts = 2, timeout = "500ms")]
#[durable]
async fn slow(cmd: Slow, db: &mut PgConnection, runs: State<Arc<AtomicU64>>) -> sqlx::Result<()> {
    runs.fetch_add(1, Ordering::SeqCst);
    query("update accounts set balance = balance + 1 where id = 1").execute(&mut *db).await?;
    raw_sql(sqlx::AssertSqlSafe(cmd.sql)).execute(db).await.map(drop)
}

/// Sessions that are at work on this statement.
async fn at_work(pool: &PgPool, sql: &str) -> i64 {
    let at_work = "select count(*) from pg_stat_activity
        where datname = current_database() and state = 'active' and query = $1";
    query_scalar(at_work).bind(sql).fetch_one(pool).await.unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_statement_of_a_handler_that_times_out_is_cancelled_at_the_server() {
    let busy = "select count(*) from generate_series(1, 100000000000) n";
    for sql in
        ["select pg_sleep(400)", "update effects set id = 1 where pg_sleep(300) is null", busy]
    {
        let (url, mut db) = database().await;
        query("insert into effects values (7)").execute(&mut db).await.unwrap();
        let store = PostgresStore::connect(&url).await.unwrap();
        let runs = Arc::<AtomicU64>::default();
        let app = Jasper::builder()
            .store(store.clone())
            .state(Arc::clone(&runs))
            .handler(slow)
            .start()
            .await
            .unwrap();
        let begin = Instant::now();
        app.bus().send(Slow { sql: sql.to_owned() }).await.unwrap();
        timeout(STUCK, app.until_idle()).await.expect("it is given up").unwrap();
        let took = begin.elapsed();
        println!("two attempts of 500 ms at `{sql}`: given up after {took:?}");
        assert_eq!(runs.load(Ordering::SeqCst), 2);
        assert!(took < Duration::from_secs(5), "{took:?}");
        let letters = store.dead_letters().list(DeadLetterQuery::default()).await.unwrap();
        assert_eq!(letters.len(), 1);
        assert_eq!(at_work(store.pool(), sql).await, 0);
        assert_eq!(balance(&mut db).await, 0);
        app.stop().await.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn new_credentials_for_the_pool_are_those_of_all_connections() {
    let (url, mut db) = database().await;
    let role = format!("jasper_{}", uuid::Uuid::now_v7().simple());
    let grant = format!(
        "create role {role} login superuser password 'old'; \
         grant all on all tables in schema public to {role}"
    );
    raw_sql(sqlx::AssertSqlSafe(grant)).execute(&mut db).await.unwrap();
    let url = url.replacen("postgres@", &format!("{role}:old@"), 1);
    let store = PostgresStore::connect(&url).await.unwrap();
    let app = Jasper::builder()
        .store(store.clone())
        .state(Manner { stays: false })
        .handler(book)
        .start()
        .await
        .unwrap();
    app.bus().send(Book { id: 1 }).await.unwrap();
    reaches(&mut db, 1).await;

    // The server here trusts every client: the old name no longer being there is what it refuses.
    let renamed = format!("{role}_2");
    let rename = format!(
        "alter role {role} rename to {renamed}; \
         select pg_terminate_backend(pid) from pg_stat_activity where usename = '{renamed}'"
    );
    let options = store.pool().connect_options().as_ref().clone().username(&renamed);
    raw_sql(sqlx::AssertSqlSafe(rename)).execute(&mut db).await.unwrap();
    store.pool().set_connect_options(options);
    for id in 2..50 {
        let key = id.to_string();
        while app.bus().send(Book { id }).deduplicate(&key).await.is_err() {
            // Real time: connections that were ended are found out by being used.
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }
    reaches(&mut db, 49).await;
    timeout(STUCK, app.until_idle()).await.unwrap().unwrap();
    app.stop().await.unwrap();
}

#[tokio::test]
async fn sessions_of_a_process_that_has_left_are_left_alone_whatever_numbers_it_had() {
    let (url, mut db) = database().await;
    let store = PostgresStore::connect(&url).await.unwrap();
    let other = PostgresStore::connect(&url).await.unwrap();
    store.admin().prepare().await.unwrap();
    let lost = store.nodes().join("leaver", Duration::from_millis(1), &[]).await.unwrap().owner;
    let owner = store.nodes().join("leaver", *LEASE, &[]).await.unwrap().owner;
    let mut run = store.begin(TransactionOptions::of("leaver")).await.unwrap();
    let connection: &mut PgConnection = run.connection().unwrap().downcast_mut().unwrap();
    query("update accounts set balance = 7 where id = 0").execute(connection).await.unwrap();
    let is_over = async || other.nodes().expired(None).await.unwrap().owners == [lost];
    while !is_over().await {
        // Real time: the lease ends by the server's clock.
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    store.nodes().leave(owner).await.unwrap();
    let mut gone = other.nodes().expired(None).await.unwrap().owners;
    gone.sort_unstable();
    assert_eq!(gone, [lost, owner]);
    run.commit(Completion::default()).await.unwrap();
    assert_eq!(balance(&mut db).await, 7);
}

/// Lists all sessions, but only while the test does not hold a lock.
const SLOW_LIST: &str = "\
create view public.pg_stat_activity as
    select list.* from pg_catalog.pg_stat_activity list,
        (select pg_advisory_xact_lock_shared(1)) waited";

#[tokio::test]
async fn a_node_is_not_forgotten_until_its_sessions_could_be_ended() {
    let (url, mut db) = database().await;
    raw_sql(SLOW_LIST).execute(&mut db).await.unwrap();
    let lost = PostgresStore::connect(&url).await.unwrap();
    lost.admin().prepare().await.unwrap();
    let options = "options=-c%20search_path%3Dpublic%2Cpg_catalog";
    let separator = if url.contains('?') { '&' } else { '?' };
    let heir = PostgresStore::connect(&format!("{url}{separator}{options}")).await.unwrap();
    heir.nodes().join("heir", *LEASE, &[]).await.unwrap();
    let owner = lost.nodes().join("lost", Duration::from_millis(1), &[]).await.unwrap().owner;
    let mut run = lost.begin(TransactionOptions::of("lost")).await.unwrap();
    let connection: &mut PgConnection = run.connection().unwrap().downcast_mut().unwrap();
    query("update accounts set balance = 7 where id = 0").execute(connection).await.unwrap();

    raw_sql("select pg_advisory_lock(1)").execute(&mut db).await.unwrap();
    let is_known = async || heir.nodes().expired(None).await.unwrap().owners.contains(&owner);
    while !is_known().await {
        // Real time: the lease ends by the server's clock.
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    let error = heir.nodes().forget(owner).await.unwrap_err();
    assert!(error.is_transient(), "{error:?}");
    assert!(is_known().await, "its sessions are looked for again");

    raw_sql("select pg_advisory_unlock(1)").execute(&mut db).await.unwrap();
    heir.nodes().forget(owner).await.unwrap();
    assert!(!is_known().await);
    query("update accounts set balance = 1 where id = 0").execute(&mut db).await.unwrap();
    run.commit(Completion::default()).await.unwrap_err();
}
