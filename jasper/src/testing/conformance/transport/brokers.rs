//! What only a broker between the two can do, and what it must not do.

use super::cast::{Act, Job, REFUSED, WORKS};
use super::stage::Stage;
use super::{BrokerLink, Link, TransportFixture};
use crate::error::Error;
use crate::handler::DeliveryOptions;
use crate::store::DeadLetterReason;

/// It is told so, with the reason; nothing is dropped in silence.
pub async fn a_message_that_no_queue_takes_becomes_a_dead_letter_of_its_sender<F>(fixture: &F)
where
    F: TransportFixture,
    F::Link: BrokerLink,
{
    let mut stage = Stage::open(fixture).await;
    stage.stop_sender().await;
    let nowhere = stage.link.nowhere();
    let to = DeliveryOptions::new().to("nowhere");
    stage.start_sender_with(|builder| builder.endpoint("nowhere", &*nowhere)).await;
    stage.sender().bus().send(Job::new("lost")).with(to).await.expect(WORKS);
    let letter = stage.sent_back().await;
    assert_eq!(letter.reason, DeadLetterReason::Refused);
    assert!(letter.error_message.contains("no queue"), "{}", letter.error_message);
    stage.send(Job::new("found")).await;
    stage.received.wait_for(1).await;
    assert_eq!(stage.received.texts(), ["found"]);
    stage.close().await;
}

/// The application does not start, and is told both sides.
pub async fn a_declaration_that_differs_is_a_problem_at_start_that_names_both<F>(fixture: &F)
where
    F: TransportFixture,
    F::Link: BrokerLink,
{
    let stage = Stage::empty(fixture, |builder| builder).await;
    let [_, receiver] = stage.builders();
    let (receiver, both) = stage.link.receive_otherwise(receiver).await;
    let error = receiver.start().await.expect_err(REFUSED);
    let Error::Startup(problems) = &error else { panic!("{error}") };
    for expected in both {
        assert!(problems.to_string().contains(expected), "`{expected}`: {problems}");
    }
}

/// The receiver loses its connection again and again, between what it has stored and what it has
/// acknowledged.
pub async fn what_is_delivered_again_is_handled_once<F>(fixture: &F)
where
    F: TransportFixture,
    F::Link: BrokerLink,
{
    const COUNT: usize = 1_000;
    let mut stage = Stage::open(fixture).await;
    stage.stop_receiver().await;
    let jobs = (0..COUNT).map(|number| Job::new(format!("{number:04}")));
    stage.sender().bus().send_all(jobs.collect::<Vec<_>>()).await.expect(WORKS);
    stage.sender().until_idle().await.expect(WORKS);
    stage.start_receiver().await;
    for round in 1..=20 {
        stage.received.wait_for_different(round * COUNT / 40).await;
        stage.link.cut().await;
    }
    stage.received.wait_for_different(COUNT).await;
    stage.settle().await;
    assert_eq!(stage.received.notes().len(), COUNT);
    stage.close().await;
}

/// In the outbox, however long.
pub async fn what_is_sent_while_the_broker_is_away_arrives_when_it_is_back<F>(fixture: &F)
where
    F: TransportFixture,
    F::Link: BrokerLink,
{
    let stage = Stage::open(fixture).await;
    stage.send(Job::new("before")).await;
    stage.received.wait_for(1).await;
    stage.link.end_broker().await;
    for number in 0..20 {
        stage.send(Job::new(format!("{number:02}"))).await;
    }
    stage.link.start_broker().await;
    stage.received.wait_for_different(21).await;
    stage.settle().await;
    assert_eq!(stage.received.notes().len(), 21);
    stage.close().await;
}

/// It was stored before the restart, or is delivered after it; never both.
pub async fn a_poison_message_is_one_dead_letter_across_a_restart_of_the_broker<F>(fixture: &F)
where
    F: TransportFixture,
    F::Link: BrokerLink,
{
    let stage = Stage::open(fixture).await;
    stage.send(Job::that(Act::FailForGood, "poison")).await;
    stage.letter().await;
    stage.link.end_broker().await;
    stage.link.start_broker().await;
    stage.send(Job::new("healthy")).await;
    stage.received.wait_for(2).await;
    stage.settle().await;
    assert_eq!(stage.received.texts(), ["poison", "healthy"]);
    assert_eq!(stage.letters().await.len(), 1);
    stage.close().await;
}

/// What it sends waits; what it listens to comes when it can.
pub async fn an_application_starts_without_its_broker_and_works_when_that_comes<F>(fixture: &F)
where
    F: TransportFixture,
    F::Link: BrokerLink,
{
    let mut stage = Stage::empty(fixture, |builder| builder).await;
    stage.link.end_broker().await;
    stage.start_receiver().await;
    stage.start_sender().await;
    stage.send(Job::new("early")).await;
    stage.link.start_broker().await;
    stage.received.wait_for(1).await;
    assert_eq!(stage.received.texts(), ["early"]);
    stage.close().await;
}

/// It is made again, and what is sent after that arrives.
pub async fn a_listener_whose_place_is_removed_works_again<F>(fixture: &F)
where
    F: TransportFixture,
    F::Link: BrokerLink,
{
    let stage = Stage::open(fixture).await;
    stage.send(Job::new("before")).await;
    stage.received.wait_for(1).await;
    stage.settle().await;
    stage.link.remove_place().await;
    stage.send(Job::new("after")).await;
    stage.received.wait_for(2).await;
    assert_eq!(stage.received.texts(), ["before", "after"]);
    stage.close().await;
}
