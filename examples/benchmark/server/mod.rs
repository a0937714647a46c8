//! Database servers: what is measured on each of them, and what is aimed at.

pub(crate) mod drain;
mod handlers;
pub(crate) mod mysql;
mod ours;
pub(crate) mod postgres;
mod raw;
pub(crate) mod sqlserver;

use std::error::Error;
use std::time::Duration;

use uuid::Uuid;

pub(crate) use self::handlers::Application;
use self::handlers::Runs;
use self::raw::Raw;
use crate::report::{Layout, Report};
use crate::{Outcome, ROUNDS};

/// What one kind of server brings for the hand-written loops.
pub(crate) trait Database: Clone + Send + Sync + 'static {
    type Connection: Send + 'static;
    type Error: Error + Send + Sync + 'static;

    const LAYOUT: Layout;

    /// A new, empty database of this name, in the place of one that an earlier run has left.
    async fn create(url: &str, name: &str) -> Outcome<Self>;

    async fn remove(url: &str, name: &str) -> Outcome<()>;

    async fn connect(&self) -> Outcome<Self::Connection>;

    async fn create_tables(db: &mut Self::Connection) -> Result<(), Self::Error>;

    /// Lets the planner know what is stored by now.
    async fn analyze(db: &mut Self::Connection) -> Result<(), Self::Error>;

    /// Stores messages in one statement that commits by itself.
    fn insert(
        db: &mut Self::Connection,
        messages: &[Uuid],
    ) -> impl Future<Output = Result<(), Self::Error>> + Send;

    /// Takes at most 100 of the oldest messages out of the store, and says how many there were.
    fn take(db: &mut Self::Connection) -> impl Future<Output = Result<usize, Self::Error>> + Send;

    /// Makes at most 100 of the oldest messages its own.
    fn lease(
        db: &mut Self::Connection,
    ) -> impl Future<Output = Result<Vec<Uuid>, Self::Error>> + Send;

    /// Deletes messages that are its own.
    fn delete(
        db: &mut Self::Connection,
        messages: &[Uuid],
    ) -> impl Future<Output = Result<(), Self::Error>> + Send;

    /// Handles messages in one transaction. What is done for each: a business row, a follow-up for
    /// later, and it is deleted.
    fn handle(
        db: &mut Self::Connection,
        messages: &[Uuid],
    ) -> impl Future<Output = Result<(), Self::Error>> + Send;
}

const COMMIT: &str = "one-row commit, p50";
const COMMIT_RESTED: &str = "one-row commit, 100/s, p50";
const INSERTS: &str = "(a) one-row inserts, 10 connections";
const BATCHES: &str = "(b) inserts of 100 rows, 1 connection";
const TAKEN: &str = "(c) 100 at a time taken and deleted, 4 connections";
const ONE_EACH: &str = "(d) leased, then one transaction each, 16 connections";
const HUNDRED_EACH: &str = "(e) leased, then 100 to a transaction, 16 connections";
const INSERT_AND_HANDLE: &str = "(f) inserted, then one transaction each, 16 connections";
const SEND: &str = "send, 10 tasks";
const SEND_DELAYED: &str = "send with a delay, 10 tasks";
const BULK: &str = "send_all, 1 task";
const DRAIN: &str = "durable no-op handler, from a backlog";
const HANDLER: &str = "transactional handler, from a backlog";
const HANDLER_16: &str = "transactional handler, 16 senders";
const HANDLER_64: &str = "transactional handler, 64 senders";
const SHARED: &str = "transactional handler, share = 50, from a backlog";
const SHARED_64: &str = "transactional handler, share = 50, 64 senders";
const LATENCY: [&str; 3] =
    ["send to handler, 100/s, p50", "send to handler, 100/s, p95", "send to handler, 100/s, p99"];
const LATENCY_BEGUN: [&str; 3] = [
    "send to transactional handler, 100/s, p50",
    "send to transactional handler, 100/s, p95",
    "send to transactional handler, 100/s, p99",
];

pub(crate) const RATES: &[&str] = &[
    INSERTS,
    SEND,
    SEND_DELAYED,
    BATCHES,
    BULK,
    TAKEN,
    DRAIN,
    ONE_EACH,
    HANDLER,
    INSERT_AND_HANDLE,
    HANDLER_16,
    HANDLER_64,
    HUNDRED_EACH,
    SHARED,
    SHARED_64,
];

pub(crate) const TIMES: &[&str] = &[
    COMMIT,
    COMMIT_RESTED,
    LATENCY[0],
    LATENCY[1],
    LATENCY[2],
    LATENCY_BEGUN[0],
    LATENCY_BEGUN[1],
    LATENCY_BEGUN[2],
];

/// For a server without goals.
pub(crate) const RATIOS: &[(&str, &str, &str)] = &[
    (SEND, INSERTS, "-"),
    (SEND_DELAYED, INSERTS, "-"),
    (BULK, BATCHES, "-"),
    (DRAIN, TAKEN, "-"),
    (HANDLER, ONE_EACH, "-"),
    (HANDLER_16, INSERT_AND_HANDLE, "-"),
    (HANDLER_64, INSERT_AND_HANDLE, "-"),
    (SHARED, HUNDRED_EACH, "-"),
    (SHARED_64, HUNDRED_EACH, "-"),
    (LATENCY[0], COMMIT_RESTED, "-"),
    (LATENCY_BEGUN[0], COMMIT_RESTED, "-"),
];

