//! Commands whose sender waits for the answer.

use std::time::Duration;

use futures_util::future::join_all;

use super::TransportFixture;
use super::cast::{Act, Job, Measure, REFUSED, Riddle, WORKS};
use super::stage::Stage;
use crate::error::InvokeError;
use crate::transport::FailureKind;

fn measure(text: impl Into<String>) -> Measure {
    Measure { text: text.into(), act: Act::Succeed }
}

/// `invoke` of a command with `to` and `reply`.
pub async fn a_request_is_answered_with_the_typed_reply<F: TransportFixture>(fixture: &F) {
    let stage = Stage::open(fixture).await;
    assert_eq!(stage.sender().bus().invoke(measure("four")).await.expect(WORKS), 4);
    let notes = stage.received.notes();
    assert_eq!(notes[0].envelope.source.as_deref(), Some("sender"));
    stage.close().await;
}

/// Who asks for nothing still learns when it is done.
pub async fn a_request_without_a_reply_is_answered_when_it_is_handled<F: TransportFixture>(
    fixture: &F,
) {
    let stage = Stage::open(fixture).await;
    stage.sender().bus().invoke(Job::new("done")).await.expect(WORKS);
    assert_eq!(stage.received.texts(), ["done"]);
    stage.close().await;
}

/// However many are under way at once.
pub async fn many_requests_get_their_own_answers<F: TransportFixture>(fixture: &F) {
    let stage = Stage::open(fixture).await;
    let requests = (0..100).map(|length| {
        let invoked = stage.sender().bus().invoke(measure("x".repeat(length)));
        async move { (length, invoked.await.expect(WORKS)) }
    });
    for (asked, answered) in join_all(requests).await {
        assert_eq!(asked, answered);
    }
    stage.close().await;
}

/// The caller decides what to do about it, so there is neither a retry nor a dead letter.
pub async fn a_failure_comes_back_in_words_and_is_tried_once<F: TransportFixture>(fixture: &F) {
    let stage = Stage::open(fixture).await;
    let fails = Measure { text: "fails".into(), act: Act::Fail(u32::MAX) };
    let error = stage.sender().bus().invoke(fails).await.expect_err(REFUSED);
    let InvokeError::Remote { kind, message } = &error else { panic!("{error}") };
    assert_eq!(*kind, FailureKind::Failed);
    assert!(message.contains("it was told to fail"), "{message}");
    assert_eq!(stage.received.notes().len(), 1);
    assert!(stage.letters().await.is_empty(), "who asked knows of the failure");
    stage.close().await;
}

/// After `reply_timeout`, or the handler's own time-out.
pub async fn a_request_that_takes_too_long_gives_up<F: TransportFixture>(fixture: &F) {
    let impatient =
        |builder: crate::runtime::Builder| builder.reply_timeout(Duration::from_millis(300));
    let stage = Stage::set_up(fixture, impatient).await;
    let waits = Measure { text: "waits".into(), act: Act::Wait };
    let error = stage.sender().bus().invoke(waits).await.expect_err(REFUSED);
    assert!(error.is_time_out(), "{error}");
    stage.close().await;
}

/// At once, and not by a time-out.
pub async fn a_request_that_nobody_handles_is_told_so<F: TransportFixture>(fixture: &F) {
    let stage = Stage::open(fixture).await;
    let error = stage.sender().bus().invoke(Riddle).await.expect_err(REFUSED);
    let is_notified = matches!(
        error,
        InvokeError::Remote { kind: FailureKind::NoHandler, .. } | InvokeError::Send(_)
    );
    assert!(is_notified, "{error}");
    stage.close().await;
}
