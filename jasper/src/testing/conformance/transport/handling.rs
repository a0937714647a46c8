//! What becomes of a message that has arrived.

use std::time::Duration;

use super::TransportFixture;
use super::cast::{Act, Job, MangledJob, REFUSED, Riddle, WORKS};
use super::stage::Stage;
use crate::envelope::{Envelope, time};
use crate::handler::DeliveryOptions;
use crate::store::DeadLetterReason;

/// Its attempts are counted, and the last may succeed.
pub async fn a_failed_message_is_tried_again<F: TransportFixture>(fixture: &F) {
    let stage = Stage::open(fixture).await;
    stage.send(Job::that(Act::Fail(2), "third time lucky")).await;
    let notes = stage.received.wait_for(3).await;
    stage.settle().await;
    let attempts: Vec<_> = notes.iter().map(|note| note.envelope.attempts).collect();
    assert_eq!(attempts, [1, 2, 3]);
    assert!(stage.letters().await.is_empty());
    stage.close().await;
}

/// By the policy of its handler, with the last error and the bytes.
pub async fn a_message_whose_attempts_are_used_up_becomes_a_dead_letter<F: TransportFixture>(
    fixture: &F,
) {
    let stage = Stage::open(fixture).await;
    stage.send(Job::that(Act::Fail(u32::MAX), "never")).await;
    let letter = stage.letter().await;
    assert_eq!((letter.reason, letter.attempts), (DeadLetterReason::Exhausted, 3));
    assert!(letter.error_message.contains("told to fail"), "{}", letter.error_message);
    let envelope = Envelope::from_bytes(&letter.body).expect(WORKS);
    assert!(String::from_utf8_lossy(&envelope.payload).contains("never"));
    assert_eq!(stage.received.notes().len(), 3);
    stage.close().await;
}

/// Whatever the policy, a terminal error ends it.
pub async fn a_message_that_fails_for_good_becomes_a_dead_letter_at_once<F: TransportFixture>(
    fixture: &F,
) {
    let stage = Stage::open(fixture).await;
    stage.send(Job::that(Act::FailForGood, "hopeless")).await;
    let letter = stage.letter().await;
    assert_eq!((letter.reason, letter.attempts), (DeadLetterReason::Terminal, 1));
    assert_eq!(stage.received.texts(), ["hopeless"]);
    stage.close().await;
}

/// What follows it is handled.
pub async fn a_failing_message_does_not_hold_up_others<F: TransportFixture>(fixture: &F) {
    let stage = Stage::open(fixture).await;
    stage.send(Job::that(Act::FailForGood, "poison")).await;
    stage.send(Job::new("healthy")).await;
    stage.received.wait_for(2).await;
    assert!(stage.received.texts().contains(&"healthy".to_owned()));
    stage.close().await;
}

/// It is handled no sooner than it is due, and others pass it.
pub async fn a_message_for_later_waits_for_its_time<F: TransportFixture>(fixture: &F) {
    let stage = Stage::open(fixture).await;
    let due_at = time::after(time::now(), Duration::from_millis(400));
    stage.sender().bus().send(Job::new("later")).at(due_at).await.expect(WORKS);
    stage.send(Job::new("now")).await;
    let notes = stage.received.wait_for(2).await;
    assert_eq!(stage.received.texts(), ["now", "later"]);
    assert!(notes[1].at >= due_at, "{:?} before its time", due_at.duration_since(notes[1].at));
    stage.close().await;
}

/// Its time was over when it was sent.
pub async fn an_expired_message_is_not_handled<F: TransportFixture>(fixture: &F) {
    let stage = Stage::open(fixture).await;
    let expired = DeliveryOptions::new().deliver_within(Duration::ZERO);
    stage.sender().bus().send(Job::new("too late")).with(expired).await.expect(WORKS);
    stage.send(Job::new("in time")).await;
    stage.received.wait_for(1).await;
    stage.settle().await;
    assert_eq!(stage.received.texts(), ["in time"]);
    stage.close().await;
}

/// It is kept with its bytes, and no handler sees it.
pub async fn a_payload_that_does_not_decode_is_an_invalid_message<F: TransportFixture>(
    fixture: &F,
) {
    let stage = Stage::open(fixture).await;
    stage.send(MangledJob { wrong: true }).await;
    let letter = stage.letter().await;
    assert_eq!(letter.reason, DeadLetterReason::Undecodable);
    let envelope = Envelope::from_bytes(&letter.body).expect(WORKS);
    assert!(String::from_utf8_lossy(&envelope.payload).contains("wrong"));
    assert!(stage.received.texts().is_empty());
    stage.close().await;
}

/// The receiver keeps it as an invalid message, once no node is left to wait for.
pub async fn a_message_of_an_unknown_type_is_not_lost<F: TransportFixture>(fixture: &F) {
    use super::Link;
    let stage = Stage::open(fixture).await;
    let sent = stage.sender().bus().send(Riddle).await;
    if stage.link.is_local() {
        assert!(sent.expect_err(REFUSED).to_string().contains("`receiver`"));
        return stage.close().await;
    }
    sent.expect(WORKS);
    let letter = stage.letter().await;
    assert_eq!(letter.reason, DeadLetterReason::UnknownType);
    assert_eq!(letter.message_type, "conformance.riddle@1");
    assert!(Envelope::from_bytes(&letter.body).is_ok());
    stage.close().await;
}

/// Also when the first has long been handled.
pub async fn a_repeated_key_is_handled_once<F: TransportFixture>(fixture: &F) {
    let stage = Stage::open(fixture).await;
    for _ in 0..3 {
        stage.sender().bus().send(Job::new("once")).deduplicate("key").await.expect(WORKS);
        stage.settle().await;
    }
    stage.send(Job::new("last")).await;
    stage.received.wait_for(2).await;
    stage.settle().await;
    assert_eq!(stage.received.texts(), ["once", "last"]);
    stage.close().await;
}

/// A person who replays it gives it all of its attempts again.
pub async fn a_dead_letter_that_is_replayed_is_handled<F: TransportFixture>(fixture: &F) {
    let stage = Stage::open(fixture).await;
    // The attempts of a replay are counted from the first.
    stage.send(Job::that(Act::Fail(3), "again")).await;
    let letter = stage.letter().await;
    let letters = stage.receiver().store().expect(WORKS).dead_letters();
    assert_eq!(letters.replay(vec![letter.id]).await.expect(WORKS), 1);
    let notes = stage.received.wait_for(6).await;
    assert_eq!(notes[3].envelope.attempts, 1);
    stage.close().await;
}

/// The handler that runs when the stop comes ends, and is not run again.
pub async fn a_stop_finishes_what_has_begun<F: TransportFixture>(fixture: &F) {
    let mut stage = Stage::open(fixture).await;
    stage.send(Job::that(Act::Wait, "under way")).await;
    stage.received.wait_for(1).await;
    let received = stage.received.clone();
    let open = async { received.open_gate() };
    let stop = async {
        stage.stop_receiver().await;
        stage.stop_sender().await;
    };
    // The stop waits for the handler, which waits for the gate.
    tokio::join!(stop, open);
    assert_eq!(stage.received.texts(), ["under way"], "it ran once, to its end");
    stage.close().await;
}
