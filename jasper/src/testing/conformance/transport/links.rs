//! Two applications and what may happen between them.

use std::time::Duration;

use super::cast::{Act, Job, Measure, News, RECEIVER, REFUSED, WORKS};
use super::stage::Stage;
use super::{Link, TransportFixture};
use crate::error::InvokeError;
use crate::store::DeadLetterReason;

/// It is there once each when the receiver comes.
pub async fn what_is_sent_while_the_receiver_is_away_waits_for_it<F: TransportFixture>(
    fixture: &F,
) {
    let mut stage = Stage::empty(fixture, |builder| builder).await;
    stage.start_sender().await;
    for number in 0..20 {
        stage.send(Job::new(format!("{number:02}"))).await;
    }
    stage.start_receiver().await;
    stage.received.wait_for(20).await;
    stage.settle().await;
    let mut texts = stage.received.texts();
    texts.sort_unstable();
    texts.dedup();
    assert_eq!((texts.len(), stage.received.notes().len()), (20, 20));
    stage.close().await;
}

/// What is sent meanwhile waits at the sender.
pub async fn a_paused_listener_receives_nothing_until_it_goes_on<F: TransportFixture>(fixture: &F) {
    let stage = Stage::open(fixture).await;
    stage.send(Job::new("before")).await;
    stage.received.wait_for(1).await;
    stage.receiver().pause_listeners().await;
    stage.send(Job::new("meanwhile")).await;
    // A second pause is nothing new.
    stage.receiver().pause_listeners().await;
    assert_eq!(stage.received.texts(), ["before"]);
    stage.receiver().resume_listeners().await.expect(WORKS);
    stage.link.found(stage.receiver()).await;
    stage.received.wait_for(2).await;
    assert_eq!(stage.received.texts(), ["before", "meanwhile"]);
    stage.close().await;
}

/// Its sender finds it again by itself.
pub async fn a_receiver_that_starts_again_goes_on<F: TransportFixture>(fixture: &F) {
    let mut stage = Stage::open(fixture).await;
    stage.send(Job::new("first")).await;
    stage.received.wait_for(1).await;
    stage.stop_receiver().await;
    stage.send(Job::new("second")).await;
    stage.start_receiver().await;
    stage.received.wait_for(2).await;
    stage.settle().await;
    assert_eq!(stage.received.texts(), ["first", "second"]);
    stage.close().await;
}

/// The sender finds out by itself; only what it sends before that may be given up, where nothing is
/// stored.
pub async fn after_a_cut_the_connection_is_made_anew<F: TransportFixture>(fixture: &F) {
    let stage = Stage::open(fixture).await;
    stage.send(Job::new("before")).await;
    stage.settle().await;
    stage.link.cut().await;
    let mut ticks = tokio::time::interval(Duration::from_millis(50));
    let sending = async {
        loop {
            ticks.tick().await;
            stage.send(Job::new("after")).await;
        }
    };
    tokio::select! {
        notes = stage.received.wait_for(2) => assert_eq!(notes[1].text, "after"),
        () = sending => {}
    }
    stage.close().await;
}

/// Its stop drains what it has accepted.
pub async fn a_sender_that_stops_sends_what_it_has<F: TransportFixture>(fixture: &F) {
    let mut stage = Stage::open(fixture).await;
    let jobs: Vec<_> = (0..500).map(|number| Job::new(format!("{number}"))).collect();
    stage.sender().bus().send_all(jobs).await.expect(WORKS);
    stage.stop_sender().await;
    stage.received.wait_for(500).await;
    stage.close().await;
}

