//! A node that died with much work: others carry it on, beside work of their own.

use std::path::PathBuf;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use bytes::Bytes;
use jasper::envelope::{Address, Envelope};
use jasper::message::Message;
use jasper::prelude::*;
use jasper::store::{Incoming, MessageStore, Owner, Placement};
use serde::{Deserialize, Serialize};
use sqlx::{Connection, PgConnection, PgPool, query, query_scalar, raw_sql};
use tests::servers::Server;
use tokio::time::{interval, timeout};

use crate::from_env;

#[derive(Command, Serialize, Deserialize)]
#[command(name = "outages.left")]
struct Left {
    id: i64,
}

#[handler(queue = "left", concurrency = 8)]
#[durable]
async fn left(cmd: Left, db: &mut PgConnection) -> sqlx::Result<()> {
    query("insert into carried_on values ($1)").bind(cmd.id).execute(db).await.map(drop)
}

#[derive(Command, Serialize, Deserialize)]
#[command(name = "outages.live")]
struct Live {
    sent: u64,
}

/// How long live messages took from being sent to the end of their handler's run.
struct Latencies {
    start: Instant,
    micros: Mutex<Vec<u64>>,
}

impl Latencies {
    fn now(&self) -> u64 {
        self.start.elapsed().as_micros() as u64
    }

    fn take(&self) -> Quantiles {
        let mut micros = std::mem::take(&mut *self.micros.lock().unwrap());
        micros.sort_unstable();
        let quantile = |part: f64| {
            let index = (micros.len().saturating_sub(1) as f64 * part) as usize;
            Duration::from_micros(micros.get(index).copied().unwrap_or(0))
        };
        Quantiles { count: micros.len(), p50: quantile(0.5), p99: quantile(0.99) }
    }
}

#[derive(Debug)]
#[expect(dead_code, reason = "for people to read")]
struct Quantiles {
    count: usize,
    p50: Duration,
    p99: Duration,
}

#[handler(queue = "live")]
#[durable]
async fn live(cmd: Live, db: &mut PgConnection, seen: State<Arc<Latencies>>) -> sqlx::Result<()> {
    query("select 1").execute(db).await?;
    let latency = seen.now() - cmd.sent;
    seen.micros.lock().unwrap().push(latency);
    Ok(())
}

/// Sends live messages at a steady rate, for this long or until something is done.
async fn traffic(bus: &Bus, seen: &Latencies, until: impl Future<Output = ()>) {
    let mut ticks = interval(Duration::from_millis(10));
    let send = async {
        loop {
            ticks.tick().await;
            bus.send(Live { sent: seen.now() }).await.unwrap();
        }
    };
    tokio::select! {
        () = until => {}
        () = send => {}
    }
}

async fn leave_work(store: &PostgresStore, owner: Owner, rows: i64) {
    for page in 0..rows / 1_000 {
        let ids = page * 1_000..(page + 1) * 1_000;
        let row = |id| {
            let payload = serde_json::to_vec(&Left { id }).unwrap();
            let to = Address::local("left", "left");
            let mut envelope =
                Envelope::new(Left::TYPE, "application/json", Bytes::from(payload), to);
            envelope.attempts = 1;
            Incoming { envelope, placement: Placement::Owned(owner), retention: None }
        };
        store.inbox().store(ids.map(row).collect()).await.unwrap();
    }
}

async fn carried_on(pool: &PgPool) -> (i64, i64) {
    let count = "select count(*) from carried_on";
    let distinct = "select count(distinct id) from carried_on";
    let count = query_scalar(count).fetch_one(pool).await.unwrap();
    (count, query_scalar(distinct).fetch_one(pool).await.unwrap())
}

/// The server's log, which lies beside its data.
async fn log(pool: &PgPool) -> PathBuf {
    let data: String = query_scalar("show data_directory").fetch_one(pool).await.unwrap();
    PathBuf::from(data).with_file_name("log")
}

/// Has the server note each statement that takes longer.
async fn note_slow_statements(pool: &PgPool, milliseconds: u32) {
    let set = format!("alter system set log_min_duration_statement = {milliseconds}");
    raw_sql(sqlx::AssertSqlSafe(set)).execute(pool).await.unwrap();
    query("select pg_reload_conf()").execute(pool).await.unwrap();
}

/// The statements that the server has noted, with the milliseconds that they took.
fn slow_statements(log: &str) -> Vec<(f64, String)> {
    let slow = log.lines().filter_map(|line| line.split_once("duration: "));
    let read = |(_, rest): (&str, &str)| {
        let (milliseconds, statement) = rest.split_once(" ms").unwrap();
        (milliseconds.parse().unwrap(), statement.chars().take(100).collect())
    };
    slow.map(read).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_dead_node_has_left_is_carried_on_beside_live_traffic() {
    let server = Server::postgres().await;
    let store = PostgresStore::connect(server.url()).await.unwrap();
    raw_sql("create table carried_on (id bigint not null)").execute(store.pool()).await.unwrap();
    store.admin().prepare().await.unwrap();
    let rows: i64 = from_env("JASPER_BACKLOG", 8_000);
    let hour = Duration::from_secs(3_600);
    let dead = store.nodes().join("dead", hour, &[]).await.unwrap().owner;
    leave_work(&store, dead, rows).await;

    let seen = Arc::new(Latencies { start: Instant::now(), micros: Mutex::default() });
    let app = Jasper::builder()
        .store(store.clone())
        .state(Arc::clone(&seen))
        .lease(Duration::from_secs(2))
        .handler(left)
        .handler(live)
        .start()
        .await
        .unwrap();
    note_slow_statements(store.pool(), 200).await;
    // A new connection has the setting for sure.
    let mut new = PgConnection::connect(server.url()).await.unwrap();
    query("select pg_sleep(0.25)").execute(&mut new).await.unwrap();
    // Real time: it is what is measured.
    traffic(app.bus(), &seen, tokio::time::sleep(Duration::from_secs(5))).await;
    println!("before: {:?}", seen.take());
    store.nodes().leave(dead).await.unwrap();
    let started = Instant::now();
    let done = async {
        while carried_on(store.pool()).await.0 < rows {
            // Real time: there is no signal for the commits of others.
            tokio::time::sleep(Duration::from_millis(200)).await;
        }
    };
    let carried = traffic(app.bus(), &seen, done);
    timeout(Duration::from_secs(1_200), carried).await.expect("the work is carried on");
    println!("during: {:?}; {rows} rows in {:?}", seen.take(), started.elapsed());
    timeout(Duration::from_secs(60), app.until_idle()).await.expect("it becomes idle").unwrap();
    assert_eq!(carried_on(store.pool()).await, (rows, rows));
    let slow = slow_statements(&std::fs::read_to_string(log(store.pool()).await).unwrap());
    let (control, slow): (Vec<_>, Vec<_>) =
        slow.into_iter().partition(|(_, statement)| statement.contains("pg_sleep"));
    println!("{} statements of more than 200 ms: {slow:?}", slow.len());
    assert_eq!(control.len(), 1, "slow statements are noted");
    // Not of the statement's doing where others keep the machine busy.
    let limit = f64::from(from_env("JASPER_SLOWEST", 1_000));
    assert!(slow.iter().all(|(milliseconds, _)| *milliseconds < limit), "{slow:?}");
    app.stop().await.unwrap();
}
