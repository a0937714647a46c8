//! What jasper costs on SQLite, beside hand-written loops on the same file system in the same run.
//!
//! `cargo run --release --example benchmark [MESSAGES]`; the database lies in a new folder under
//! the working directory, so that a `tmpfs` on `/tmp` does not flatter anybody. Nothing here is
//! asserted: machines differ and are noisy, so read the ratios, not the figures alone.

mod ours;
mod raw;
mod report;

use std::env;
use std::error::Error;
use std::path::PathBuf;

use report::Report;

type Outcome<T> = Result<T, Box<dyn Error + Send + Sync>>;

const ROUNDS: usize = 3;

#[tokio::main]
async fn main() -> Outcome<()> {
    let messages = env::args().nth(1).map_or(Ok(4_000), |text| text.parse())?;
    let folder = Folder::new()?;
    let mut report = Report::default();
    for round in 0..ROUNDS {
        eprintln!("round {} of {ROUNDS}", round + 1);
        raw_loops(&folder, round, messages, &mut report).await?;
        jasper(&folder, round, messages, &mut report).await?;
    }
    report.print();
    Ok(())
}

async fn raw_loops(folder: &Folder, round: usize, n: usize, report: &mut Report) -> Outcome<()> {
    let few = (n / 10).max(50);
    let raw = raw::Database::create(&folder.file("raw", round)).await?;
    report.add(report::COMMIT, raw.commit_latency(few).await?);
    report.add(report::ONE_EACH, raw.same_writes(few, 1).await?);
    report.add(report::HUNDRED_EACH, raw.same_writes(n, 100).await?);
    report.add(report::GROUP_COMMIT, raw.group_commit(n, 16).await?);
    Ok(())
}

async fn jasper(folder: &Folder, round: usize, n: usize, report: &mut Report) -> Outcome<()> {
    let app = ours::start(&folder.file("jasper", round)).await?;
    report.add(report::ONE_SENDER, ours::through_handler(&app, (n / 10).max(50), 1).await?);
    report.add(report::SIXTEEN_SENDERS, ours::through_handler(&app, n, 16).await?);
    report.add(report::SEND_ALONE, ours::send_alone(&app, n, 16).await?);
    let latency = ours::latency(&app, 500).await?;
    report.add(report::LATENCY_P50, latency.0);
    report.add(report::LATENCY_P99, latency.1);
    report.add(report::PLAIN_CALL, ours::plain_calls(200_000).await);
    report.add(report::INVOKE, ours::invocations(&app, 200_000).await?);
    app.stop().await?;
    Ok(())
}

/// A folder of this run, removed at the end.
struct Folder(PathBuf);

impl Folder {
    fn new() -> Outcome<Self> {
        let path = env::current_dir()?.join(format!("benchmark-{}.tmp", std::process::id()));
        std::fs::create_dir(&path)?;
        Ok(Self(path))
    }

    fn file(&self, name: &str, round: usize) -> PathBuf {
        self.0.join(format!("{name}-{round}.db"))
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        if let Err(error) = std::fs::remove_dir_all(&self.0) {
            eprintln!("{} was not removed: {error}", self.0.display());
        }
    }
}