/// One event, two endpoints, all subscribers of both.
pub async fn an_event_is_published_to_several_applications<F: TransportFixture>(fixture: &F) {
    // Two stages, of which the second has the first one's receiver as another endpoint.
    let (first, mut second) = (Stage::open(fixture).await, Stage::open(fixture).await);
    second.stop_sender().await;
    let both = [&first.link, &second.link].map(|link| link.address());
    let sender = first
        .link
        .send(crate::Jasper::builder())
        .store(crate::store::memory::MemoryStore::new())
        .state(first.received.clone())
        .endpoint("one", &*both[0])
        .endpoint("two", &*both[1])
        .publish_to::<News>("one")
        .publish_to::<News>("two")
        .registered::<_, super::cast::TakeOrder>()
        .start()
        .await
        .expect(WORKS);
    sender.bus().publish(News { text: "to all".into() }).await.expect(WORKS);
    for stage in [&first, &second] {
        assert_eq!(stage.received.wait_for(2).await.len(), 2);
    }
    sender.stop().await.expect(WORKS);
    first.close().await;
    second.close().await;
}

/// Each has a backlog of its own, which is sent when it is back.
pub async fn a_destination_that_is_down_does_not_delay_others<F: TransportFixture>(fixture: &F) {
    let (up, mut down) = (Stage::open(fixture).await, Stage::open(fixture).await);
    down.stop_sender().await;
    down.stop_receiver().await;
    let sender = up
        .link
        .send(crate::Jasper::builder())
        .store(crate::store::memory::MemoryStore::new())
        .state(up.received.clone())
        .endpoint(RECEIVER, up.link.address())
        .endpoint("down", down.link.address())
        .registered::<_, super::cast::TakeOrder>()
        .start()
        .await
        .expect(WORKS);
    for number in 0..50 {
        let to_down = crate::DeliveryOptions::new().to("down");
        sender.bus().send(Job::new(format!("down {number}"))).with(to_down).await.expect(WORKS);
        sender.bus().send(Job::new(format!("up {number}"))).await.expect(WORKS);
    }
    up.received.wait_for(50).await;
    assert!(down.received.texts().is_empty());
    down.start_receiver().await;
    down.received.wait_for(50).await;
    assert_eq!(up.received.notes().len(), 50);
    sender.stop().await.expect(WORKS);
    up.close().await;
    down.close().await;
}

/// And those behind it go on.
pub async fn a_message_that_is_too_large_becomes_a_dead_letter_of_its_sender<
    F: TransportFixture,
>(
    fixture: &F,
) {
    let stage = Stage::open(fixture).await;
    stage.send(Job::new("x".repeat(stage.link.too_large()))).await;
    let letter = stage.sent_back().await;
    assert_eq!(letter.reason, DeadLetterReason::Refused);
    assert!(letter.error_message.contains("bytes"), "{}", letter.error_message);
    stage.send(Job::new("fits")).await;
    stage.received.wait_for(1).await;
    assert_eq!(stage.received.texts(), ["fits"]);
    stage.close().await;
}

/// There is nothing to wait for.
pub async fn a_request_to_nobody_fails_at_once<F: TransportFixture>(fixture: &F) {
    let mut stage = Stage::open(fixture).await;
    stage.stop_receiver().await;
    let ask = Measure { text: "anybody".into(), act: Act::Succeed };
    let asked = stage.sender().bus().invoke(ask);
    let error = tokio::time::timeout(Duration::from_secs(20), asked)
        .await
        .expect(WORKS)
        .expect_err(REFUSED);
    assert!(matches!(error, InvokeError::Transport(_)), "{error}");
    stage.start_receiver().await;
    stage.close().await;
}

/// The error says that the handler may have run.
pub async fn a_request_whose_connection_is_cut_fails<F: TransportFixture>(fixture: &F) {
    let stage = Stage::open(fixture).await;
    let waits = Measure { text: "waits".into(), act: Act::Wait };
    let asked = stage.sender().bus().invoke(waits);
    let cut = async {
        stage.received.wait_for(1).await;
        stage.link.cut().await;
    };
    let (asked, ()) = tokio::join!(asked, cut);
    let error = asked.expect_err(REFUSED);
    let InvokeError::Transport(lost) = &error else { panic!("{error}") };
    assert!(lost.may_have_arrived(), "{lost}");
    stage.close().await;
}
