//! What stands behind a message at a listener without a database.

use std::time::Duration;

use jasper::prelude::*;
use jasper::runtime::Builder;
use jasper::transport::rabbitmq::RabbitMq;
use lapin::BasicProperties;
use lapin::types::AMQPValue;
use serde::{Deserialize, Serialize};
use tests::Journal;
use tests::servers::rabbitmq_url;
use tokio::sync::watch;

use crate::bench::{Client, sender, unique};

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
