//! What the tests of this transport share: a broker, messages, and applications.

use std::time::Duration;

use jasper::prelude::*;
use jasper::runtime::Builder;
use jasper::store::memory::MemoryStore;
use jasper::store::{DeadLetter, DeadLetterQuery};
use jasper::testing::servicebus::{Broker, Counts, EntitySettings};
use jasper::transport::servicebus::ServiceBus;
use serde::{Deserialize, Serialize};
use tests::Journal;
use tokio::time::timeout;

pub(crate) const QUEUE: &str = "orders";
pub(crate) const ADDRESS: &str = "asb://queue/orders";
const PATIENCE: Duration = Duration::from_secs(60);

#[derive(Command, Serialize, Deserialize)]
#[command(name = "asb.note", to = "notes")]
pub(crate) struct Note {
    pub(crate) text: String,
}

#[derive(Event, Serialize, Deserialize)]
#[event(name = "asb.noted")]
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

/// Locks of two seconds, and as many deliveries as it takes.
pub(crate) fn settings() -> EntitySettings {
    EntitySettings::new().lock_duration(Duration::from_secs(2)).max_delivery_count(1_000)
}

/// A broker with one queue.
pub(crate) async fn broker(settings: EntitySettings) -> Broker {
    let broker = Broker::start().await.unwrap();
    broker.create_queue(QUEUE, settings).unwrap();
    broker
}

pub(crate) fn transport(broker: &Broker) -> ServiceBus {
    ServiceBus::at(broker.connection_string())
}

/// An application that handles notes and news of them.
pub(crate) fn receiver(broker: &Broker, journal: &Journal) -> Builder {
    receiver_by(transport(broker), journal)
}

/// The same by this transport.
pub(crate) fn receiver_by(transport: ServiceBus, journal: &Journal) -> Builder {
    let builder = Jasper::builder().service("receiver").store(MemoryStore::new());
    builder
        .handler(take_note)
        .handler(read_of_it)
        .state(journal.clone())
        .transport(transport)
        .endpoint("notes", "local://take_note")
}

/// An application that sends notes to this address.
pub(crate) fn sender(broker: &Broker, address: &str) -> Builder {
    sender_by(transport(broker), address)
}

/// The same by this transport.
pub(crate) fn sender_by(transport: ServiceBus, address: &str) -> Builder {
    let builder = Jasper::builder().service("sender").store(MemoryStore::new());
    // A choice of handlers that is none of them.
    builder
        .handler(nothing_of_it)
        .transport(transport)
        .endpoint("notes", address)
        .poll_interval(Duration::from_millis(50))
}

#[derive(Event, Serialize, Deserialize)]
#[event(name = "asb.nothing")]
struct Nothing;

#[handler]
async fn nothing_of_it(_event: Nothing) {}

/// What the counts of an entity become; fails where they do not in time.
pub(crate) async fn until(
    broker: &Broker,
    entity: &str,
    is_so: impl Fn(&Counts) -> bool,
) -> Counts {
    match timeout(PATIENCE, broker.wait_until(entity, is_so)).await {
        Ok(counts) => counts,
        Err(_late) => panic!("the counts stayed {:?}", broker.counts(entity)),
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
    timeout(PATIENCE, found).await.expect("a dead letter comes in time")
}

/// Why something is not sent or received, once it is so.
pub(crate) async fn problem_of(app: &Jasper) -> String {
    let found = async {
        loop {
            if let Some(problem) = app.endpoints().into_iter().find_map(|state| state.problem) {
                return problem;
            }
            // Real time: a state gives no word.
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    timeout(PATIENCE, found).await.expect("a problem comes in time")
}
