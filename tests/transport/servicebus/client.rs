//! A plain client of AMQP 1.0, which knows nothing of Service Bus.

use fe2o3_amqp::connection::ConnectionHandle;
use fe2o3_amqp::sasl_profile::SaslProfile;
use fe2o3_amqp::session::SessionHandle;
use fe2o3_amqp::types::definitions::{self, AmqpError};
use fe2o3_amqp::types::messaging::{Body, Modified, Outcome};
use fe2o3_amqp::types::primitives::Value;
use fe2o3_amqp::{Connection, Delivery, Receiver, Sender, Session};
use jasper::testing::servicebus::{Broker, EntitySettings};

use crate::bench::{QUEUE, broker, until};

pub(crate) struct Client {
    pub(crate) session: SessionHandle<()>,
    // The session ends with it.
    _connection: ConnectionHandle<()>,
}

impl Client {
    pub(crate) async fn connect(broker: &Broker) -> Self {
        let (username, password) = broker.key();
        let profile =
            SaslProfile::Plain { username: username.to_owned(), password: password.to_owned() };
        let mut connection = Connection::builder()
            .container_id("plain")
            .sasl_profile(profile)
            .open(format!("amqp://{}", broker.address()).as_str())
            .await
            .unwrap();
        let session = Session::begin(&mut connection).await.unwrap();
        Self { session, _connection: connection }
    }

    pub(crate) async fn sender(&mut self) -> Sender {
        Sender::attach(&mut self.session, "sender", QUEUE).await.unwrap()
    }

    pub(crate) async fn receiver(&mut self, address: &str) -> Receiver {
        let name = format!("receiver of {address}");
        Receiver::attach(&mut self.session, name, address).await.unwrap()
    }
}

pub(crate) async fn send(sender: &mut Sender, text: &str) -> Outcome {
    sender.send(text).await.unwrap()
}

pub(crate) async fn receive(receiver: &mut Receiver) -> Delivery<Body<Value>> {
    receiver.recv::<Body<Value>>().await.unwrap()
}

fn text(delivery: &Delivery<Body<Value>>) -> &str {
    match delivery.body() {
        Body::Value(value) => match &value.0 {
            Value::String(text) => text,
            other => panic!("{other:?} is no text"),
        },
        other => panic!("{other:?} is no value"),
    }
}

fn failures(delivery: &Delivery<Body<Value>>) -> u32 {
    delivery.message().header.as_ref().map_or(0, |header| header.delivery_count)
}

#[tokio::test]
async fn a_message_is_sent_received_and_accepted() {
    let broker = broker(EntitySettings::new()).await;
    let mut client = Client::connect(&broker).await;
    let outcome = send(&mut client.sender().await, "hello").await;
    assert!(matches!(outcome, Outcome::Accepted(_)), "{outcome:?}");
    let mut receiver = client.receiver(QUEUE).await;
    let delivery = receive(&mut receiver).await;
    assert_eq!(text(&delivery), "hello");
    assert_eq!(broker.counts(QUEUE).locked, 1);
    receiver.accept(&delivery).await.unwrap();
    let counts = until(&broker, QUEUE, |counts| counts.completed == 1).await;
    assert_eq!((counts.active, counts.locked), (0, 0));
}

#[tokio::test]
async fn the_delivery_tag_is_a_lock_token() {
    let broker = broker(EntitySettings::new()).await;
    let mut client = Client::connect(&broker).await;
    send(&mut client.sender().await, "tagged").await;
    let mut receiver = client.receiver(QUEUE).await;
    assert_eq!(receive(&mut receiver).await.delivery_tag().len(), 16);
}

#[tokio::test]
async fn a_released_message_comes_again_without_a_failure() {
    let broker = broker(EntitySettings::new()).await;
    let mut client = Client::connect(&broker).await;
    send(&mut client.sender().await, "again").await;
    let mut receiver = client.receiver(QUEUE).await;
    let delivery = receive(&mut receiver).await;
    receiver.release(&delivery).await.unwrap();
    let delivery = receive(&mut receiver).await;
    assert_eq!((text(&delivery), failures(&delivery)), ("again", 0));
}

