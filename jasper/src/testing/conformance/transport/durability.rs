//! What a durable endpoint promises: nothing is lost, and nothing is handled twice.

use super::cast::{Job, Order, WORKS};
use super::stage::Stage;
use super::{Link, TransportFixture};
use crate::store::memory::MemoryStore;

/// Cut in the middle of batches, again and again.
pub async fn connections_that_are_cut_lose_and_double_nothing<F: TransportFixture>(fixture: &F) {
    const ROUNDS: usize = 20;
    const EACH: usize = 100;
    let stage = Stage::open(fixture).await;
    for round in 0..ROUNDS {
        let jobs = (0..EACH).map(|number| Job::new(format!("{round:02}/{number:02}")));
        stage.sender().bus().send_all(jobs.collect::<Vec<_>>()).await.expect(WORKS);
        stage.link.cut().await;
    }
    stage.received.wait_for(ROUNDS * EACH).await;
    stage.settle().await;
    let mut texts = stage.received.texts();
    assert_eq!(texts.len(), ROUNDS * EACH);
    texts.sort_unstable();
    texts.dedup();
    assert_eq!(texts.len(), ROUNDS * EACH);
    stage.close().await;
}

/// What it had accepted is in its store, and leaves when it starts again.
pub async fn a_sender_that_crashed_sends_what_it_had<F: TransportFixture>(fixture: &F) {
    let mut stage = Stage::empty(fixture, short_lease).await;
    stage.start_sender().await;
    stage.send(Job::new("kept")).await;
    stage.crash_sender();
    stage.start_receiver().await;
    stage.start_sender().await;
    stage.received.wait_for(1).await;
    stage.settle().await;
    assert_eq!(stage.received.texts(), ["kept"]);
    stage.close().await;
}

/// What it had acknowledged is in its store, and handled when it starts again.
pub async fn a_receiver_that_crashed_handles_what_it_had<F: TransportFixture>(fixture: &F) {
    let mut stage = Stage::set_up(fixture, short_lease).await;
    for number in 0..50 {
        stage.send(Job::new(format!("{number:02}"))).await;
    }
    stage.crash_receiver();
    stage.start_receiver().await;
    // What was being handled when it crashed is handled again.
    stage.received.wait_for_different(50).await;
    stage.settle().await;
    stage.close().await;
}

/// It needs neither the receiver nor, after the commit, its own process to be there.
pub async fn what_a_transaction_holds_leaves_with_its_commit<F: TransportFixture>(fixture: &F) {
    let mut stage = Stage::open(fixture).await;
    // Only in the outbox: the sender may go as soon as it is told.
    stage.stop_receiver().await;
    stage.send(Order { text: "committed".into(), fails: false }).await;
    stage.stop_sender().await;
    stage.start_receiver().await;
    stage.start_sender().await;
    stage.received.wait_for(1).await;
    stage.settle().await;
    assert_eq!(stage.received.texts(), ["committed"]);
    stage.close().await;
}

/// It cannot keep what it would promise; the sender keeps it.
pub async fn a_receiver_without_a_store_takes_nothing_durable<F: TransportFixture>(fixture: &F) {
    let mut stage = Stage::empty(fixture, |builder| builder).await;
    let listening = stage.link.receive_in_memory(crate::Jasper::builder());
    let forgetful = listening
        .registered::<_, super::cast::WorkOff>()
        .state(stage.received.clone())
        .start()
        .await
        .expect(WORKS);
    stage.link.found(&forgetful).await;
    stage.start_sender().await;
    stage.send(Job::new("durable")).await;
    forgetful.stop().await.expect(WORKS);
    assert!(stage.received.texts().is_empty());
    stage.start_receiver().await;
    stage.received.wait_for(1).await;
    stage.close().await;
}

/// Two nodes on one store send what either has accepted, once.
pub async fn two_senders_share_one_outbox<F: TransportFixture>(fixture: &F) {
    let mut stage = Stage::open(fixture).await;
    stage.stop_sender().await;
    let store = MemoryStore::new();
    let start = || async {
        let sender = stage
            .link
            .send(crate::Jasper::builder())
            .store(store.clone())
            .endpoint(super::cast::RECEIVER, stage.link.address())
            .state(stage.received.clone())
            .registered::<_, super::cast::TakeOrder>();
        sender.start().await.expect(WORKS)
    };
    let (one, two) = (start().await, start().await);
    for number in 0..100 {
        let bus = if number % 2 == 0 { one.bus() } else { two.bus() };
        bus.send(Job::new(format!("{number:02}"))).await.expect(WORKS);
    }
    stage.received.wait_for(100).await;
    for sender in [one, two] {
        sender.stop().await.expect(WORKS);
    }
    assert_eq!(stage.received.notes().len(), 100);
    stage.close().await;
}

fn short_lease(builder: crate::runtime::Builder) -> crate::runtime::Builder {
    builder.lease(std::time::Duration::from_millis(500))
}
