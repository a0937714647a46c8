//! A node for tests that freeze it: sends transfers until its input ends, and then says how often
//! it was fenced.
//!
//! ```text
//! outage-node URL NAME FIRST     prints `ready`, `accepted ID` for each, `fenced OP COUNT`
//! ```

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, LazyLock, Mutex};
use std::time::Duration;

use jasper::prelude::*;
use jasper::telemetry;
use metrics::{Counter, CounterFn, Gauge, Histogram, Key, KeyName, Metadata, SharedString, Unit};
use serde::{Deserialize, Serialize};
use sqlx::{PgConnection, query};
use tokio::io::AsyncReadExt;

#[derive(Command, Serialize, Deserialize)]
#[command(name = "outages.slow")]
struct Slow {
    id: i64,
}

#[derive(Command, Serialize, Deserialize)]
#[command(name = "outages.swift")]
struct Swift {
    id: i64,
}

/// Long enough that a node which is frozen mostly has some of these under way, and that some of
/// them end only after the node has found out that it is late.
#[handler(queue = "slow", concurrency = 10)]
#[durable]
async fn slow(cmd: Slow, db: &mut PgConnection) -> sqlx::Result<Swift> {
    note(db, cmd.id, "slow").await?;
    for _ in 0..2 + (cmd.id as u64).wrapping_mul(7919) % 50 {
        // Real time: it is a transaction that takes long; in steps, so that what was left to do
        // when the node froze is still to be done when it goes on.
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    Ok(Swift { id: cmd.id })
}

#[handler(queue = "swift")]
#[durable]
async fn swift(cmd: Swift, db: &mut PgConnection) -> sqlx::Result<()> {
    note(db, cmd.id, "swift").await
}

async fn note(db: &mut PgConnection, id: i64, leg: &str) -> sqlx::Result<()> {
    let effect = query("insert into effects (id, leg) values ($1, $2)");
    effect.bind(id).bind(leg).execute(db).await.map(drop)
}

/// How often writes were fenced, by operation.
static FENCED: LazyLock<Fenced> = LazyLock::new(Fenced::default);

#[derive(Default)]
struct Fenced(Mutex<BTreeMap<String, Arc<Count>>>);

#[derive(Default)]
struct Count(AtomicU64);

impl CounterFn for Count {
    fn increment(&self, value: u64) {
        self.0.fetch_add(value, Ordering::SeqCst);
    }

    fn absolute(&self, value: u64) {
        self.0.store(value, Ordering::SeqCst);
    }
}

struct Recorder;

impl metrics::Recorder for Recorder {
    fn describe_counter(&self, _key: KeyName, _unit: Option<Unit>, _about: SharedString) {}
    fn describe_gauge(&self, _key: KeyName, _unit: Option<Unit>, _about: SharedString) {}
    fn describe_histogram(&self, _key: KeyName, _unit: Option<Unit>, _about: SharedString) {}

    fn register_counter(&self, key: &Key, _metadata: &Metadata<'_>) -> Counter {
        if key.name() != telemetry::FENCED {
            return Counter::noop();
        }
        let operation = key.labels().next().map_or("", |label| label.value()).to_owned();
        let mut counts = FENCED.0.lock().unwrap();
        Counter::from_arc(Arc::clone(counts.entry(operation).or_default()))
    }

    fn register_gauge(&self, _key: &Key, _metadata: &Metadata<'_>) -> Gauge {
        Gauge::noop()
    }

    fn register_histogram(&self, _key: &Key, _metadata: &Metadata<'_>) -> Histogram {
        Histogram::noop()
    }
}

#[tokio::main(flavor = "multi_thread", worker_threads = 2)]
async fn main() {
    metrics::set_global_recorder(Recorder).unwrap();
    let mut words = std::env::args().skip(1);
    let mut word = || words.next().expect("URL NAME FIRST");
    let (url, name, first) = (word(), word(), word().parse::<i64>().unwrap());
    let store = PostgresStore::connect(&url).await.unwrap();
    let app = Jasper::builder()
        .store(store)
        .service(name)
        .lease(Duration::from_secs(1))
        .handler(slow)
        .handler(swift)
        .start()
        .await
        .unwrap();
    println!("ready");
    tokio::select! {
        () = send(app.bus(), first) => {}
        () = end_of_input() => {}
    }
    app.until_idle().await.unwrap();
    app.stop().await.unwrap();
    for (operation, count) in &*FENCED.0.lock().unwrap() {
        println!("fenced {operation} {}", count.0.load(Ordering::SeqCst));
    }
}

async fn send(bus: &Bus, first: i64) {
    for id in first.. {
        while bus.send(Slow { id }).deduplicate(id.to_string()).await.is_err() {
            tokio::task::yield_now().await;
        }
        println!("accepted {id}");
        // Real time: it is the rate of the traffic.
        tokio::time::sleep(Duration::from_millis(30)).await;
    }
}

async fn end_of_input() {
    tokio::io::stdin().read_to_end(&mut Vec::new()).await.unwrap();
}
