//! SQLite: one file for each round, with `synchronous=FULL`. The loops by hand run on one thread,
//! but for one: it uses the driver of jasper and its handlers, which hands each statement to a
//! thread of its own.

mod driver;
mod ours;
mod raw;

use jasper::prelude::SqliteStore;

use crate::backlog;
use crate::folder::Folder;
use crate::report::{Layout, Report};
use crate::{Outcome, ROUNDS};

const COMMIT: &str = "one-row commit";
const ONE_EACH: &str = "(a) same writes, one transaction each";
const HUNDRED_EACH: &str = "(b) same writes, 100 to a transaction";
const BY_DRIVER: &str = "(b) through the driver of the handlers";
const GROUP_COMMIT: &str = "group-commit loop, 16 senders";
const TAKEN: &str = "(c) 100 at a time claimed, then deleted";
const DRAIN: &str = "durable no-op handler, from a backlog";
const ONE_SENDER: &str = "durable handler, 1 sender";
const SIXTEEN_SENDERS: &str = "durable handler, 16 senders";
const SEND_ALONE: &str = "send alone, 16 senders";
const LATENCY_P50: &str = "send to handler, 100/s, p50";
const LATENCY_P99: &str = "send to handler, 100/s, p99";
const PLAIN_CALL: &str = "plain call";
const INVOKE: &str = "invoke";

const LAYOUT: Layout = Layout {
    conditions: "synchronous=FULL",
    rates: &[
        ONE_EACH,
        HUNDRED_EACH,
        BY_DRIVER,
        ONE_SENDER,
        SIXTEEN_SENDERS,
        GROUP_COMMIT,
        SEND_ALONE,
        TAKEN,
        DRAIN,
    ],
    times: &[COMMIT, LATENCY_P50, LATENCY_P99],
    moments: &[PLAIN_CALL, INVOKE],
    ratios: &[
        (ONE_SENDER, ONE_EACH, "-"),
        (SIXTEEN_SENDERS, ONE_EACH, "-"),
        (SIXTEEN_SENDERS, HUNDRED_EACH, ">= 0.2"),
        (BY_DRIVER, HUNDRED_EACH, "-"),
        (SIXTEEN_SENDERS, BY_DRIVER, "-"),
        (SEND_ALONE, GROUP_COMMIT, ">= 0.7"),
        (DRAIN, TAKEN, ">= 0.3"),
        (LATENCY_P50, COMMIT, "<= 2"),
    ],
};

/// How many times as many messages there are where a statement serves many.
const OF_STATEMENTS: usize = 10;

pub(crate) async fn measure(messages: usize) -> Outcome<()> {
    let folder = Folder::new()?;
    let mut report = Report::default();
    for round in 0..ROUNDS {
        eprintln!("round {} of {ROUNDS}", round + 1);
        raw_loops(&folder, round, messages, &mut report).await?;
        jasper(&folder, round, messages, &mut report).await?;
    }
    report.print(&LAYOUT);
    let over = (report.median(INVOKE) - report.median(PLAIN_CALL)) * 1e9;
    println!("  invoke over the plain call: {over:.1} ns, aimed at <= 200");
    Ok(())
}

async fn raw_loops(folder: &Folder, round: usize, n: usize, report: &mut Report) -> Outcome<()> {
    let few = (n / 10).max(50);
    let file = folder.file("raw", round);
    let raw = raw::Database::create(&file)?;
    report.add(COMMIT, raw.commit_latency(few)?);
    report.add(ONE_EACH, raw.same_writes(few, 1)?);
    report.add(HUNDRED_EACH, raw.same_writes(n, 100)?);
    report.add(BY_DRIVER, driver::same_writes(&file, n).await?);
    report.add(GROUP_COMMIT, raw.group_commit(n, 16).await?);
    report.add(TAKEN, raw.claimed_and_deleted(n * OF_STATEMENTS)?);
    Ok(())
}

async fn jasper(folder: &Folder, round: usize, n: usize, report: &mut Report) -> Outcome<()> {
    let store = SqliteStore::open(folder.file("backlog", round)).await?;
    report.add(DRAIN, backlog::rate(store, n * OF_STATEMENTS).await?);
    let app = ours::start(&folder.file("jasper", round)).await?;
    report.add(ONE_SENDER, ours::through_handler(&app, (n / 10).max(50), 1).await?);
    report.add(SIXTEEN_SENDERS, ours::through_handler(&app, n, 16).await?);
    report.add(SEND_ALONE, ours::send_alone(&app, n, 16).await?);
    let latency = ours::latency(&app, n.min(500)).await?;
    report.add(LATENCY_P50, latency.0);
    report.add(LATENCY_P99, latency.1);
    // As many as a usual run has, or few of all where few are asked for.
    let calls = (n as u64).saturating_mul(50).min(200_000);
    report.add(PLAIN_CALL, ours::plain_calls(calls).await);
    report.add(INVOKE, ours::invocations(&app, calls).await?);
    app.stop().await?;
    Ok(())
}
