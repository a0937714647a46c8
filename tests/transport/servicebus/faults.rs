//! Faults on demand, seen by a plain client.

use jasper::testing::servicebus::EntitySettings;

use fe2o3_amqp::types::messaging::Outcome;

use crate::bench::{QUEUE, broker, until};
use crate::client::{Client, receive, send};

#[tokio::test]
async fn a_cut_ends_the_connection_and_leaves_the_lock() {
    let broker = broker(EntitySettings::new()).await;
    let mut client = Client::connect(&broker).await;
    send(&mut client.sender().await, "kept").await;
    let mut receiver = client.receiver(QUEUE).await;
    receive(&mut receiver).await;
    broker.faults().cut_connections();
    receiver.recv::<String>().await.unwrap_err();
    assert_eq!(broker.counts(QUEUE).locked, 1);
    broker.faults().expire_locks(QUEUE);
    let mut client = Client::connect(&broker).await;
    let mut receiver = client.receiver(QUEUE).await;
    let delivery = receive(&mut receiver).await;
    receiver.accept(&delivery).await.unwrap();
    until(&broker, QUEUE, |counts| counts.completed == 1).await;
}

#[tokio::test]
async fn a_link_is_detached_with_the_error_that_was_asked_for() {
    let broker = broker(EntitySettings::new()).await;
    let mut client = Client::connect(&broker).await;
    let mut receiver = client.receiver(QUEUE).await;
    broker.faults().detach_links(QUEUE, "amqp:link:detach-forced", "for a test");
    let error = receiver.recv::<String>().await.unwrap_err();
    assert!(format!("{error:?}").contains("for a test"), "{error:?}");
    // The session has not ended with its link.
    send(&mut client.sender().await, "next").await;
    assert_eq!(broker.counts(QUEUE).active, 1);
}

#[tokio::test]
async fn a_refused_delivery_is_rejected_with_its_condition_and_the_next_one_is_taken() {
    let broker = broker(EntitySettings::new()).await;
    let mut client = Client::connect(&broker).await;
    let mut sender = client.sender().await;
    broker.faults().refuse(QUEUE, 1, "amqp:resource-limit-exceeded", "the queue is full");
    let outcome = send(&mut sender, "first").await;
    assert!(matches!(outcome, Outcome::Rejected(_)), "{outcome:?}");
    let outcome = send(&mut sender, "second").await;
    assert!(matches!(outcome, Outcome::Accepted(_)), "{outcome:?}");
    assert_eq!(broker.counts(QUEUE).sent, 1);
}

#[tokio::test]
async fn a_restart_keeps_the_messages_and_an_empty_one_forgets_them() {
    let broker = broker(EntitySettings::new()).await;
    let mut client = Client::connect(&broker).await;
    send(&mut client.sender().await, "kept").await;
    broker.restart();
    assert_eq!(broker.counts(QUEUE).active, 1);
    broker.restart_empty();
    assert_eq!(broker.counts(QUEUE).active, 0);
    let mut client = Client::connect(&broker).await;
    send(&mut client.sender().await, "new").await;
    assert_eq!(broker.counts(QUEUE).active, 1);
}

#[tokio::test]
async fn no_connection_is_taken_until_they_are_accepted_again() {
    let broker = broker(EntitySettings::new()).await;
    broker.faults().refuse_connections();
    let address = format!("amqp://{}", broker.address());
    let builder = fe2o3_amqp::Connection::builder().container_id("plain");
    builder.open(address.as_str()).await.unwrap_err();
    broker.faults().accept_connections();
    Client::connect(&broker).await;
}

#[tokio::test]
async fn a_sent_message_whose_outcome_is_lost_is_kept_and_its_sender_does_not_know() {
    let broker = broker(EntitySettings::new()).await;
    let mut client = Client::connect(&broker).await;
    let mut sender = client.sender().await;
    broker.faults().lose_outcomes_of_sends(QUEUE, 1);
    // This client has no limit for an outcome that was lost.
    let sending = tokio::spawn(async move { sender.send("kept").await });
    until(&broker, QUEUE, |counts| counts.active == 1 && broker.connections() == 0).await;
    sending.abort();
    let learned = sending.await;
    assert!(!matches!(learned, Ok(Ok(_))), "{learned:?}");
    let mut client = Client::connect(&broker).await;
    let outcome = send(&mut client.sender().await, "next").await;
    assert!(matches!(outcome, Outcome::Accepted(_)), "{outcome:?}");
}

#[tokio::test]
async fn a_settlement_whose_outcome_is_lost_is_applied() {
    let broker = broker(EntitySettings::new()).await;
    let mut client = Client::connect(&broker).await;
    send(&mut client.sender().await, "done").await;
    let mut receiver = client.receiver(QUEUE).await;
    let delivery = receive(&mut receiver).await;
    broker.faults().lose_outcomes_of_settlements(QUEUE, 1);
    receiver.accept(&delivery).await.unwrap();
    receiver.recv::<String>().await.unwrap_err();
    let counts = broker.counts(QUEUE);
    assert_eq!((counts.completed, counts.locked, counts.active), (1, 0, 0));
}
