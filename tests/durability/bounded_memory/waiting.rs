//! A message that waits in memory for a time keeps its place there.

use std::time::Duration;

use jasper::prelude::*;
use serde::{Deserialize, Serialize};
use tests::Journal;

#[derive(Command, Serialize, Deserialize)]
struct Fail {
    number: usize,
}

#[handler(queue = "failing", attempts = 2, delays = ["10s"])]
async fn fail(cmd: Fail, journal: State<Journal>) -> Result<(), HandlerError> {
    journal.note(format!("run {}", cmd.number));
    Err(HandlerError::new("not yet"))
}

/// Fails first, and then sends to its own queue, which is full of others that wait.
#[derive(Command, Serialize, Deserialize)]
struct Chain {
    left: usize,
}

#[handler(queue = "chained", attempts = 2, delays = ["10s"])]
async fn chain(cmd: Chain, bus: Bus, journal: State<Journal>) -> Result<(), HandlerError> {
    journal.note(format!("chain {}", cmd.left));
    if cmd.left == 3 && journal.notes().len() <= 2 {
        return Err(HandlerError::new("not yet"));
    }
    if cmd.left > 0 {
        bus.send(Chain { left: cmd.left - 1 }).await?;
    }
    Ok(())
}

fn two_places() -> QueueOptions {
    QueueOptions::new().capacity(2)
}

/// Sends one more than there is room for; says whether that was accepted while `journal` had fewer
/// notes than these.
async fn accepted_early(app: &Jasper, journal: &Journal, one_more: Fail, notes: usize) -> bool {
    app.bus().send(one_more).await.unwrap();
    journal.notes().len() < notes
}

#[tokio::test(start_paused = true)]
async fn a_message_that_waits_for_a_retry_keeps_its_place() {
    let journal = Journal::default();
    let app = Jasper::builder()
        .state(journal.clone())
        .queue("failing", two_places())
        .handler(fail)
        .start()
        .await
        .unwrap();
    for number in 0..2 {
        app.bus().send(Fail { number }).await.unwrap();
    }
    journal.wait_for("run 1").await;
    // There is room when one of the two has had its second run.
    assert!(!accepted_early(&app, &journal, Fail { number: 2 }, 3).await);
    app.stop().await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_message_that_waits_for_its_time_keeps_its_place() {
    let journal = Journal::default();
    let app = Jasper::builder()
        .state(journal.clone())
        .queue("failing", two_places())
        .handler(fail)
        .start()
        .await
        .unwrap();
    for number in 0..2 {
        app.bus().send(Fail { number }).delay(Duration::from_secs(10)).await.unwrap();
    }
    assert!(!accepted_early(&app, &journal, Fail { number: 2 }, 1).await);
    app.stop().await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_queue_whose_places_all_wait_still_takes_what_its_own_handlers_send() {
    let journal = Journal::default();
    let app = Jasper::builder()
        .state(journal.clone())
        .queue("chained", two_places())
        .handler(chain)
        .start()
        .await
        .unwrap();
    for _ in 0..2 {
        app.bus().send(Chain { left: 3 }).await.unwrap();
    }
    journal.wait_for("chain 0").await;
    app.until_idle().await.unwrap();
    app.stop().await.unwrap();
}
