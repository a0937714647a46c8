//! The steps by the client for Python.

use jasper::testing::servicebus::EntitySettings;

use crate::bench::{Judge, QUEUE, broker};
use crate::steps;

#[tokio::test]
async fn a_batch_is_received_in_order_and_completed() {
    steps::batch(Judge::Python).await;
}

#[tokio::test]
async fn an_abandoned_message_comes_again_with_its_count() {
    steps::abandon(Judge::Python).await;
}

#[tokio::test]
async fn a_message_that_fails_too_often_is_a_dead_letter() {
    steps::poison(Judge::Python).await;
}

#[tokio::test]
async fn a_dead_letter_is_read_back_with_its_reason() {
    steps::dead_letter(Judge::Python).await;
}

#[tokio::test]
async fn a_lock_is_renewed() {
    steps::renew_lock(Judge::Python).await;
}

#[tokio::test]
async fn a_lost_lock_is_reported_and_the_message_comes_again() {
    steps::lost_lock(Judge::Python).await;
}

#[tokio::test]
async fn a_scheduled_message_comes_in_time_and_cancelled_ones_never() {
    steps::schedule(Judge::Python).await;
}

#[tokio::test]
async fn a_deferred_message_comes_by_its_number() {
    steps::defer(Judge::Python).await;
}

#[tokio::test]
async fn messages_are_looked_at_without_a_lock() {
    steps::peek(Judge::Python).await;
}

#[tokio::test]
async fn a_message_is_deleted_as_it_is_received() {
    steps::receive_and_delete(Judge::Python).await;
}

#[tokio::test]
async fn a_repeat_is_dropped() {
    steps::duplicates(Judge::Python).await;
}

#[tokio::test]
async fn two_sessions_are_read_in_order_and_one_keeps_state() {
    steps::sessions(Judge::Python).await;
}

#[tokio::test]
async fn a_held_session_is_refused_and_free_after_its_release() {
    steps::held_session(Judge::Python).await;
}

#[tokio::test]
async fn a_topic_reaches_its_subscriptions_by_their_rules() {
    steps::topic(Judge::Python).await;
}

#[tokio::test]
async fn a_throttled_message_is_refused_and_the_next_one_taken() {
    steps::throttled(Judge::Python).await;
}

#[tokio::test]
async fn a_wrong_key_opens_nothing() {
    steps::wrong_key(Judge::Python).await;
}

#[tokio::test]
async fn a_message_beyond_the_limit_is_refused() {
    steps::too_large(Judge::Python).await;
}

#[tokio::test]
async fn sessions_with_messages_or_a_state_are_listed() {
    let broker = broker(EntitySettings::new().requires_session()).await;
    let printed = Judge::Python.run("list_sessions", &broker, &[QUEUE]).await;
    let expected = "with messages green red\nwith messages or a state green red\nchanged red\n\
                    0 later\n122 sessions\n";
    assert_eq!(printed, expected);
}

#[tokio::test]
async fn a_batch_goes_through_a_web_socket() {
    steps::web_socket(Judge::Python).await;
}

#[tokio::test]
async fn the_next_session_is_waited_for_and_given_up() {
    let broker = broker(EntitySettings::new().requires_session()).await;
    let printed = Judge::Python.run("no_session", &broker, &[QUEUE]).await;
    assert_eq!(printed, "OperationTimeoutError\n");
}

#[tokio::test]
async fn queues_topics_subscriptions_and_rules_are_made_listed_changed_and_deleted() {
    steps::administer(Judge::Python).await;
}
