//! What the broker gives up, and its way back to the handlers.

use jasper::prelude::*;
use jasper::store::DeadLetterReason;
use serde::{Deserialize, Serialize};
use tests::Journal;

use crate::bench::{
    ADDRESS, Note, QUEUE, broker, letter, note, receiver, sender, settings, transport, until,
};

const DEAD: &str = "asb://dead-letters/queue/orders";

#[derive(Event, Serialize, Deserialize)]
#[event(name = "asb.unrelated")]
struct Unrelated;

#[handler]
async fn unrelated(_event: Unrelated) {}

#[tokio::test]
async fn what_was_delivered_too_often_is_kept_with_the_reason_and_replayed_to_its_handler() {
    let (broker, journal) = (broker(settings().max_delivery_count(1)).await, Journal::default());
    let sender = sender(&broker, ADDRESS).start().await.unwrap();
    sender.bus().send(note("given up")).await.unwrap();
    sender.until_idle().await.unwrap();
    // As a receiver does that holds it for too long.
    let mut client = crate::foreign::Client::connect(&broker).await;
    client.take(QUEUE).await;
    broker.faults().expire_locks(QUEUE);
    until(&broker, QUEUE, |counts| counts.dead_lettered == 1).await;
    let receiver = receiver(&broker, &journal).listen(ADDRESS).listen(DEAD);
    let receiver = receiver.start().await.unwrap();
    let letter = letter(&receiver).await;
    assert_eq!(letter.reason, DeadLetterReason::Broker);
    let said = (&*letter.error_type, &*letter.message_type);
    assert_eq!(said, ("MaxDeliveryCountExceeded", "asb.note@1"));
    assert!(letter.error_message.contains("after 1 delivery"), "{}", letter.error_message);
    until(&broker, QUEUE, |counts| counts.dead_lettered == 0).await;
    assert!(journal.notes().is_empty(), "nothing is handled before it is replayed");
    let letters = receiver.store().unwrap().dead_letters();
    assert_eq!(letters.replay(vec![letter.id.clone()]).await.unwrap(), 1);
    journal.wait_for("given up").await;
    sender.stop().await.unwrap();
    receiver.stop().await.unwrap();
}

#[tokio::test]
async fn what_a_listener_without_a_store_refuses_is_a_dead_letter_of_the_queue_in_its_words() {
    let (broker, journal) = (broker(settings()).await, Journal::default());
    let refuses = Jasper::builder().handler(unrelated).transport(transport(&broker));
    let refuses = refuses.listen(format!("{ADDRESS}?mode=inline")).start().await.unwrap();
    let sender = sender(&broker, ADDRESS).start().await.unwrap();
    sender.bus().send(note("unknown")).await.unwrap();
    until(&broker, QUEUE, |counts| counts.dead_lettered == 1).await;
    refuses.stop().await.unwrap();
    let keeps = receiver(&broker, &journal).listen(DEAD).start().await.unwrap();
    let letter = letter(&keeps).await;
    assert_eq!((letter.reason, &*letter.error_type), (DeadLetterReason::Broker, "Refused"));
    assert!(letter.error_message.contains("takes `asb.note@1`"), "{}", letter.error_message);
    sender.stop().await.unwrap();
    keeps.stop().await.unwrap();
}

#[handler(attempts = 1)]
async fn never(_cmd: Note) -> Result<(), std::io::Error> {
    // As long as errors come, in letters of several bytes.
    Err(std::io::Error::other("€".repeat(1_000_000)))
}

#[tokio::test]
async fn what_an_inline_handler_gives_up_without_a_store_is_a_dead_letter_in_its_words() {
    let (broker, journal) = (broker(settings()).await, Journal::default());
    let refuses = Jasper::builder().handler(never).transport(transport(&broker));
    let refuses = refuses.endpoint("notes", "local://never");
    let refuses = refuses.listen(format!("{ADDRESS}?mode=inline")).start().await.unwrap();
    let sender = sender(&broker, ADDRESS).start().await.unwrap();
    sender.bus().send(note("impossible")).await.unwrap();
    until(&broker, QUEUE, |counts| counts.dead_lettered == 1).await;
    refuses.stop().await.unwrap();
    let keeps = receiver(&broker, &journal).listen(DEAD).start().await.unwrap();
    let letter = letter(&keeps).await;
    assert_eq!((letter.reason, &*letter.error_type), (DeadLetterReason::Broker, "Refused"));
    let (text, beginning) = (&letter.error_message, "the handler gave it up (exhausted): €€");
    assert!(text.starts_with(beginning), "{text}");
    let length = text.chars().count();
    assert!((2_000..=4_096).contains(&length), "what the service takes: {length}");
    sender.stop().await.unwrap();
    keeps.stop().await.unwrap();
}
