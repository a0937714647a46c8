//! Sessions that do not come to their end, and assertions that fail.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::Duration;

use jasper::prelude::*;
use jasper::testing::MessageEvent::{ExecutionFailed, ExecutionStarted};
use jasper::testing::{TrackFailure, Tracked};
use jasper::{InvokeError, SendError};
use tests::{Fixture, Journal};

use super::{
    Failures, OrderPlaced, PlaceOrder, SendEmail, Try, Wait, Write, builder, events, with_sqlite,
};

const SHORT: Duration = Duration::from_millis(200);

/// What a failing assertion says.
fn said(assertion: impl FnOnce()) -> String {
    let payload = catch_unwind(AssertUnwindSafe(assertion)).unwrap_err();
    payload.downcast_ref::<String>().unwrap().clone()
}

#[tokio::test]
async fn a_session_that_times_out_says_what_was_still_going_on() {
    let journal = Journal::default();
    let app = builder(&journal).start().await.unwrap();
    let session = app.track().time_limit(SHORT).send(PlaceOrder { id: 1 }).send(Wait);
    let error = session.await.unwrap_err();
    let text = error.to_string();
    assert!(
        text.starts_with("not all was done within 200ms; still going on:\n  `wait@1` "),
        "{text}"
    );
    assert!(text.contains("at local://waits/wait: attempt 1 began, "), "{text}");
    assert!(text.contains("\nwhat has happened:\n"), "{text}");
    assert_eq!(text, format!("{error:?}"), "a test prints it so");
    let TrackFailure::TimedOut { going_on, .. } = error.failure() else {
        panic!("{error}");
    };
    assert_eq!(going_on.len(), 1, "{text}");
    error.tracked().assert_handled::<SendEmail>(1);
}

#[tokio::test]
async fn a_message_that_waits_for_its_next_attempt_is_still_going_on() {
    let fixture = Fixture::create();
    for builder in [builder(&fixture.journal), with_sqlite(&fixture).await] {
        let app = builder.state(Failures(1.into()));
        let hour = [Duration::from_secs(3_600)];
        let options = HandlerOptions::new().attempts(2).delays(hour);
        let app = app.handler_options(super::attempt, options);
        let app = app.start().await.unwrap();
        let error = app.track().time_limit(SHORT).send(Try).await.unwrap_err();
        let text = error.to_string();
        let why = "attempt 1 failed (no luck, 0 more to come), and another one is to come, ";
        assert!(text.contains(why), "{text}");
    }
}

#[tokio::test]
async fn a_session_that_waits_for_more_than_there_is_says_so() {
    let app = builder(&Journal::default()).start().await.unwrap();
    let session = app.track().time_limit(SHORT).until_handled::<OrderPlaced>(3);
    let text = session.send(PlaceOrder { id: 1 }).await.unwrap_err().to_string();
    assert!(text.contains("`order-placed@1`: 2 of 3 are handled or given up"), "{text}");
    let session = app.track().until_handled::<OrderPlaced>(2);
    session.send(PlaceOrder { id: 2 }).await.unwrap();
}

#[tokio::test]
async fn without_delays_all_attempts_are_made_at_once() {
    let fixture = Fixture::create();
    for builder in [builder(&fixture.journal), with_sqlite(&fixture).await] {
        let options = HandlerOptions::new().delays([Duration::from_secs(3_600)]);
        let app = builder.state(Failures(2.into())).handler_options(super::attempt, options);
        let app = app.without_delays().start().await.unwrap();
        let tracked = app.track().send(Try).await.unwrap();
        tracked.assert_failed::<Try>(2);
        tracked.assert_handled::<Try>(1);
        app.stop().await.unwrap();
    }
}

#[tokio::test]
async fn a_part_of_the_test_that_does_not_end_is_cut_short() {
    let app = builder(&Journal::default()).start().await.unwrap();
    let session =
        app.track().time_limit(SHORT).act(async |_bus| std::future::pending::<()>().await);
    let text = session.await.unwrap_err().to_string();
    assert!(text.contains("the test's own part, which has not ended"), "{text}");
    assert!(text.ends_with("nothing has happened"), "{text}");
}

