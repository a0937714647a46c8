//! Sessions: in order within one, and several side by side.

use std::time::Duration;

use jasper::DeliveryOptions;
use jasper::prelude::*;
use jasper::testing::servicebus::{Broker, EntitySettings};
use tests::Journal;

use crate::bench::{ADDRESS, QUEUE, broker, note, receiver, sender, settings, until};

fn sessions() -> EntitySettings {
    settings().requires_session()
}

async fn send(app: &Jasper, group: &str, text: String) {
    let of_it = DeliveryOptions::new().group(group);
    app.bus().send(note(text)).with(of_it).await.unwrap();
}

async fn listening(broker: &Broker, journal: &Journal, query: &str) -> Jasper {
    receiver(broker, journal).listen(format!("{ADDRESS}?{query}")).start().await.unwrap()
}

#[tokio::test]
async fn messages_of_a_session_are_handled_in_order_and_sessions_side_by_side() {
    let (broker, journal) = (broker(sessions()).await, Journal::default());
    let sender = sender(&broker, &format!("{ADDRESS}?order=strict")).start().await.unwrap();
    for number in 0..20 {
        for group in ["ada", "bob", "eve"] {
            send(&sender, group, format!("{group} {number:02}")).await;
        }
    }
    sender.until_idle().await.unwrap();
    // Settled at the end of each handler, so that the order of the broker is that of the handlers.
    let app = listening(&broker, &journal, "mode=inline&sessions=3").await;
    journal.wait_for_number(60).await;
    let notes = journal.notes();
    for group in ["ada", "bob", "eve"] {
        let of_it = notes.iter().filter(|note| note.starts_with(group));
        let expected = (0..20).map(|number| format!("{group} {number:02}"));
        assert!(of_it.eq(expected.collect::<Vec<_>>().iter()), "{notes:?}");
    }
    let counts = until(&broker, QUEUE, |counts| counts.completed == 60).await;
    assert_eq!((counts.delivered, counts.expired_locks), (60, 0));
    sender.stop().await.unwrap();
    app.stop().await.unwrap();
}

#[tokio::test]
async fn a_session_that_is_idle_makes_room_for_the_next_one() {
    let (broker, journal) = (broker(sessions()).await, Journal::default());
    let sender = sender(&broker, ADDRESS).start().await.unwrap();
    let app = listening(&broker, &journal, "sessions=1").await;
    for group in ["ada", "bob", "eve"] {
        send(&sender, group, group.to_owned()).await;
    }
    journal.wait_for_number(3).await;
    assert_eq!(journal.sorted(), ["ada", "bob", "eve"]);
    sender.stop().await.unwrap();
    app.stop().await.unwrap();
    until(&broker, QUEUE, |counts| counts.completed == 3).await;
}

#[tokio::test]
async fn a_session_is_held_for_longer_than_its_lock_and_one_that_is_lost_comes_again() {
    let short = sessions().lock_duration(Duration::from_millis(400));
    let (broker, journal) = (broker(short).await, Journal::default());
    let sender = sender(&broker, ADDRESS).start().await.unwrap();
    let app = listening(&broker, &journal, "sessions=2").await;
    for number in 0..8 {
        send(&sender, "ada", number.to_string()).await;
        // Real time: that of two locks in all, and less than what ends a session that is idle.
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    journal.wait_for_number(8).await;
    assert_eq!(broker.counts(QUEUE).expired_locks, 0);
    broker.faults().expire_locks(QUEUE);
    send(&sender, "ada", "after".to_owned()).await;
    journal.wait_for("after").await;
    app.until_idle().await.unwrap();
    assert_eq!(journal.notes().len(), 9, "none is handled twice");
    sender.stop().await.unwrap();
    app.stop().await.unwrap();
}

#[tokio::test]
async fn sessions_of_a_queue_that_has_none_are_a_problem_at_start() {
    let broker = broker(settings()).await;
    let app = receiver(&broker, &Journal::default()).listen(format!("{ADDRESS}?sessions=2"));
    let error = app.start().await.unwrap_err().to_string();
    assert!(error.contains("with sessions here") && error.contains("at the broker"), "{error}");
}

#[tokio::test]
async fn a_listener_that_waits_for_a_session_stops_at_once() {
    let (broker, journal) = (broker(sessions()).await, Journal::default());
    let app = listening(&broker, &journal, "sessions=4").await;
    let stopped = tokio::time::timeout(Duration::from_secs(10), app.stop()).await;
    stopped.expect("it does not wait for the broker").unwrap();
}
