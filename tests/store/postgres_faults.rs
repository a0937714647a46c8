//! Faults of a handler's own transaction on PostgreSQL cost attempts, each exactly one, and nothing
//! else does.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use jasper::prelude::*;
use jasper::store::{DeadLetter, DeadLetterQuery, MessageStore};
use serde::{Deserialize, Serialize};
use sqlx::{AssertSqlSafe, Connection, PgConnection, PgPool, query, query_scalar, raw_sql};
use tests::servers::new_postgres_database;
use tokio::time::{interval, timeout};

const LIMIT: Duration = Duration::from_secs(60);

const ATTEMPTS: u64 = 3;

/// How often each kind of poison ran.
#[derive(Default)]
struct Runs(Mutex<BTreeMap<String, u64>>);

impl Runs {
    fn count(&self, kind: &str) {
        *self.0.lock().unwrap().entry(kind.to_owned()).or_default() += 1;
    }

    fn of(&self, kind: &str) -> u64 {
        self.0.lock().unwrap().get(kind).copied().unwrap_or_default()
    }
}

#[derive(Command, Serialize, Deserialize)]
#[command(name = "faults.poison")]
struct Poison {
    sql: String,
    /// Whether the handler returns the error of its statement.
    is_honest: bool,
}

#[handler(queue = "poison", attempts = 3, delays = ["10ms"])]
#[durable]
async fn poison(cmd: Poison, db: &mut PgConnection, runs: State<Arc<Runs>>) -> sqlx::Result<()> {
    runs.count(&cmd.sql);
    query("insert into effects values ($1)").bind(&cmd.sql).execute(&mut *db).await?;
    let done = raw_sql(AssertSqlSafe(cmd.sql)).execute(db).await;
    if cmd.is_honest { done.map(drop) } else { Ok(()) }
}

/// Shares its transactions with other runs.
#[derive(Command, Serialize, Deserialize)]
#[command(name = "faults.shared-poison")]
struct SharedPoison {
    sql: String,
}

#[handler(queue = "shared", attempts = 3, delays = ["10ms"])]
#[durable(share = 20)]
async fn shared_poison(
    cmd: SharedPoison,
    db: &mut PgConnection,
    runs: State<Arc<Runs>>,
) -> sqlx::Result<()> {
    runs.count(&cmd.sql);
    raw_sql(AssertSqlSafe(cmd.sql)).execute(db).await.map(drop)
}

#[derive(Command, Serialize, Deserialize)]
#[command(name = "faults.innocent")]
struct Innocent {
    id: i64,
    sent: u64,
}

#[handler(queue = "innocent")]
#[durable]
async fn innocent(
    cmd: Innocent,
    db: &mut PgConnection,
    clock: State<Arc<Clock>>,
) -> sqlx::Result<()> {
    query("insert into innocents values ($1)").bind(cmd.id).execute(db).await?;
    clock.waited.lock().unwrap().push(clock.now() - cmd.sent);
    Ok(())
}

/// How long innocent messages took from being sent to the end of their handler, in microseconds.
struct Clock {
    start: Instant,
    waited: Mutex<Vec<u64>>,
}

impl Clock {
    fn now(&self) -> u64 {
        self.start.elapsed().as_micros() as u64
    }

    /// Of which one in a hundred took longer; forgets them.
    fn p99(&self) -> Duration {
        let mut waited = std::mem::take(&mut *self.waited.lock().unwrap());
        waited.sort_unstable();
        Duration::from_micros(waited[waited.len() * 99 / 100])
    }
}

const SCHEMA: &str = "\
create table effects (sql text);
create table innocents (id bigint primary key);
create table parents (id bigint primary key);
create table children (parent bigint references parents deferrable initially deferred);
create function refuse() returns trigger language plpgsql as
    $$ begin raise exception 'refused' using errcode = '40001'; end $$;
create table refused (id bigint);
create constraint trigger refuse after insert on refused
    deferrable initially deferred for each row execute function refuse();
do $$ begin
    if not exists (select from pg_roles where rolname = 'jasper_stranger') then
        create role jasper_stranger;
    end if;
exception when duplicate_object or unique_violation then null;
end $$;
grant insert on effects to jasper_stranger";

struct Stage {
    app: Jasper,
    store: PostgresStore,
    runs: Arc<Runs>,
    clock: Arc<Clock>,
}

impl Stage {
    async fn open() -> Self {
        let url = new_postgres_database("faults").await;
        let mut connection = PgConnection::connect(&url).await.unwrap();
        raw_sql(SCHEMA).execute(&mut connection).await.unwrap();
        let store = PostgresStore::connect(&url).await.unwrap();
        let runs = Arc::<Runs>::default();
        let app = Jasper::builder().store(store.clone()).state(Arc::clone(&runs));
        let clock = Arc::new(Clock { start: Instant::now(), waited: Mutex::default() });
        let app =
            app.state(Arc::clone(&clock)).handler(poison).handler(shared_poison).handler(innocent);
        Self { app: app.start().await.unwrap(), store, runs, clock }
    }

    fn pool(&self) -> &PgPool {
        self.store.pool()
    }

    /// Sends innocent messages at a steady rate.
    async fn send_innocents(&self, ids: std::ops::Range<i64>) {
        let mut ticks = interval(Duration::from_millis(10));
        for id in ids {
            ticks.tick().await;
            self.app.bus().send(Innocent { id, sent: self.clock.now() }).await.unwrap();
        }
    }