pub(crate) const GOALS: &[(&str, &str, &str)] = &[
    (SEND, INSERTS, ">= 1.5"),
    (SEND_DELAYED, INSERTS, ">= 1.5"),
    (BULK, BATCHES, ">= 0.7"),
    (DRAIN, TAKEN, ">= 0.6"),
    (HANDLER, ONE_EACH, ">= 0.8"),
    (HANDLER_16, ONE_EACH, ">= 0.8"),
    (HANDLER_64, ONE_EACH, ">= 0.8"),
    (HANDLER_64, INSERT_AND_HANDLE, "-"),
    (SHARED, HUNDRED_EACH, ">= 0.6"),
    (SHARED_64, HUNDRED_EACH, ">= 0.6"),
    (LATENCY[0], COMMIT, "<= 1.5"),
    (LATENCY[0], COMMIT_RESTED, "-"),
    (LATENCY_BEGUN[0], COMMIT_RESTED, "-"),
];

/// Between two messages of those that come at 100 per second.
const TICK: Duration = Duration::from_millis(10);

/// How many times as many messages there are where a statement, or a transaction, serves many.
const OF_STATEMENTS: usize = 10;
const OF_TRANSACTIONS: usize = 2;

pub(crate) async fn measure<D: Application>(url: &str, messages: usize) -> Outcome<()> {
    let mut bench = Bench { url, messages, databases: 0, report: Report::default() };
    for round in 0..ROUNDS {
        eprintln!("round {} of {ROUNDS}", round + 1);
        let measured = bench.round::<D>().await;
        bench.clean_up::<D>().await?;
        measured?;
    }
    bench.report.print(&D::LAYOUT);
    Ok(())
}

struct Bench<'a> {
    url: &'a str,
    messages: usize,
    /// How many there are to remove.
    databases: usize,
    report: Report,
}

impl Bench<'_> {
    /// What is compared stands side by side, and each finds an empty database.
    async fn round<D: Application>(&mut self) -> Outcome<()> {
        self.sending::<D>().await?;
        self.draining::<D>().await?;
        self.handling::<D>().await?;
        self.sharing::<D>().await?;
        self.latency::<D>().await
    }

    async fn sending<D: Application>(&mut self) -> Outcome<()> {
        let (n, many) = (self.messages, self.messages * OF_STATEMENTS);
        let inserts = self.raw::<D>().await?.inserts(n, 10).await?;
        self.report.add(INSERTS, inserts);
        let send = ours::send::<D>(&self.fresh().await?, n, 10, false).await?;
        self.report.add(SEND, send);
        let delayed = ours::send::<D>(&self.fresh().await?, n, 10, true).await?;
        self.report.add(SEND_DELAYED, delayed);
        let batches = self.raw::<D>().await?.batches(many).await?;
        self.report.add(BATCHES, batches);
        let bulk = ours::bulk::<D>(&self.fresh().await?, many).await?;
        self.report.add(BULK, bulk);
        Ok(())
    }

    async fn draining<D: Application>(&mut self) -> Outcome<()> {
        let many = self.messages * OF_STATEMENTS;
        let taken = self.raw::<D>().await?.taken(many, 4).await?;
        self.report.add(TAKEN, taken);
        let drain = ours::drain::<D>(&self.fresh().await?, many).await?;
        self.report.add(DRAIN, drain);
        Ok(())
    }

    async fn handling<D: Application>(&mut self) -> Outcome<()> {
        let n = self.messages;
        let one_each = self.raw::<D>().await?.handled(n, 16, 1).await?;
        self.report.add(ONE_EACH, one_each);
        let handler = ours::backlog::<D>(&self.fresh().await?, n, Runs::Alone).await?;
        self.report.add(HANDLER, handler);
        let both = self.raw::<D>().await?.inserted_and_handled(n, 16).await?;
        self.report.add(INSERT_AND_HANDLE, both);
        for (name, senders) in [(HANDLER_16, 16), (HANDLER_64, 64)] {
            let database = self.fresh::<D>().await?;
            let handler = ours::overlapped(&database, n, senders, Runs::Alone).await?;
            self.report.add(name, handler);
        }
        Ok(())
    }

    async fn sharing<D: Application>(&mut self) -> Outcome<()> {
        let many = self.messages * OF_TRANSACTIONS;
        let hundred_each = self.raw::<D>().await?.handled(many, 16, 100).await?;
        self.report.add(HUNDRED_EACH, hundred_each);
        let shared = ours::backlog::<D>(&self.fresh().await?, many, Runs::Together).await?;
        self.report.add(SHARED, shared);
        let shared = ours::overlapped::<D>(&self.fresh().await?, many, 64, Runs::Together).await?;
        self.report.add(SHARED_64, shared);
        Ok(())
    }

    async fn latency<D: Application>(&mut self) -> Outcome<()> {
        let commit = self.raw::<D>().await?.commit_latency(500, None).await?;
        self.report.add(COMMIT, commit);
        let commit = self.raw::<D>().await?.commit_latency(500, Some(TICK)).await?;
        self.report.add(COMMIT_RESTED, commit);
        let database = self.fresh::<D>().await?;
        for (names, begun) in [(LATENCY, false), (LATENCY_BEGUN, true)] {
            let latency = ours::latency(&database, 500, begun).await?;
            for (name, seconds) in names.into_iter().zip(latency) {
                self.report.add(name, seconds);
            }
        }
        Ok(())
    }

    async fn raw<D: Database>(&mut self) -> Outcome<Raw<D>> {
        Raw::create(self.fresh().await?).await
    }

    async fn fresh<D: Database>(&mut self) -> Outcome<D> {
        let name = name(self.databases);
        self.databases += 1;
        D::create(self.url, &name).await
    }

    async fn clean_up<D: Database>(&mut self) -> Outcome<()> {
        for number in 0..self.databases {
            D::remove(self.url, &name(number)).await?;
        }
        self.databases = 0;
        Ok(())
    }
}

fn name(number: usize) -> String {
    format!("jasper_benchmark_{number}")
}
