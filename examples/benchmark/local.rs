//! A queue in memory: messages to a handler that does nothing, beside a channel that carries the
//! same JSON.

use std::time::Instant;

use jasper::prelude::*;
use serde::{Deserialize, Serialize};
use tokio::sync::mpsc;

use crate::report::{Layout, Report};
use crate::{Outcome, ROUNDS};

const CHANNEL: &str = "a channel with the same JSON, 16 senders";
const SEND: &str = "send to a handler that does nothing, 16 senders";

const LAYOUT: Layout = Layout {
    conditions: "in memory, 200 B",
    rates: &[CHANNEL, SEND],
    times: &[],
    moments: &[],
    ratios: &[(SEND, CHANNEL, ">= 0.4")],
};

const BYTES: usize = 200;
const SENDERS: usize = 16;
/// As many as a queue holds.
const CAPACITY: usize = 1_000;

#[derive(Command, Serialize, Deserialize)]
struct Note {
    text: String,
}

#[handler(concurrency = 64)]
async fn note(_note: Note) {}

fn message() -> Note {
    Note { text: "x".repeat(BYTES) }
}

pub(crate) async fn measure(messages: usize) -> Outcome<()> {
    let mut report = Report::default();
    for round in 0..ROUNDS {
        eprintln!("round {} of {ROUNDS}", round + 1);
        report.add(CHANNEL, through_channel(messages).await?);
        report.add(SEND, through_queue(messages).await?);
    }
    report.print(&LAYOUT);
    Ok(())
}

async fn through_channel(messages: usize) -> Outcome<f64> {
    let (sender, mut receiver) = mpsc::channel::<Vec<u8>>(CAPACITY);
    let receiving = tokio::spawn(async move {
        while let Some(bytes) = receiver.recv().await {
            let _: Note = serde_json::from_slice(&bytes)?;
        }
        Outcome::Ok(())
    });
    let started = Instant::now();
    let sent = by_all(messages, move || {
        let sender = sender.clone();
        async move { Ok(sender.send(serde_json::to_vec(&message())?).await?) }
    });
    let sent = sent.await?;
    receiving.await??;
    Ok(sent as f64 / started.elapsed().as_secs_f64())
}

async fn through_queue(messages: usize) -> Outcome<f64> {
    let jasper = Jasper::builder().handler(note).start().await?;
    let send = |messages| {
        let bus = jasper.bus().clone();
        by_all(messages, move || {
            let bus = bus.clone();
            async move { Ok(bus.send(message()).await.map(drop)?) }
        })
    };
    // Warm, as a queue is that is in use.
    send(messages / 10).await?;
    jasper.until_idle().await?;
    let started = Instant::now();
    let sent = send(messages).await?;
    jasper.until_idle().await?;
    let rate = sent as f64 / started.elapsed().as_secs_f64();
    jasper.stop().await?;
    Ok(rate)
}

async fn by_all<F>(messages: usize, send: impl Fn() -> F + Clone + Send + 'static) -> Outcome<usize>
where
    F: Future<Output = Outcome<()>> + Send,
{
    let each = (messages / SENDERS).max(1);
    let tasks = (0..SENDERS).map(|_| {
        let send = send.clone();
        tokio::spawn(async move {
            for _ in 0..each {
                send().await?;
            }
            Outcome::Ok(())
        })
    });
    for task in tasks.collect::<Vec<_>>() {
        task.await??;
    }
    Ok(each * SENDERS)
}
