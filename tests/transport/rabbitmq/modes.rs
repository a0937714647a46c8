//! What stands behind a message at a listener without a database.

use std::time::Duration;

use jasper::Envelope;
use jasper::prelude::*;
use jasper::runtime::Builder;
use jasper::transport::rabbitmq::RabbitMq;
use lapin::BasicProperties;
use lapin::types::AMQPValue;
use serde::{Deserialize, Serialize};
use tests::Journal;
use tests::servers::rabbitmq_url;
use tokio::sync::watch;

use crate::bench::{Client, note, receiver, sender, unique};

#[derive(Event, Serialize, Deserialize)]
#[event(name = "rabbit.rung")]
struct Rung {
    text: String,
}

/// Opens when a handler may go on.
type Gate = watch::Receiver<bool>;

#[handler(concurrency = 16)]
async fn wait_at_the_gate(event: Rung, journal: State<Journal>, gate: State<Gate>) {
    journal.note(format!("{} came", event.text));
    let mut gate = Gate::clone(&gate);
    let _ = gate.wait_for(|is_open| *is_open).await;
    journal.note(format!("{} went", event.text));
}

fn forgetful(url: &str, journal: &Journal, gate: Gate) -> Builder {
    let builder = Jasper::builder().service("forgetful").transport(RabbitMq::at(url));
    builder.handler(wait_at_the_gate).state(journal.clone()).state(gate)
}

