//! What the broker gives up, and its way back to the handlers.

use jasper::prelude::*;
use jasper::runtime::Builder;
use jasper::store::{DeadLetter, DeadLetterQuery, DeadLetterReason};
use jasper::transport::rabbitmq::{Exchange, Queue, RabbitMq};
use lapin::BasicProperties;
use lapin::options::{BasicGetOptions, BasicRejectOptions};
use serde::{Deserialize, Serialize};
use tests::Journal;
use tests::servers::rabbitmq_url;

use crate::bench::{Client, letter, note, receiver_by, sender_by, unique};

/// A queue whose dead letters go to the queue `NAME.dead`.
fn with_dead_letters(url: &str, queue: &str) -> RabbitMq {
    let dead = format!("{queue}.dead");
    RabbitMq::at(url).queue(Queue::quorum(queue).dead_letters_to("", &dead))
}

/// Takes the next message out of this queue, and rejects it.
async fn reject_next(client: &Client, queue: &str) {
    loop {
        let got = client.channel.basic_get(queue.into(), BasicGetOptions::default());
        if let Some(got) = got.await.unwrap() {
            return got
                .acker
                .reject(BasicRejectOptions { requeue: false })
                .await
                .map(drop)
                .unwrap();
        }
        // Real time: a queue gives no word to one who only looks.
        tokio::time::sleep(std::time::Duration::from_millis(10)).await;
    }
}

async fn replay(app: &Jasper, letter: &DeadLetter) {
    let letters = app.store().unwrap().dead_letters();
    assert_eq!(letters.replay(vec![letter.id.clone()]).await.unwrap(), 1);
}

#[tokio::test]
async fn what_a_consumer_rejects_is_kept_with_the_reason_and_replayed_to_its_handler() {
    let (url, queue, journal) = (rabbitmq_url(), unique("rejected"), Journal::default());
    let transport = || with_dead_letters(&url, &queue);
    let address = format!("rabbitmq://queue/{queue}");
    let sender = sender_by(transport(), &address).start().await.unwrap();
    sender.bus().send(note("rejected")).await.unwrap();
    reject_next(&Client::connect(&url).await, &queue).await;
    let receiver = receiver_by(transport(), &journal).listen(&*address);
    let receiver = receiver.listen(format!("rabbitmq://dead-letters/{queue}.dead"));
    let receiver = receiver.start().await.unwrap();
    let letter = letter(&receiver).await;
    assert_eq!(letter.reason, DeadLetterReason::Broker);
    assert_eq!((&*letter.error_type, &*letter.message_type), ("rejected", "rabbit.note@1"));
    assert!(letter.error_message.contains(&format!("`{queue}`")), "{}", letter.error_message);
    assert!(journal.notes().is_empty(), "nothing is handled before it is replayed");
    replay(&receiver, &letter).await;
    journal.wait_for("rejected").await;
    sender.stop().await.unwrap();
    receiver.stop().await.unwrap();
}

#[tokio::test]
async fn what_has_waited_too_long_at_the_broker_comes_back_by_an_exchange_and_under_a_prefix() {
    let (url, prefix, journal) = (rabbitmq_url(), unique("expired"), Journal::default());
    let transport = || {
        let orders = Queue::quorum("orders").argument("x-message-ttl", 1);
        RabbitMq::at(&*url)
            .prefix(format!("{prefix}."))
            .queue(orders.dead_letters_to("dead", "of-orders"))
            .exchange(Exchange::direct("dead"))
            .bind("dead", "of-orders", "given-up")
    };
    // The sender alone makes all that its dead letters need.
    let sender = sender_by(transport(), "rabbitmq://queue/orders").start().await.unwrap();
    sender.bus().send(note("late")).await.unwrap();
    sender.until_idle().await.unwrap();
    let receiver = receiver_by(transport(), &journal).listen("rabbitmq://dead-letters/given-up");
    let receiver = receiver.start().await.unwrap();
    let letter = letter(&receiver).await;
    assert_eq!(letter.error_type, "expired", "{}", letter.error_message);
    replay(&receiver, &letter).await;
    journal.wait_for("late").await;
    sender.stop().await.unwrap();
    receiver.stop().await.unwrap();
}

