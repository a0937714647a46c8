//! What is declared although the management fails now and then.

use std::time::Duration;

use futures_util::future::join_all;
use jasper::testing::servicebus::{AdministrationFailure, Broker};
use jasper::transport::servicebus::{Declare, Filter, Queue, ServiceBus, Subscription};
use tests::Journal;
use tokio::time::{Instant, timeout};

use crate::bench::{ADDRESS, QUEUE, note, receiver_by, sender_by, transport, until};

const NEWS: &str = "asb://topic/news/subscription/mine";

fn provisioning(broker: &Broker) -> ServiceBus {
    transport(broker).declare(Declare::Provision)
}

/// Starts a listener that makes its queue, and has it handle a message.
async fn made_and_used(broker: &Broker) {
    let journal = Journal::default();
    let app = receiver_by(provisioning(broker), &journal).listen(ADDRESS).start().await.unwrap();
    let sender = sender_by(transport(broker), ADDRESS).start().await.unwrap();
    sender.bus().send(note("made")).await.unwrap();
    journal.wait_for("made").await;
    sender.stop().await.unwrap();
    app.stop().await.unwrap();
    assert_eq!(broker.faults().administration_failures_left(), 0);
}

#[tokio::test]
async fn a_conflict_with_another_operation_is_waited_out() {
    let broker = Broker::start().await.unwrap();
    broker.faults().fail_administration_writes(3, AdministrationFailure::ConflictingOperation);
    made_and_used(&broker).await;
}

#[tokio::test]
async fn a_queue_that_another_process_has_made_meanwhile_is_compared() {
    let broker = Broker::start().await.unwrap();
    broker.faults().fail_administration_writes(1, AdministrationFailure::AlreadyExists);
    let queue = |count| Queue::new(QUEUE).max_delivery_count(count);
    let starting = |count| sender_by(provisioning(&broker).queue(queue(count)), ADDRESS).start();
    starting(7).await.unwrap().stop().await.unwrap();
    assert_eq!(broker.faults().administration_failures_left(), 0);
    let said = starting(8).await.unwrap_err().to_string();
    assert!(said.contains("`MaxDeliveryCount`: `8` here, `7` at the broker"), "{said}");
}

#[tokio::test]
async fn what_is_throttled_is_asked_again_after_the_time_that_the_service_names() {
    let broker = Broker::start().await.unwrap();
    let throttled = AdministrationFailure::TooManyRequests { retry_after_s: Some(1) };
    broker.faults().fail_administration_reads(1, throttled);
    let busy = AdministrationFailure::Unavailable { retry_after_s: Some(1) };
    broker.faults().fail_administration_writes(1, busy);
    let began = Instant::now();
    made_and_used(&broker).await;
    assert!(began.elapsed() >= Duration::from_secs(2), "{:?}", began.elapsed());
}

#[tokio::test]
async fn errors_of_the_service_pass_at_a_topic_a_subscription_and_its_rules() {
    let broker = Broker::start().await.unwrap();
    let faults = broker.faults();
    faults.fail_administration_reads(1, AdministrationFailure::InternalError);
    for failure in [
        AdministrationFailure::InternalError,
        AdministrationFailure::AlreadyExists,
        AdministrationFailure::Unavailable { retry_after_s: None },
        AdministrationFailure::AlreadyExists,
        AdministrationFailure::ConflictingOperation,
    ] {
        faults.fail_administration_writes(1, failure);
    }
    let subscription = Subscription::new("news", "mine")
        .rule("large", Filter::sql("size > 3"))
        .rule("notes", Filter::sql("sys.Label LIKE 'asb.%'"));
    let journal = Journal::default();
    let transport = || provisioning(&broker).subscription(subscription.clone());
    let app = receiver_by(transport(), &journal).listen(NEWS).start().await.unwrap();
    assert_eq!(faults.administration_failures_left(), 0);
    let sender = sender_by(self::transport(&broker), "asb://topic/news").start().await.unwrap();
    sender.bus().send(note("by a rule")).await.unwrap();
    journal.wait_for("by a rule").await;
    sender.stop().await.unwrap();
    app.stop().await.unwrap();
}

#[tokio::test]
async fn a_connection_that_ends_in_an_answer_is_opened_again_and_nothing_is_made_twice() {
    let broker = Broker::start().await.unwrap();
    broker.faults().fail_administration_reads(1, AdministrationFailure::HalfAnswer);
    broker.faults().fail_administration_writes(1, AdministrationFailure::HalfAnswer);
    made_and_used(&broker).await;
}

#[tokio::test]
async fn a_management_whose_connections_always_end_keeps_no_application_from_its_start() {
    let broker = Broker::start().await.unwrap();
    broker.faults().fail_administration_reads(10, AdministrationFailure::HalfAnswer);
    let app = sender_by(provisioning(&broker), ADDRESS).start().await.unwrap();
    assert_eq!(broker.faults().administration_failures_left(), 7, "it is asked three times");
    app.stop().await.unwrap();
}

#[tokio::test]
async fn a_time_that_is_too_long_for_a_start_is_not_waited_for() {
    let broker = Broker::start().await.unwrap();
    let throttled = AdministrationFailure::TooManyRequests { retry_after_s: Some(3_600) };
    broker.faults().fail_administration_writes(10, throttled);
    let starting = sender_by(provisioning(&broker), ADDRESS).start();
    let app = timeout(Duration::from_secs(60), starting).await.expect("it starts").unwrap();
    assert_eq!(broker.faults().administration_failures_left(), 9, "it is asked once");
    assert_eq!(broker.counts(QUEUE).sent, 0);
    app.stop().await.unwrap();
}

#[tokio::test]
async fn applications_that_start_together_make_one_queue() {
    let broker = Broker::start().await.unwrap();
    broker.faults().fail_administration_writes(5, AdministrationFailure::ConflictingOperation);
    let all = (0..4).map(|_| sender_by(provisioning(&broker), ADDRESS).start());
    let all: Vec<_> = join_all(all).await.into_iter().map(Result::unwrap).collect();
    for app in &all {
        app.bus().send(note("sent")).await.unwrap();
    }
    assert_eq!(until(&broker, QUEUE, |counts| counts.active == 4).await.sent, 4);
    for app in all {
        app.stop().await.unwrap();
    }
    assert_eq!(broker.faults().administration_failures_left(), 0);
}