async fn ring(client: &Client, queue: &str, text: &str) {
    let properties = BasicProperties::default().with_type("rabbit.rung".into());
    client.publish(queue, &format!(r#"{{"text":"{text}"}}"#), properties).await;
}

#[tokio::test]
async fn inline_messages_are_handled_several_at_once_and_acknowledged_at_their_end() {
    let (url, queue, journal) = (rabbitmq_url(), unique("inline"), Journal::default());
    let (open, gate) = watch::channel(false);
    let address = format!("rabbitmq://queue/{queue}?mode=inline");
    let client = Client::connect(&url).await;
    let first = forgetful(&url, &journal, gate.clone()).listen(&*address).start().await.unwrap();
    for text in ["a", "b", "c"] {
        ring(&client, &queue, text).await;
    }
    journal.wait_for_number(3).await;
    assert_eq!(journal.sorted(), ["a came", "b came", "c came"]);
    // It ends as in a crash: nothing was acknowledged, so all are delivered to another.
    drop(first);
    let other = Journal::default();
    let second = forgetful(&url, &other, gate).listen(&*address).start().await.unwrap();
    other.wait_for_number(3).await;
    open.send_replace(true);
    other.wait_for_number(6).await;
    second.stop().await.unwrap();
    assert_eq!(journal.notes().len(), 3);
}

#[derive(Event, Serialize, Deserialize)]
#[event(name = "rabbit.came-again")]
struct CameAgain;

#[handler]
async fn wait_and_tell(
    _event: CameAgain,
    envelope: Envelope,
    journal: State<Journal>,
    gate: State<Gate>,
) {
    journal.note(format!("redelivered: {}", envelope.redelivered));
    let mut gate = Gate::clone(&gate);
    let _ = gate.wait_for(|is_open| *is_open).await;
}

#[tokio::test]
async fn a_handler_sees_whether_its_message_may_have_been_delivered_before() {
    let (url, queue, journal) = (rabbitmq_url(), unique("again"), Journal::default());
    let (open, gate) = watch::channel(false);
    let start = async || {
        let builder = Jasper::builder().service("again").transport(RabbitMq::at(&*url));
        let builder = builder.handler(wait_and_tell).state(journal.clone()).state(gate.clone());
        builder.listen(format!("rabbitmq://queue/{queue}?mode=inline")).start().await.unwrap()
    };
    let first = start().await;
    let properties = BasicProperties::default().with_type("rabbit.came-again".into());
    Client::connect(&url).await.publish(&queue, "null", properties).await;
    journal.wait_for("redelivered: false").await;
    // As in a crash: nothing is acknowledged.
    drop(first);
    let second = start().await;
    journal.wait_for("redelivered: true").await;
    open.send_replace(true);
    second.stop().await.unwrap();
}

#[tokio::test]
async fn consumers_work_side_by_side_and_a_stop_gives_back_what_none_has_begun() {
    let (url, queue, journal) = (rabbitmq_url(), unique("consumers"), Journal::default());
    let (open, gate) = watch::channel(false);
    let client = Client::connect(&url).await;
    // Each of the three has one message, and takes no other before that is done.
    let address = format!("rabbitmq://queue/{queue}?mode=inline&prefetch=1&consumers=3");
    let app = forgetful(&url, &journal, gate).listen(address).start().await.unwrap();
    for text in ["a", "b", "c", "d"] {
        ring(&client, &queue, text).await;
    }
    journal.wait_for_number(3).await;
    let stopped = tokio::spawn(app.stop());
    // Real time: that something does not come can only be waited for.
    tokio::time::sleep(Duration::from_millis(100)).await;
    open.send_replace(true);
    stopped.await.unwrap().unwrap();
    assert_eq!(journal.sorted(), ["a came", "a went", "b came", "b went", "c came", "c went"]);
    assert!(client.get(&queue).await.data.ends_with(br#""d"}"#));
}

#[tokio::test]
async fn durable_consumers_take_each_message_once() {
    const COUNT: usize = 500;
    let (url, queue, journal) = (rabbitmq_url(), unique("durable"), Journal::default());
    let address = format!("rabbitmq://queue/{queue}");
    let receiver = receiver(&url, &journal).listen(format!("{address}?consumers=4&prefetch=50"));
    let receiver = receiver.start().await.unwrap();
    let sender = sender(&url, &address).start().await.unwrap();
    let notes = (0..COUNT).map(|number| note(format!("{number:03}")));
    sender.bus().send_all(notes.collect::<Vec<_>>()).await.unwrap();
    journal.wait_for_number(COUNT).await;
    sender.stop().await.unwrap();
    receiver.stop().await.unwrap();
    let expected: Vec<_> = (0..COUNT).map(|number| format!("{number:03}")).collect();
    assert_eq!(journal.sorted(), expected);
}

#[tokio::test]
async fn a_sender_with_an_outbox_sends_to_a_listener_that_has_no_database() {
    let (url, queue, journal) = (rabbitmq_url(), unique("outbox"), Journal::default());
    let (_open, gate) = watch::channel(true);
    let address = format!("rabbitmq://queue/{queue}");
    let inline = format!("{address}?mode=inline");
    let receiver = forgetful(&url, &journal, gate).listen(inline).start().await.unwrap();
    let sender = sender(&url, "rabbitmq://queue/unused").endpoint("rung", address);
    let sender = sender.publish_to::<Rung>("rung").start().await.unwrap();
    sender.bus().publish(Rung { text: "a".into() }).await.unwrap();
    journal.wait_for("a went").await;
    sender.stop().await.unwrap();
    receiver.stop().await.unwrap();
}

#[tokio::test]
async fn a_buffered_message_is_acknowledged_when_it_is_in_memory() {
    let (url, queue, journal) = (rabbitmq_url(), unique("buffered"), Journal::default());
    let (open, gate) = watch::channel(false);
    let address = format!("rabbitmq://queue/{queue}?mode=buffered&prefetch=1");
    let client = Client::connect(&url).await;
    let app = forgetful(&url, &journal, gate).listen(address).start().await.unwrap();
    // The second comes although the first is not handled and only one may be open.
    ring(&client, &queue, "a").await;
    ring(&client, &queue, "b").await;
    journal.wait_for("b came").await;
    open.send_replace(true);
    journal.wait_for_number(4).await;
    app.stop().await.unwrap();
}

#[tokio::test]
async fn what_a_listener_without_a_store_refuses_is_in_the_queue_of_dead_letters() {
    let (url, queue, journal) = (rabbitmq_url(), unique("refused"), Journal::default());
    let (_open, gate) = watch::channel(true);
    let address = format!("rabbitmq://queue/{queue}?mode=buffered");
    let client = Client::connect(&url).await;
    // The listener makes it too, with the first letter, which may come after the message that is
    // handled.
    client.make_queue(&format!("{queue}.dead-letters"), "quorum").await;
    let app = forgetful(&url, &journal, gate).listen(address).start().await.unwrap();
    let properties = BasicProperties::default().with_type("rabbit.riddle".into());
    client.publish(&queue, "unknown", properties).await;
    ring(&client, &queue, "known").await;
    journal.wait_for("known went").await;
    let kept = client.get(&format!("{queue}.dead-letters")).await;
    assert_eq!(kept.data, b"unknown");
    let headers = kept.properties.headers().as_ref().unwrap().inner();
    let Some(AMQPValue::LongString(why)) = headers.get("jasper-refused") else { panic!() };
    assert!(why.to_string().contains("rabbit.riddle@1"), "{why}");
    app.stop().await.unwrap();
}

#[tokio::test]
async fn a_stop_gives_back_what_was_not_begun() {
    let (url, queue, journal) = (rabbitmq_url(), unique("stopped"), Journal::default());
    let (open, gate) = watch::channel(false);
    let address = format!("rabbitmq://queue/{queue}?mode=inline&prefetch=1");
    let client = Client::connect(&url).await;
    let app = forgetful(&url, &journal, gate).listen(&*address).start().await.unwrap();
    ring(&client, &queue, "a").await;
    ring(&client, &queue, "b").await;
    journal.wait_for("a came").await;
    let stopped = tokio::spawn(app.stop());
    // Real time: that something does not come can only be waited for.
    tokio::time::sleep(Duration::from_millis(100)).await;
    open.send_replace(true);
    stopped.await.unwrap().unwrap();
    assert_eq!(journal.notes(), ["a came", "a went"]);
    assert!(client.get(&queue).await.data.ends_with(br#""b"}"#));
}

#[derive(Event, Serialize, Deserialize)]
#[event(name = "rabbit.impossible")]
struct Impossible;

#[handler(attempts = 1)]
async fn never(_event: Impossible) -> Result<(), std::io::Error> {
    // As long as errors come, in letters of several bytes.
    Err(std::io::Error::other("€".repeat(1_000_000)))
}

#[tokio::test]
async fn what_an_inline_handler_gives_up_without_a_store_is_a_dead_letter_of_the_queue() {
    let (url, queue) = (rabbitmq_url(), unique("given-up"));
    let client = Client::connect(&url).await;
    client.make_queue(&format!("{queue}.dead-letters"), "quorum").await;
    let app = Jasper::builder().handler(never).transport(RabbitMq::at(&*url));
    let app = app.listen(format!("rabbitmq://queue/{queue}?mode=inline")).start().await.unwrap();
    let properties = BasicProperties::default().with_type("rabbit.impossible".into());
    client.publish(&queue, "null", properties).await;
    let letter = client.get(&format!("{queue}.dead-letters")).await;
    assert_eq!(letter.data, b"null");
    let headers = letter.properties.headers().as_ref().unwrap().inner();
    let why = headers["jasper-refused"].as_long_string().unwrap().to_string();
    assert!(why.starts_with("the handler gave it up (exhausted): €€"), "{why}");
    app.stop().await.unwrap();
    assert!(client.is_empty(&queue).await);
}