    async fn letters(&self) -> Vec<DeadLetter> {
        self.store.dead_letters().list(DeadLetterQuery::default()).await.unwrap()
    }

    async fn idle(&self) {
        // Retries that wait are not waited for.
        let idle = async {
            loop {
                self.app.until_idle().await.unwrap();
                let counts = self.store.admin().counts().await.unwrap();
                if counts.scheduled + counts.incoming == 0 {
                    return;
                }
                // Real time: the delays of the handler.
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
        };
        timeout(LIMIT, idle).await.expect("it becomes idle");
    }
}

/// What a handler may do to its own transaction, and whether it reports that.
const POISONS: [(&str, bool); 9] = [
    ("select pg_terminate_backend(pg_backend_pid())", true),
    ("select 1 / 0", false),
    ("set local role jasper_stranger", true),
    ("set transaction read only", true),
    ("set local transaction_read_only = on", true),
    ("insert into children values (7)", true),
    ("create table effects ()", true),
    ("set local search_path = nowhere; select * from nothing", true),
    ("commit", true),
];

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_fault_of_a_handlers_own_transaction_costs_an_attempt() {
    let stage = Stage::open().await;
    for (sql, is_honest) in POISONS {
        stage.app.bus().send(Poison { sql: sql.to_owned(), is_honest }).await.unwrap();
    }
    stage.send_innocents(0..50).await;
    stage.idle().await;
    let letters = stage.letters().await;
    for (sql, _) in POISONS {
        assert_eq!(stage.runs.of(sql), ATTEMPTS, "{sql}");
    }
    assert_eq!(letters.len(), POISONS.len(), "{letters:#?}");
    let count = query_scalar::<_, i64>("select count(*) from innocents").fetch_one(stage.pool());
    assert_eq!(count.await.unwrap(), 50);
    let count = query_scalar::<_, i64>("select count(*) from effects where sql <> 'commit'");
    assert_eq!(count.fetch_one(stage.pool()).await.unwrap(), 0, "nothing of them remains");
    stage.app.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_fault_that_looks_like_the_stores_is_repeated_within_bounds_and_then_counts() {
    let stage = Stage::open().await;
    // Refused as if two transactions had met, at each commit; and a time limit of its own, within
    // which no completion can be written.
    let refused = "insert into refused values (1)";
    let hasty = "set local statement_timeout = 1; set local jasper.run = 'on'; select 1";
    for sql in [refused, hasty] {
        let sql = sql.to_owned();
        stage.app.bus().send(Poison { sql, is_honest: true }).await.unwrap();
    }
    stage.idle().await;
    assert!(
        (ATTEMPTS..=ATTEMPTS + 5 * ATTEMPTS).contains(&stage.runs.of(refused)),
        "{}",
        stage.runs.of(refused)
    );
    let letters = stage.letters().await;
    assert!(letters.iter().any(|letter| letter.error_message.contains("refused")), "{letters:#?}");
    stage.app.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn poison_in_a_shared_transaction_is_found_and_costs_others_nothing() {
    let stage = Stage::open().await;
    let good =
        (0..200).map(|id| SharedPoison { sql: format!("insert into innocents values ({id})") });
    let poisons = [
        "insert into children values (7)",
        "select pg_terminate_backend(pg_backend_pid())",
        "alter table effects add check (sql = ''); select 1 / 0",
    ];
    let bad = poisons.map(|sql| SharedPoison { sql: sql.to_owned() });
    stage.app.bus().send_all(good.chain(bad)).await.unwrap();
    stage.idle().await;
    let count = query_scalar::<_, i64>("select count(*) from innocents").fetch_one(stage.pool());
    assert_eq!(count.await.unwrap(), 200);
    let letters = stage.letters().await;
    assert_eq!(letters.len(), poisons.len(), "{letters:#?}");
    for sql in poisons {
        let times = stage.runs.of(sql);
        // One run may spoil the others before it is run alone.
        assert!((ATTEMPTS..=2 * ATTEMPTS).contains(&times), "{sql}: {times}");
    }
    stage.app.stop().await.unwrap();
}

/// `JASPER_POISONS` says how many of each kind, for longer runs; how long innocent messages wait is
/// printed.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn many_poisons_become_dead_letters_beside_innocent_messages_that_are_all_handled() {
    let each: u64 = std::env::var("JASPER_POISONS").map_or(3, |each| each.parse().unwrap());
    let stage = Stage::open().await;
    // Each once, for connections and plans that are new.
    stage.send_innocents(0..100).await;
    stage.idle().await;
    stage.clock.p99();
    stage.send_innocents(100..400).await;
    stage.idle().await;
    let alone = stage.clock.p99();
    let poisons = async {
        for _ in 0..each {
            for (sql, is_honest) in POISONS {
                stage.app.bus().send(Poison { sql: sql.to_owned(), is_honest }).await.unwrap();
            }
        }
    };
    tokio::join!(stage.send_innocents(400..700), poisons);
    stage.idle().await;
    let poisons = each * POISONS.len() as u64;
    println!("innocents' p99 {alone:?} alone, {:?} beside {poisons} poisons", stage.clock.p99());
    for (sql, _) in POISONS {
        assert_eq!(stage.runs.of(sql), ATTEMPTS * each, "{sql}");
    }
    let count = query_scalar::<_, i64>("select count(*) from innocents").fetch_one(stage.pool());
    assert_eq!(count.await.unwrap(), 700);
    assert_eq!(stage.store.admin().counts().await.unwrap().dead_letters, poisons);
    stage.app.stop().await.unwrap();
}
