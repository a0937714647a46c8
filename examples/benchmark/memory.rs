//! The most memory that the process has had, each measurement a process of its own.

use std::time::{Duration, Instant};

use jasper::prelude::*;
use jasper::runtime::Builder;
use jasper::store::MessageStore;
use serde::{Deserialize, Serialize};
use sqlx::{AssertSqlSafe, query};

use crate::Outcome;
use crate::folder::Folder;

const MIB: usize = 1024 * 1024;

/// How long the retries of the last measurement are watched.
const WATCHED: Duration = Duration::from_secs(10);

#[derive(Command, Serialize, Deserialize)]
struct Take {
    text: String,
}

#[handler(queue = "taken")]
#[durable]
async fn take(_cmd: Take) {}

#[derive(Command, Serialize, Deserialize)]
struct Retry {
    text: String,
}

#[handler(queue = "retried", attempts = 2, delays = ["1h"])]
async fn retry(_cmd: Retry) -> Result<(), HandlerError> {
    Err(HandlerError::new("not yet"))
}

/// What is measured, and where.
pub(crate) async fn measure(what: &str, store: &[&str]) -> Outcome<()> {
    match (what, store) {
        ("retries", []) => retries().await,
        (what, ["sqlite"]) => {
            let folder = Folder::new()?;
            send(what, SqliteStore::open(folder.file("memory", 0)).await?).await
        }
        (what, ["postgres", url]) => {
            let schema = format!("benchmark_{}", std::process::id());
            let store = PostgresStore::builder().schema(&schema).connect(url).await?;
            let pool = store.pool().clone();
            let measured = send(what, store).await;
            let drop = AssertSqlSafe(format!("drop schema {schema} cascade"));
            query(drop).execute(&pool).await?;
            measured
        }
        _ => Err(crate::USAGE.into()),
    }
}

async fn send(what: &str, store: impl MessageStore) -> Outcome<()> {
    match what {
        "small" => send_all(what, store, 1_000_000, 150).await,
        "large" => send_all(what, store, 600, 2 * MIB).await,
        _ => Err(crate::USAGE.into()),
    }
}

async fn send_all(
    what: &str,
    store: impl MessageStore,
    messages: usize,
    size: usize,
) -> Outcome<()> {
    let app = Jasper::builder().store(store).handler(take).start().await?;
    let text = "x".repeat(size);
    let (before, started) = (peak()?, Instant::now());
    let all = (0..messages).map(|_| Take { text: text.clone() });
    let sent = app.bus().send_all(all).on_progress(|accepted| {
        if accepted % (messages / 10) == 0 {
            println!("{accepted} after {:.1} s", started.elapsed().as_secs_f64());
        }
    });
    sent.await?;
    println!("{what}: send_all of {messages} of {size} bytes took {:?}", started.elapsed());
    print(before)?;
    Ok(app.stop().await?)
}

/// A queue of 100 messages of 1 MiB that all wait for a retry, and a sender who has many more.
async fn retries() -> Outcome<()> {
    let app: Builder = Jasper::builder().queue("retried", QueueOptions::new().capacity(100));
    let app = app.handler(retry).start().await?;
    let before = peak()?;
    let mut accepted = 0;
    let all = (0..1_500).map(|_| Retry { text: "x".repeat(MIB) });
    let sent = app.bus().send_all(all).on_progress(|so_far| accepted = so_far);
    if let Ok(sent) = tokio::time::timeout(WATCHED, sent).await {
        sent?;
    }
    println!("retries: {accepted} of 1500 messages of 1 MiB were accepted within {WATCHED:?}");
    print(before)?;
    Ok(app.stop().await?)
}

pub(crate) fn print(before: usize) -> Outcome<()> {
    println!("peak: {} MiB, of which {} MiB before", peak()? / MIB, before / MIB);
    Ok(())
}

/// The most memory that this process has had so far, in bytes, as Linux says.
pub(crate) fn peak() -> Outcome<usize> {
    let status = std::fs::read_to_string("/proc/self/status")?;
    let line = status
        .lines()
        .find_map(|line| line.strip_prefix("VmHWM:"))
        .ok_or("the system does not say the peak of memory")?;
    let kib: usize = line.trim().trim_end_matches(" kB").parse()?;
    Ok(kib * 1024)
}
