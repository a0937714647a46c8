//! TCP: messages between two applications by loopback, beside a bare echo and beside what their two
//! stores do without a network in between.

pub(crate) mod ours;
mod raw;
pub(crate) mod stores;

use self::ours::Pair;
use self::raw::Writes;
use crate::folder::Folder;
use crate::report::{Layout, Report};
use crate::{Outcome, ROUNDS};

/// The names of the figures for one size of payload.
struct Names {
    bytes: usize,
    echo: &'static str,
    echo_singly: &'static str,
    buffered: &'static str,
    stores: &'static str,
    durable: &'static str,
    /// p50 and p99.
    echo_latency: [&'static str; 2],
    buffered_latency: [&'static str; 2],
    durable_latency: [&'static str; 2],
}

const SMALL: Names = Names {
    bytes: 200,
    echo: "200 B: bare echo, many frames to a write",
    echo_singly: "200 B: bare echo, a write for each frame",
    buffered: "200 B: tcp://",
    stores: "200 B: both stores without a network",
    durable: "200 B: durable://",
    echo_latency: ["200 B: bare echo, 100/s, p50", "200 B: bare echo, 100/s, p99"],
    buffered_latency: [
        "200 B: tcp:// to handler, 100/s, p50",
        "200 B: tcp:// to handler, 100/s, p99",
    ],
    durable_latency: [
        "200 B: durable:// to handler, 100/s, p50",
        "200 B: durable:// to handler, 100/s, p99",
    ],
};

const LARGE: Names = Names {
    bytes: 10 * 1024,
    echo: "10 KiB: bare echo, many frames to a write",
    echo_singly: "10 KiB: bare echo, a write for each frame",
    buffered: "10 KiB: tcp://",
    stores: "10 KiB: both stores without a network",
    durable: "10 KiB: durable://",
    echo_latency: ["10 KiB: bare echo, 100/s, p50", "10 KiB: bare echo, 100/s, p99"],
    buffered_latency: [
        "10 KiB: tcp:// to handler, 100/s, p50",
        "10 KiB: tcp:// to handler, 100/s, p99",
    ],
    durable_latency: [
        "10 KiB: durable:// to handler, 100/s, p50",
        "10 KiB: durable:// to handler, 100/s, p99",
    ],
};

const LAYOUT: Layout = Layout {
    conditions: "both applications and the echo in one process, by loopback",
    rates: &[
        SMALL.echo,
        SMALL.echo_singly,
        SMALL.buffered,
        SMALL.stores,
        SMALL.durable,
        LARGE.echo,
        LARGE.echo_singly,
        LARGE.buffered,
        LARGE.stores,
        LARGE.durable,
    ],
    times: &[
        SMALL.echo_latency[0],
        SMALL.echo_latency[1],
        SMALL.buffered_latency[0],
        SMALL.buffered_latency[1],
        SMALL.durable_latency[0],
        SMALL.durable_latency[1],
        LARGE.echo_latency[0],
        LARGE.echo_latency[1],
        LARGE.buffered_latency[0],
        LARGE.buffered_latency[1],
        LARGE.durable_latency[0],
        LARGE.durable_latency[1],
    ],
    moments: &[],
    ratios: &[
        (SMALL.buffered, SMALL.echo, ">= 0.5"),
        (SMALL.buffered, SMALL.echo_singly, "-"),
        (SMALL.durable, SMALL.stores, ">= 0.8"),
        (LARGE.buffered, LARGE.echo, ">= 0.5"),
        (LARGE.buffered, LARGE.echo_singly, "-"),
        (LARGE.durable, LARGE.stores, ">= 0.8"),
    ],
};

/// Messages at 100 per second, for the latencies; no more than all.
const TICKS: usize = 300;

pub(crate) async fn measure(messages: usize) -> Outcome<()> {
    let folder = Folder::new()?;
    let mut report = Report::default();
    for round in 0..ROUNDS {
        eprintln!("round {} of {ROUNDS}", round + 1);
        for names in [&SMALL, &LARGE] {
            measure_size(names, messages, &folder, round, &mut report).await?;
        }
    }
    report.print(&LAYOUT);
    Ok(())
}

async fn measure_size(
    names: &Names,
    messages: usize,
    folder: &Folder,
    round: usize,
    report: &mut Report,
) -> Outcome<()> {
    let ticks = TICKS.min(messages);
    let file = |what: &str| folder.file(&format!("{what}-{}", names.bytes), round);
    let echo = raw::Echo::start().await?;
    // Warm, as connections are that are in use.
    echo.rate(messages / 10, names.bytes, Writes::Shared).await?;
    report.add(names.echo, echo.rate(messages, names.bytes, Writes::Shared).await?);
    report.add(names.echo_singly, echo.rate(messages, names.bytes, Writes::Single).await?);
    let latency = echo.latency(ticks, names.bytes).await?;
    report.add_all(names.echo_latency, latency);
    let pair = Pair::buffered().await?;
    pair.rate(messages / 10, names.bytes).await?;
    report.add(names.buffered, pair.rate(messages, names.bytes).await?);
    report.add_all(names.buffered_latency, pair.latency(ticks, names.bytes).await?);
    pair.stop().await?;
    let stores = stores::Stores::open(&file("a"), &file("b")).await?;
    stores.rate(messages / 10, names.bytes).await?;
    report.add(names.stores, stores.rate(messages, names.bytes).await?);
    let pair = Pair::durable(&file("sender"), &file("receiver")).await?;
    pair.rate(messages / 10, names.bytes).await?;
    report.add(names.durable, pair.rate(messages, names.bytes).await?);
    report.add_all(names.durable_latency, pair.latency(ticks, names.bytes).await?);
    pair.stop().await
}