#[tokio::test]
async fn a_modified_message_comes_again_with_a_failure() {
    let broker = broker(EntitySettings::new()).await;
    let mut client = Client::connect(&broker).await;
    send(&mut client.sender().await, "again").await;
    let mut receiver = client.receiver(QUEUE).await;
    let delivery = receive(&mut receiver).await;
    let failed = Modified {
        delivery_failed: Some(true),
        undeliverable_here: None,
        message_annotations: None,
    };
    receiver.modify(&delivery, failed).await.unwrap();
    let delivery = receive(&mut receiver).await;
    assert_eq!((text(&delivery), failures(&delivery)), ("again", 1));
}

#[tokio::test]
async fn a_rejected_message_is_a_dead_letter() {
    let broker = broker(EntitySettings::new()).await;
    let mut client = Client::connect(&broker).await;
    send(&mut client.sender().await, "broken").await;
    let mut receiver = client.receiver(QUEUE).await;
    let delivery = receive(&mut receiver).await;
    let error = definitions::Error::new(AmqpError::DecodeError, Some("no colon".to_owned()), None);
    receiver.reject(&delivery, error).await.unwrap();
    until(&broker, QUEUE, |counts| counts.dead_lettered == 1).await;
    let mut dead_letters = client.receiver("orders/$DeadLetterQueue").await;
    assert_eq!(text(&receive(&mut dead_letters).await), "broken");
}

#[tokio::test]
async fn a_lock_that_runs_out_gives_the_message_to_the_next_receiver() {
    let broker = broker(EntitySettings::new().lock_duration(std::time::Duration::from_millis(50)));
    let broker = broker.await;
    let mut client = Client::connect(&broker).await;
    send(&mut client.sender().await, "slow").await;
    let mut receiver = client.receiver(QUEUE).await;
    receive(&mut receiver).await;
    let delivery = receive(&mut receiver).await;
    assert!(failures(&delivery) >= 1);
}

#[tokio::test]
async fn a_large_message_goes_in_many_frames_both_ways() {
    let broker = broker(EntitySettings::new()).await;
    let mut client = Client::connect(&broker).await;
    let large = "x".repeat(200_000);
    send(&mut client.sender().await, &large).await;
    let mut receiver = client.receiver(QUEUE).await;
    assert_eq!(text(&receive(&mut receiver).await), large);
}

#[tokio::test]
async fn a_link_to_nothing_is_refused() {
    let broker = broker(EntitySettings::new()).await;
    let mut client = Client::connect(&broker).await;
    let refused = Sender::attach(&mut client.session, "sender", "nowhere").await.unwrap_err();
    assert!(format!("{refused:?}").contains("NotFound"), "{refused:?}");
}

#[tokio::test]
async fn a_client_with_a_wrong_key_is_not_let_in() {
    let broker = broker(EntitySettings::new()).await;
    let profile = SaslProfile::Plain { username: "root".to_owned(), password: "wrong".to_owned() };
    let address = format!("amqp://{}", broker.address());
    let builder = Connection::builder().container_id("plain").sasl_profile(profile);
    builder.open(address.as_str()).await.unwrap_err();
    assert_eq!(broker.connections(), 0);
}

#[tokio::test]
async fn a_client_without_a_token_reaches_no_entity() {
    let broker = broker(EntitySettings::new()).await;
    let address = format!("amqp://{}", broker.address());
    let builder = Connection::builder().container_id("plain").sasl_profile(SaslProfile::Anonymous);
    let mut connection = builder.open(address.as_str()).await.unwrap();
    let mut session = Session::begin(&mut connection).await.unwrap();
    let refused = Sender::attach(&mut session, "sender", QUEUE).await.unwrap_err();
    assert!(format!("{refused:?}").contains("UnauthorizedAccess"), "{refused:?}");
}
