//! The same work through jasper.

use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use jasper::prelude::*;
use serde::{Deserialize, Serialize};
use sqlx::{SqliteConnection, query};
use tokio::time::MissedTickBehavior;

use crate::Outcome;
use crate::report::percentile;

#[derive(Command, Serialize, Deserialize)]
struct Write {
    note: String,
}

#[derive(Event, Serialize, Deserialize)]
struct Written {
    note: String,
}

#[derive(Command, Serialize, Deserialize)]
struct Ping {
    number: usize,
}

#[derive(Command, Serialize, Deserialize)]
#[command(reply = u64)]
struct Add {
    left: u64,
    right: u64,
}

#[handler]
#[durable]
async fn write(cmd: Write, db: &mut SqliteConnection) -> sqlx::Result<Written> {
    query("insert into effects (note) values (?)").bind(&cmd.note).execute(db).await?;
    Ok(Written { note: cmd.note })
}

#[handler]
async fn written(_event: Written) {}

#[handler]
#[durable]
async fn ping(cmd: Ping, _db: &mut SqliteConnection, arrivals: State<Arrivals>) {
    arrivals.0.lock().unwrap_or_else(PoisonError::into_inner)[cmd.number] = Some(Instant::now());
}

#[handler]
async fn add(cmd: Add) -> Reply<u64> {
    Reply(cmd.left.wrapping_add(cmd.right))
}

/// When each ping reached its handler.
#[derive(Clone, Default)]
struct Arrivals(Arc<Mutex<Vec<Option<Instant>>>>);

/// An application with what is measured beside it.
pub(crate) struct App {
    jasper: Jasper,
    arrivals: Arrivals,
}

impl App {
    pub(crate) async fn stop(self) -> Outcome<()> {
        Ok(self.jasper.stop().await?)
    }
}

pub(crate) async fn start(file: &Path) -> Outcome<App> {
    let store = SqliteStore::open(file).await?;
    let schema = "create table effects (n integer primary key, note text not null)";
    query(schema).execute(store.pool()).await?;
    let arrivals = Arrivals::default();
    // These and no others: what is for another database does not run on this one.
    let builder = Jasper::builder()
        .handler(write)
        .handler(written)
        .handler(ping)
        .handler(add)
        .store(store)
        .state(arrivals.clone());
    let jasper = builder.start().await?;
    Ok(App { jasper, arrivals })
}

/// Messages per second from the first send until the last follow-up is handled.
pub(crate) async fn through_handler(app: &App, n: usize, senders: usize) -> Outcome<f64> {
    let started = Instant::now();
    let sent = send_from(app, n, senders, |bus| async move {
        bus.send(Write { note: "an order".into() }).await.map(drop)
    })
    .await?;
    app.jasper.until_idle().await?;
    Ok(sent as f64 / started.elapsed().as_secs_f64())
}

/// Messages per second that are stored and not yet due.
pub(crate) async fn send_alone(app: &App, n: usize, senders: usize) -> Outcome<f64> {
    let started = Instant::now();
    let sent = send_from(app, n, senders, |bus| async move {
        let day = Duration::from_secs(24 * 60 * 60);
        bus.send(Write { note: "x".repeat(100) }).delay(day).await.map(drop)
    });
    Ok(sent.await? as f64 / started.elapsed().as_secs_f64())
}

async fn send_from<F>(
    app: &App,
    n: usize,
    senders: usize,
    send: impl Fn(Bus) -> F + Copy + Send + 'static,
) -> Outcome<usize>
where
    F: Future<Output = Result<(), jasper::SendError>> + Send,
{
    let each = n / senders;
    let tasks = (0..senders).map(|_| {
        let bus = app.jasper.bus().clone();
        tokio::spawn(async move {
            for _ in 0..each {
                send(bus.clone()).await?;
            }
            Outcome::Ok(())
        })
    });
    for task in tasks.collect::<Vec<_>>() {
        task.await??;
    }
    Ok(each * senders)
}

/// Seconds from the call of `send` to the entry of the handler, at 100 messages per second: p50 and
/// p99.
pub(crate) async fn latency(app: &App, n: usize) -> Outcome<(f64, f64)> {
    *app.arrivals.0.lock().unwrap_or_else(PoisonError::into_inner) = vec![None; n];
    let mut departures = Vec::with_capacity(n);
    let mut ticks = tokio::time::interval(Duration::from_millis(10));
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    for number in 0..n {
        ticks.tick().await;
        departures.push(Instant::now());
        app.jasper.bus().send(Ping { number }).await?;
    }
    app.jasper.until_idle().await?;
    let arrivals = app.arrivals.0.lock().unwrap_or_else(PoisonError::into_inner);
    let pairs = departures.iter().zip(arrivals.iter());
    let seconds =
        pairs.filter_map(|(from, to)| Some(to.as_ref()?.duration_since(*from).as_secs_f64()));
    let seconds: Vec<_> = seconds.collect();
    Ok((percentile(seconds.clone(), 50), percentile(seconds, 99)))
}

/// Seconds of one plain call of the handler's function.
pub(crate) async fn plain_calls(n: u64) -> f64 {
    let started = Instant::now();
    let mut sum = 0;
    for right in 0..n {
        sum = std::hint::black_box(add(Add { left: sum, right }).await.0);
    }
    started.elapsed().as_secs_f64() / n as f64
}

/// Seconds of one invocation of the same handler through the bus.
pub(crate) async fn invocations(app: &App, n: u64) -> Outcome<f64> {
    let started = Instant::now();
    let mut sum = 0;
    for right in 0..n {
        sum = std::hint::black_box(app.jasper.bus().invoke(Add { left: sum, right }).await?);
    }
    Ok(started.elapsed().as_secs_f64() / n as f64)
}
