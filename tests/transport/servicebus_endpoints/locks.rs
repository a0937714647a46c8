//! Locks: renewed while a handler runs, and seen to be lost.

use std::time::Duration;

use jasper::prelude::*;
use jasper::runtime::Builder;
use jasper::testing::servicebus::{Broker, Counts, EntitySettings};
use serde::{Deserialize, Serialize};
use tests::Journal;
use tokio::sync::watch;

use crate::bench::{ADDRESS, QUEUE, broker, sender, settings, transport, until};

#[derive(Command, Serialize, Deserialize)]
#[command(name = "asb.slow", to = "notes")]
struct Slow {
    text: String,
}

/// Opens when a handler may go on.
type Gate = watch::Receiver<bool>;

#[handler(concurrency = 16)]
async fn take_time(
    cmd: Slow,
    envelope: jasper::Envelope,
    journal: State<Journal>,
    gate: State<Gate>,
) {
    journal.note(format!("{} came, redelivered: {}", cmd.text, envelope.redelivered));
    let mut gate = Gate::clone(&gate);
    let _ = gate.wait_for(|is_open| *is_open).await;
    journal.note(format!("{} went", cmd.text));
}

fn slow(text: &str) -> Slow {
    Slow { text: text.to_owned() }
}

/// Without a store: what is settled at the end of its handler.
fn inline(broker: &Broker, journal: &Journal, gate: &Gate) -> Builder {
    let builder = Jasper::builder().service("inline").transport(transport(broker));
    let builder = builder.handler(take_time).state(journal.clone()).state(gate.clone());
    builder.endpoint("notes", "local://take_time").listen(format!("{ADDRESS}?mode=inline"))
}

async fn send(broker: &Broker, texts: &[&str]) {
    let sender = sender(broker, ADDRESS).start().await.unwrap();
    for text in texts {
        sender.bus().send(slow(text)).await.unwrap();
    }
    sender.stop().await.unwrap();
}

fn short() -> EntitySettings {
    settings().lock_duration(Duration::from_millis(500))
}

#[tokio::test]
async fn a_handler_that_runs_five_times_as_long_as_a_lock_completes_once() {
    let (broker, journal) = (broker(short()).await, Journal::default());
    let (open, gate) = watch::channel(false);
    let app = inline(&broker, &journal, &gate).start().await.unwrap();
    send(&broker, &["slow"]).await;
    journal.wait_for_number(1).await;
    // Real time: that of five locks.
    tokio::time::sleep(Duration::from_millis(2_500)).await;
    assert_eq!(broker.counts(QUEUE).locked, 1);
    open.send_replace(true);
    let counts = until(&broker, QUEUE, |counts| counts.completed == 1).await;
    app.stop().await.unwrap();
    assert_eq!(journal.notes(), ["slow came, redelivered: false", "slow went"]);
    assert_eq!((counts.delivered, counts.expired_locks, counts.late_settlements), (1, 0, 0));
}

#[tokio::test]
async fn inline_messages_are_handled_several_at_once_and_come_again_after_a_crash() {
    let (broker, journal) = (broker(short()).await, Journal::default());
    let (open, gate) = watch::channel(false);
    let first = inline(&broker, &journal, &gate).start().await.unwrap();
    send(&broker, &["a", "b", "c"]).await;
    journal.wait_for_number(3).await;
    // It ends as in a crash: nothing was settled, so all are delivered to another.
    drop(first);
    let other = Journal::default();
    let second = inline(&broker, &other, &gate).start().await.unwrap();
    other.wait_for_number(3).await;
    let came = ["a", "b", "c"].map(|text| format!("{text} came, redelivered: true"));
    assert_eq!(other.sorted(), came);
    open.send_replace(true);
    other.wait_for_number(6).await;
    second.stop().await.unwrap();
    until(&broker, QUEUE, |counts| counts.completed == 3).await;
}

#[tokio::test]
async fn nothing_is_said_to_the_broker_of_a_message_whose_lock_is_lost() {
    let (broker, journal) = (broker(short()).await, Journal::default());
    let (open, gate) = watch::channel(false);
    let app = inline(&broker, &journal, &gate).start().await.unwrap();
    send(&broker, &["lost"]).await;
    journal.wait_for_number(1).await;
    broker.faults().expire_locks(QUEUE);
    // It comes again, to the same listener here.
    journal.wait_for("lost came, redelivered: true").await;
    // Real time: until the first lock would be renewed, and is seen to be lost.
    tokio::time::sleep(Duration::from_millis(600)).await;
    open.send_replace(true);
    let counts = until(&broker, QUEUE, |counts| counts.completed == 1).await;
    app.stop().await.unwrap();
    assert_eq!((counts.delivered, counts.late_settlements), (2, 0));
    assert_eq!(broker.counts(QUEUE).locked + broker.counts(QUEUE).active, 0);
}

#[tokio::test]
async fn what_was_handled_while_the_connection_was_cut_is_completed_by_the_next_one() {
    let (broker, journal) = (broker(settings()).await, Journal::default());
    let (open, gate) = watch::channel(false);
    let app = inline(&broker, &journal, &gate).start().await.unwrap();
    send(&broker, &["kept"]).await;
    journal.wait_for_number(1).await;
    broker.faults().cut_connections();
    open.send_replace(true);
    let counts = until(&broker, QUEUE, |counts| counts.completed == 1).await;
    assert_eq!((counts.delivered, counts.expired_locks), (1, 0));
    app.stop().await.unwrap();
    assert_eq!(journal.notes(), ["kept came, redelivered: false", "kept went"]);
}

#[tokio::test]
async fn of_messages_that_are_completed_together_those_whose_lock_is_lost_are_told_apart() {
    let long = settings().lock_duration(Duration::from_secs(60));
    let (broker, journal) = (broker(long).await, Journal::default());
    let (open, gate) = watch::channel(false);
    let app = inline(&broker, &journal, &gate).start().await.unwrap();
    send(&broker, &["a", "b", "c"]).await;
    journal.wait_for_number(3).await;
    broker.faults().expire_locks(QUEUE);
    // They come again, to the same listener here: of six that end together three are lost.
    journal.wait_for_number(6).await;
    open.send_replace(true);
    let is_settled = |it: &Counts| it.completed == 3 && it.late_settlements == 3;
    let counts = until(&broker, QUEUE, is_settled).await;
    app.stop().await.unwrap();
    assert_eq!((counts.delivered, counts.active, counts.locked), (6, 0, 0));
}