#[tokio::test]
async fn a_dead_letter_ends_its_message_and_is_told_with_its_reason() {
    let fixture = Fixture::create();
    for builder in [builder(&fixture.journal), with_sqlite(&fixture).await] {
        let app = builder.state(Failures(9.into())).start().await.unwrap();
        let tracked = app.track().send(Try).await.unwrap();
        tracked.assert_failed::<Try>(3);
        tracked.assert_dead_lettered::<Try>(1);
        tracked.assert_handled::<Try>(0);
        tracked.assert_sent::<SendEmail>(0);
        let last = tracked.events().last().unwrap().detail.clone().unwrap();
        assert_eq!(last, "exhausted: no luck, 6 more to come");
        app.stop().await.unwrap();
    }
}

#[tokio::test]
async fn what_a_failed_run_would_have_sent_is_not_sent() {
    let fixture = Fixture::create();
    let app = with_sqlite(&fixture).await;
    let once = HandlerOptions::new().attempts(1);
    let app = app.handler_options(super::write, once).start().await.unwrap();
    let tracked = app.track().send(Write { id: 0 }).await.unwrap();
    tracked.assert_dead_lettered::<Write>(1);
    tracked.assert_sent::<SendEmail>(0);
    app.stop().await.unwrap();
}

#[tokio::test]
async fn an_invoked_command_that_fails_is_the_error_with_the_story() {
    let app = builder(&Journal::default()).state(Failures(1.into())).start().await.unwrap();
    let error = app.track().invoke(Try).await.unwrap_err();
    let failed = matches!(error.failure(), TrackFailure::Invoke(InvokeError::Failed(_)));
    assert!(failed, "{error}");
    assert_eq!(events::<Try>(error.tracked()), [ExecutionStarted, ExecutionFailed]);
    // Where the failure is expected, the rest is of interest.
    let session = app.track().act(async |bus| {
        bus.send(SendEmail { id: 1 }).await?;
        bus.invoke(PlaceOrder { id: 2 }).await.map_err(jasper::Error::from)
    });
    let (reply, tracked) = session.await.unwrap();
    assert_eq!(reply.unwrap(), 20);
    tracked.assert_handled::<SendEmail>(2);
}

#[tokio::test]
async fn a_message_that_is_not_accepted_is_the_error() {
    let app = builder(&Journal::default()).never_sends::<SendEmail>().start().await.unwrap();
    let error = app.track().send(SendEmail { id: 1 }).await.unwrap_err();
    let refused = matches!(error.failure(), TrackFailure::Send(SendError::NeverSent { .. }));
    assert!(refused, "{error}");
    assert!(error.to_string().starts_with("a message was not accepted: `send-email@1` is stated"));
}

#[tokio::test]
async fn an_assertion_that_fails_prints_the_whole_story() {
    let app = builder(&Journal::default()).state(Failures(1.into())).start().await.unwrap();
    let tracked = app.track().send(PlaceOrder { id: 1 }).send(Try).await.unwrap();
    let assert = |assertion: fn(&Tracked), begin: &str| {
        let said = said(|| assertion(&tracked));
        assert!(said.starts_with(begin), "{said}");
        assert_eq!(said.lines().count(), tracked.events().len() + 2, "{said}");
        for part in [
            " ms  sent                place-order@1 ",
            "  local://records/record",
            " ms  execution failed    try@1 ",
            "  attempt 1  (no luck, 0 more to come)",
            " ms  no subscriber       email-sent@1 ",
        ] {
            assert!(said.contains(part), "`{part}` in {said}");
        }
    };
    let of = |what: &str| format!("{what}, where there should be 3\nwhat has happened:\n");
    assert(|it| drop(it.assert_sent::<OrderPlaced>(3)), &of("1 of `order-placed@1` sent"));
    assert(|it| drop(it.assert_handled::<OrderPlaced>(3)), &of("2 of `order-placed@1` handled"));
    assert(|it| drop(it.assert_failed::<Try>(3)), &of("1 of `try@1` failed"));
    assert(|it| drop(it.assert_scheduled::<Try>(3)), &of("0 of `try@1` scheduled"));
    assert(|it| drop(it.assert_received::<Try>(3)), &of("0 of `try@1` received"));
    assert(|it| drop(it.assert_dead_lettered::<Try>(3)), &of("0 of `try@1` dead-lettered"));
    let begin = "1 failures, where there should be none\nwhat has happened:\n";
    assert(|it| _ = it.assert_no_failures(), begin);
}
