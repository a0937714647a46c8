//! What the tests of this transport share: messages, applications, and a client that no jasper has.

use std::time::Duration;

use jasper::prelude::*;
use jasper::runtime::{Builder, EndpointState};
use jasper::store::memory::MemoryStore;
use jasper::store::{DeadLetter, DeadLetterQuery};
use jasper::transport::Direction;
use jasper::transport::rabbitmq::RabbitMq;
use lapin::message::Delivery;
use lapin::options::{
    BasicGetOptions, BasicPublishOptions, ConfirmSelectOptions, QueueDeclareOptions,
    QueueDeleteOptions,
};
use lapin::types::{AMQPValue, FieldTable};
use lapin::{BasicProperties, Channel, Connection, ConnectionProperties};
use serde::{Deserialize, Serialize};
use tests::Journal;

#[derive(Command, Serialize, Deserialize)]
#[command(name = "rabbit.note", to = "notes")]
pub(crate) struct Note {
    pub(crate) text: String,
}

#[derive(Event, Serialize, Deserialize)]
#[event(name = "rabbit.noted")]
pub(crate) struct Noted {
    pub(crate) text: String,
}

#[handler(concurrency = 8)]
async fn take_note(cmd: Note, journal: State<Journal>) {
    journal.note(cmd.text);
}

#[handler]
async fn read_of_it(event: Noted, journal: State<Journal>) {
    journal.note(event.text);
}

pub(crate) fn note(text: impl Into<String>) -> Note {
    Note { text: text.into() }
}

/// A name that no other test has.
pub(crate) fn unique(name: &str) -> String {
    format!("{name}-{}", uuid::Uuid::now_v7().simple())
}

/// An application that handles notes and news of them.
pub(crate) fn receiver(url: &str, journal: &Journal) -> Builder {
    receiver_by(RabbitMq::at(url), journal)
}

/// The same by this transport.
pub(crate) fn receiver_by(transport: RabbitMq, journal: &Journal) -> Builder {
    let builder = Jasper::builder().service("receiver").store(MemoryStore::new());
    builder
        .handler(take_note)
        .handler(read_of_it)
        .state(journal.clone())
        .transport(transport)
        .endpoint("notes", "local://take_note")
}

/// An application that sends notes to this address.
pub(crate) fn sender(url: &str, address: &str) -> Builder {
    sender_by(RabbitMq::at(url), address)
}

/// The same by this transport.
pub(crate) fn sender_by(transport: RabbitMq, address: &str) -> Builder {
    let builder = Jasper::builder().service("sender").store(MemoryStore::new());
    // A choice of handlers that is none of them.
    builder
        .handler(nothing_of_it)
        .transport(transport)
        .endpoint("notes", address)
        .poll_interval(Duration::from_millis(50))
}

#[derive(Event, Serialize, Deserialize)]
#[event(name = "rabbit.nothing")]
struct Nothing;

#[handler]
async fn nothing_of_it(_event: Nothing) {}

/// A connection that no jasper has.
pub(crate) struct Client {
    _connection: Connection,
    pub(crate) channel: Channel,
}

impl Client {
    pub(crate) async fn connect(url: &str) -> Self {
        let connection = Connection::connect(url, ConnectionProperties::default()).await.unwrap();
        let channel = connection.create_channel().await.unwrap();
        channel.confirm_select(ConfirmSelectOptions::default()).await.unwrap();
        Self { _connection: connection, channel }
    }

    pub(crate) async fn make_queue(&self, queue: &str, kind: &str) {
        let mut arguments = FieldTable::default();
        arguments.insert("x-queue-type".into(), AMQPValue::LongString(kind.into()));
        let options = QueueDeclareOptions::durable();
        self.channel.queue_declare(queue.into(), options, arguments).await.unwrap();
    }

    pub(crate) async fn delete_queue(&self, queue: &str) {
        let options = QueueDeleteOptions::default();
        self.channel.queue_delete(queue.into(), options).await.unwrap();
    }

    pub(crate) async fn publish(&self, queue: &str, body: &str, properties: BasicProperties) {
        let options = BasicPublishOptions { mandatory: true, ..Default::default() };
        let queue = queue.into();
        let published =
            self.channel.basic_publish("".into(), queue, options, body.as_bytes(), properties);
        let confirmed = published.await.unwrap().await.unwrap();
        assert!(confirmed.is_ack() && confirmed.take_message().is_none(), "a queue takes it");
    }

    /// Whether no message of this queue waits for a receiver.
    pub(crate) async fn is_empty(&self, queue: &str) -> bool {
        let got = self.channel.basic_get(queue.into(), BasicGetOptions { no_ack: true }).await;
        got.unwrap().is_none()
    }

    /// The next message of this queue, as soon as there is one.
    pub(crate) async fn get(&self, queue: &str) -> Delivery {
        let got = async {
            loop {
                let options = BasicGetOptions { no_ack: true };
                if let Some(got) = self.channel.basic_get(queue.into(), options).await.unwrap() {
                    return got.delivery;
                }
                // Real time: a queue gives no word to one who only looks.
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
        };
        tokio::time::timeout(Duration::from_secs(30), got).await.expect("a message comes in time")
    }
}

/// The only endpoint of this direction.
pub(crate) fn state(app: &Jasper, direction: Direction) -> EndpointState {
    let mut of_it = app.endpoints().into_iter().filter(|state| state.direction == direction);
    of_it.find(|state| state.address.scheme() == "rabbitmq").expect("there is one")
}

/// Waits until this endpoint has a problem of these words, or none, and gives how long it took.
pub(crate) async fn wait_for_problem(
    app: &Jasper,
    direction: Direction,
    words: Option<&str>,
) -> Duration {
    let began = std::time::Instant::now();
    loop {
        let problem = state(app, direction).problem;
        let is_there = match words {
            Some(words) => problem.as_deref().is_some_and(|problem| problem.contains(words)),
            None => problem.is_none(),
        };
        if is_there {
            return began.elapsed();
        }
        assert!(began.elapsed() < Duration::from_secs(30), "{words:?}, and not {problem:?}");
        // Real time: a state gives no word.
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

/// Waits until the application has a dead letter, and gives it.
pub(crate) async fn letter(app: &Jasper) -> DeadLetter {
    let letters = app.store().unwrap().dead_letters();
    let found = async {
        loop {
            if let Some(letter) = letters.list(DeadLetterQuery::default()).await.unwrap().pop() {
                return letter;
            }
            // Real time: a dead letter gives no word.
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(30), found).await.expect("a dead letter comes in time")
}
