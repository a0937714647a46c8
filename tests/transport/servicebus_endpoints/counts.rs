//! What waits at the broker, as an application shows it.

use std::time::Duration;

use jasper::prelude::*;
use jasper::runtime::BrokerBacklog;
use jasper::testing::servicebus::Broker;
use jasper::transport::{BrokerCounts, TransportError};
use tests::Journal;

use crate::bench::{ADDRESS, QUEUE, broker, note, receiver, sender, settings, until};
use crate::foreign::Client;

const DEAD: &str = "asb://dead-letters/queue/orders";
/// A message that is sent while a client detaches may be delivered to it once, and comes back.
const DELIVERIES: u32 = 2;

/// What an application sees that listens at these addresses, and nowhere at present.
async fn paused(app: &Jasper) -> Vec<BrokerBacklog> {
    app.pause_listeners().await;
    app.broker_backlogs().await
}

/// Lets the lock of a message expire at each of its deliveries, and waits until the queue has this
/// many dead letters.
async fn give_up(broker: &Broker, dead_lettered: usize) {
    let mut client = Client::connect(broker).await;
    client.take(QUEUE).await;
    for _delivery in 0..DELIVERIES {
        // It comes to the same link again.
        until(broker, QUEUE, |counts| counts.locked == 1).await;
        broker.faults().expire_locks(QUEUE);
    }
    until(broker, QUEUE, |counts| counts.dead_lettered == dead_lettered).await;
}

#[tokio::test]
async fn what_waits_what_is_given_up_and_what_is_for_later_is_counted() {
    let broker = broker(settings().max_delivery_count(DELIVERIES)).await;
    let sender = sender(&broker, ADDRESS).start().await.unwrap();
    sender.bus().send(note("given up")).await.unwrap();
    sender.until_idle().await.unwrap();
    give_up(&broker, 1).await;
    let app = receiver(&broker, &Journal::default()).listen(ADDRESS).listen("tcp://127.0.0.1:0");
    let app = app.start().await.unwrap();
    app.pause_listeners().await;
    for text in ["one", "two", "three"] {
        sender.bus().send(note(text)).await.unwrap();
    }
    sender.bus().send(note("later")).delay(Duration::from_secs(3_600)).await.unwrap();
    until(&broker, QUEUE, |counts| counts.active == 3 && counts.scheduled == 1).await;
    let backlogs = app.broker_backlogs().await;
    let [backlog] = &*backlogs else { panic!("{backlogs:?}: TCP has no broker") };
    assert_eq!(backlog.address.as_str(), ADDRESS);
    assert_eq!(backlog.counts.as_ref().unwrap(), &BrokerCounts::new(3, 1, 1));
    sender.stop().await.unwrap();
    app.stop().await.unwrap();
}

#[tokio::test]
async fn the_dead_letters_of_a_queue_are_what_waits_for_a_listener_to_them() {
    let broker = broker(settings().max_delivery_count(DELIVERIES)).await;
    let app = receiver(&broker, &Journal::default()).listen(DEAD).start().await.unwrap();
    app.pause_listeners().await;
    let sender = sender(&broker, ADDRESS).start().await.unwrap();
    for number in 1..=2 {
        sender.bus().send(note("given up")).await.unwrap();
        sender.until_idle().await.unwrap();
        give_up(&broker, number).await;
    }
    let backlogs = app.broker_backlogs().await;
    assert_eq!(backlogs[0].counts.as_ref().unwrap(), &BrokerCounts::new(2, 0, 0));
    sender.stop().await.unwrap();
    app.stop().await.unwrap();
}

#[tokio::test]
async fn sessions_that_have_messages_are_counted_beyond_a_page() {
    let broker = broker(settings().requires_session()).await;
    let app = receiver(&broker, &Journal::default()).listen("asb://queue/orders?sessions=1");
    let app = app.start().await.unwrap();
    let counts = paused(&app).await[0].counts.clone().unwrap();
    assert_eq!(counts, BrokerCounts::new(0, 0, 0).with_sessions(0));
    let sender = sender(&broker, ADDRESS).start().await.unwrap();
    for number in 0..210 {
        let of_it = DeliveryOptions::new().group(format!("customer {}", number % 105));
        sender.bus().send(note("of a group")).with(of_it).await.unwrap();
    }
    until(&broker, QUEUE, |counts| counts.active == 210).await;
    let counts = app.broker_backlogs().await[0].counts.clone().unwrap();
    assert_eq!(counts, BrokerCounts::new(210, 0, 0).with_sessions(105));
    sender.stop().await.unwrap();
    app.stop().await.unwrap();
}

#[tokio::test]
async fn a_management_that_is_away_or_has_no_such_queue_is_said() {
    let broker = broker(settings()).await;
    let app = receiver(&broker, &Journal::default()).listen(ADDRESS).start().await.unwrap();
    broker.faults().refuse_connections();
    let error = paused(&app).await[0].counts.clone().unwrap_err();
    assert!(matches!(error, TransportError::Unreachable { .. }), "{error}");
    broker.faults().accept_connections();
    broker.remove(QUEUE).unwrap();
    let error = app.broker_backlogs().await[0].counts.clone().unwrap_err();
    assert!(error.to_string().contains("no queue `orders`"), "{error}");
    app.stop().await.unwrap();
}
