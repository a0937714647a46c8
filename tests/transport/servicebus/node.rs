//! The steps by the client for JavaScript.

use jasper::testing::servicebus::EntitySettings;

use crate::bench::{Judge, broker};
use crate::steps;

#[tokio::test]
async fn a_batch_is_received_in_order_and_completed() {
    steps::batch(Judge::Node).await;
}

#[tokio::test]
async fn an_abandoned_message_comes_again_with_its_count() {
    steps::abandon(Judge::Node).await;
}

#[tokio::test]
async fn a_message_that_fails_too_often_is_a_dead_letter() {
    steps::poison(Judge::Node).await;
}

#[tokio::test]
async fn a_dead_letter_is_read_back_with_its_reason() {
    steps::dead_letter(Judge::Node).await;
}

#[tokio::test]
async fn a_lock_is_renewed() {
    steps::renew_lock(Judge::Node).await;
}

#[tokio::test]
async fn a_lost_lock_is_reported_and_the_message_comes_again() {
    steps::lost_lock(Judge::Node).await;
}

#[tokio::test]
async fn a_scheduled_message_comes_in_time_and_cancelled_ones_never() {
    steps::schedule(Judge::Node).await;
}

#[tokio::test]
async fn a_deferred_message_comes_by_its_number() {
    steps::defer(Judge::Node).await;
}

#[tokio::test]
async fn messages_are_looked_at_without_a_lock() {
    steps::peek(Judge::Node).await;
}

#[tokio::test]
async fn a_message_is_deleted_as_it_is_received() {
    steps::receive_and_delete(Judge::Node).await;
}

#[tokio::test]
async fn a_repeat_is_dropped() {
    steps::duplicates(Judge::Node).await;
}

#[tokio::test]
async fn two_sessions_are_read_in_order_and_one_keeps_state() {
    steps::sessions(Judge::Node).await;
}

#[tokio::test]
async fn a_held_session_is_refused_and_free_after_its_release() {
    steps::held_session(Judge::Node).await;
}

#[tokio::test]
async fn a_topic_reaches_its_subscriptions_by_their_rules() {
    steps::topic(Judge::Node).await;
}

#[tokio::test]
async fn a_throttled_message_is_refused_and_the_next_one_taken() {
    steps::throttled(Judge::Node).await;
}

#[tokio::test]
async fn a_wrong_key_opens_nothing() {
    steps::wrong_key(Judge::Node).await;
}

#[tokio::test]
async fn a_message_beyond_the_limit_is_refused() {
    steps::too_large(Judge::Node).await;
}

#[tokio::test]
async fn a_batch_goes_through_a_web_socket() {
    steps::web_socket(Judge::Node).await;
}

#[tokio::test]
async fn rules_are_added_listed_and_removed_and_sql_is_refused_in_words() {
    let broker = broker(EntitySettings::new()).await;
    broker.create_topic("news", EntitySettings::new()).unwrap();
    broker.create_subscription("news", "blue", EntitySettings::new()).unwrap();
    let expected = "all - -\nblue paint blue\nrefused: true\nblue -\n\
                    large size > 7 AND sys.Label LIKE 'w%d'\nright\nlarge\n";
    let printed = Judge::Node.run("rules", &broker, &["news", "blue"]).await;
    assert_eq!(printed, expected);
    let counts = broker.counts("news/Subscriptions/blue");
    assert_eq!((counts.sent, counts.completed), (2, 2));
}

#[tokio::test]
async fn queues_topics_subscriptions_and_rules_are_made_listed_changed_and_deleted() {
    steps::administer(Judge::Node).await;
}
