//! The same by jasper, from `send` until the handler of the other application has begun.

use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use jasper::prelude::*;
use jasper::runtime::Builder;
use serde::{Deserialize, Serialize};
use tokio::sync::watch;
use tokio::time::MissedTickBehavior;

use crate::Outcome;
use crate::report::percentile;

#[derive(Command, Serialize, Deserialize)]
#[command(name = "benchmark.parcel", to = "benchmark.receiver")]
struct Parcel {
    number: usize,
    contents: String,
}

#[handler(concurrency = 64)]
async fn receive(parcel: Parcel, arrivals: State<Arrivals>) {
    if let Some(at) = arrivals.times().get_mut(parcel.number) {
        *at = Some(Instant::now());
    }
    arrivals.count.send_modify(|count| *count += 1);
}

/// When each parcel reached its handler, and how many did.
#[derive(Clone)]
struct Arrivals {
    times: Arc<Mutex<Vec<Option<Instant>>>>,
    count: Arc<watch::Sender<usize>>,
}

impl Arrivals {
    fn times(&self) -> std::sync::MutexGuard<'_, Vec<Option<Instant>>> {
        self.times.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Two applications.
pub(crate) struct Pair {
    sender: Jasper,
    receiver: Jasper,
    arrivals: Arrivals,
}

/// How many tasks send.
const SENDERS: usize = 16;

impl Pair {
    /// Fire and forget.
    pub(crate) async fn buffered() -> Outcome<Self> {
        let address = "tcp://127.0.0.1:0";
        Self::start(Jasper::builder(), Jasper::builder(), address, None).await
    }

    /// Stored by both.
    pub(crate) async fn durable(sender: &Path, receiver: &Path) -> Outcome<Self> {
        let with = async |file: &Path| {
            Outcome::Ok(Jasper::builder().store(SqliteStore::open(file).await?))
        };
        let address = "durable://127.0.0.1:0";
        Self::start(with(sender).await?, with(receiver).await?, address, None).await
    }

    /// The sender sends to this address, or to where the receiver listens.
    pub(crate) async fn start(
        sender: Builder,
        receiver: Builder,
        listen: &str,
        address: Option<&str>,
    ) -> Outcome<Self> {
        let count = Arc::new(watch::Sender::new(0));
        let arrivals = Arrivals { times: Arc::default(), count };
        let receiver =
            receiver.handler(receive).state(arrivals.clone()).listen(listen).start().await?;
        let address = address.map_or_else(|| receiver.addresses()[0].to_string(), str::to_owned);
        // It handles nothing; a handler is named so that those of this program are left out.
        let sender = sender
            .handler(receive)
            .state(arrivals.clone())
            .endpoint("benchmark.receiver", address)
            .start()
            .await?;
        Ok(Self { sender, receiver, arrivals })
    }

    /// Messages per second from the first send until the last is handled.
    pub(crate) async fn rate(&self, messages: usize, bytes: usize) -> Outcome<f64> {
        self.arrivals.count.send_replace(0);
        let started = Instant::now();
        let tasks = (0..SENDERS).map(|_| {
            let bus = self.sender.bus().clone();
            tokio::spawn(async move {
                for _ in 0..messages / SENDERS {
                    bus.send(parcel(usize::MAX, bytes)).await?;
                }
                Outcome::Ok(())
            })
        });
        for task in tasks.collect::<Vec<_>>() {
            task.await??;
        }
        let sent = messages / SENDERS * SENDERS;
        self.arrivals.count.subscribe().wait_for(|count| *count >= sent).await?;
        let elapsed = started.elapsed();
        self.sender.until_idle().await?;
        Ok(sent as f64 / elapsed.as_secs_f64())
    }

    /// Seconds from the call of `send` to the entry of the handler, at 100 messages per second: p50
    /// and p99.
    pub(crate) async fn latency(&self, messages: usize, bytes: usize) -> Outcome<[f64; 2]> {
        self.arrivals.count.send_replace(0);
        *self.arrivals.times() = vec![None; messages];
        let mut departures = Vec::with_capacity(messages);
        let mut ticks = tokio::time::interval(Duration::from_millis(10));
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        for number in 0..messages {
            ticks.tick().await;
            departures.push(Instant::now());
            self.sender.bus().send(parcel(number, bytes)).await?;
        }
        self.arrivals.count.subscribe().wait_for(|count| *count >= messages).await?;
        let arrivals = std::mem::take(&mut *self.arrivals.times());
        let pairs = departures.iter().zip(arrivals);
        let seconds: Vec<_> =
            pairs.filter_map(|(from, to)| Some(to?.duration_since(*from).as_secs_f64())).collect();
        Ok([percentile(seconds.clone(), 50), percentile(seconds, 99)])
    }

    pub(crate) async fn stop(self) -> Outcome<()> {
        self.sender.stop().await?;
        Ok(self.receiver.stop().await?)
    }
}

fn parcel(number: usize, bytes: usize) -> Parcel {
    Parcel { number, contents: "x".repeat(bytes) }
}