#[derive(Event, Serialize, Deserialize)]
#[event(name = "rabbit.died")]
struct Died {
    text: String,
}

#[handler(queue = "first")]
async fn first(event: Died, journal: State<Journal>) {
    journal.note(format!("first {}", event.text));
}

#[handler(queue = "second")]
async fn second(event: Died, journal: State<Journal>) {
    journal.note(format!("second {}", event.text));
}

fn two_subscribers(transport: RabbitMq, journal: &Journal) -> Builder {
    let builder = Jasper::builder().service("two").transport(transport).state(journal.clone());
    builder.handler(first).handler(second)
}

#[tokio::test]
async fn an_event_that_is_dead_is_a_letter_for_each_of_its_handlers() {
    let (url, queue, journal) = (rabbitmq_url(), unique("both"), Journal::default());
    let store = jasper::store::memory::MemoryStore::new();
    let app = two_subscribers(RabbitMq::at(&*url), &journal).store(store);
    let app = app.listen(format!("rabbitmq://dead-letters/{queue}")).start().await.unwrap();
    let client = Client::connect(&url).await;
    let properties = BasicProperties::default().with_type("rabbit.died".into());
    client.publish(&queue, r#"{"text":"twice"}"#, properties).await;
    letter(&app).await;
    // Both are kept when the message is acknowledged, which a stop waits for.
    app.pause_listeners().await;
    let letters = app.store().unwrap().dead_letters();
    assert_eq!(letters.replay_selected(DeadLetterQuery::default()).await.unwrap(), 2);
    journal.wait_for_number(2).await;
    assert_eq!(journal.sorted(), ["first twice", "second twice"]);
    app.stop().await.unwrap();
}

#[tokio::test]
async fn what_a_listener_without_a_store_refuses_goes_where_its_queue_puts_its_dead_letters() {
    let (url, queue, journal) = (rabbitmq_url(), unique("storeless"), Journal::default());
    let storeless = two_subscribers(with_dead_letters(&url, &queue), &journal);
    let storeless = storeless.listen(format!("rabbitmq://queue/{queue}?mode=buffered"));
    let storeless = storeless.start().await.unwrap();
    let client = Client::connect(&url).await;
    let properties = BasicProperties::default().with_type("rabbit.note".into());
    client.publish(&queue, r#"{"text":"for another"}"#, properties).await;
    let keeper = receiver_by(RabbitMq::at(&*url), &journal);
    let keeper = keeper.listen(format!("rabbitmq://dead-letters/{queue}.dead"));
    let keeper = keeper.start().await.unwrap();
    let letter = letter(&keeper).await;
    assert_eq!(letter.error_type, "refused");
    assert!(letter.error_message.contains("`rabbit.note@1`"), "{}", letter.error_message);
    replay(&keeper, &letter).await;
    journal.wait_for("for another").await;
    keeper.stop().await.unwrap();
    storeless.stop().await.unwrap();
}

#[tokio::test]
async fn a_dead_letter_that_cannot_be_read_is_kept_with_its_bytes() {
    let (url, queue, journal) = (rabbitmq_url(), unique("bytes"), Journal::default());
    let app = receiver_by(RabbitMq::at(&*url), &journal);
    let app = app.listen(format!("rabbitmq://dead-letters/{queue}")).start().await.unwrap();
    let client = Client::connect(&url).await;
    client.publish(&queue, "no type", BasicProperties::default()).await;
    let letter = letter(&app).await;
    assert_eq!((letter.reason, &letter.body[..]), (DeadLetterReason::Undecodable, &b"no type"[..]));
    app.stop().await.unwrap();
}

#[test]
fn dead_letters_are_to_listen_at_and_not_to_send_to() {
    let sender = sender_by(RabbitMq::at("amqp://localhost"), "rabbitmq://dead-letters/a");
    let told = sender.check().unwrap_err().to_string();
    assert!(told.contains("dead letters are to listen at"), "{told}");
}
