//! Programs that know nothing of jasper: Microsoft's client for Python, and a plain one of AMQP.

use std::path::PathBuf;
use std::str;
use std::time::Duration;

use fe2o3_amqp::connection::ConnectionHandle;
use fe2o3_amqp::sasl_profile::SaslProfile;
use fe2o3_amqp::session::SessionHandle;
use fe2o3_amqp::types::messaging::Body;
use fe2o3_amqp::types::primitives::Value;
use fe2o3_amqp::{Connection, Receiver, Session};
use jasper::Message;
use jasper::envelope::{Address, Envelope};
use jasper::store::DeadLetterReason;
use jasper::testing::servicebus::Broker;
use jasper::transport::servicebus::ServiceBus;
use jasper::transport::{EnvelopeMapper, ForeignMessage, MapperError};
use tests::Journal;
use tokio::process::Command;
use tokio::time::timeout;

use crate::bench::{
    ADDRESS, Note, QUEUE, broker, letter, note, receiver, receiver_by, sender, sender_by, settings,
    transport, until,
};

const SCRIPT: &str =
    concat!(env!("CARGO_MANIFEST_DIR"), "/transport/servicebus_endpoints/foreign.py");

/// What a step of the program in Python prints.
async fn python(step: &str, broker: &Broker) -> String {
    let repository = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("..");
    let python = repository.join("target/servicebus-python/bin/python");
    assert!(python.exists(), "run `tests/run`, which installs the client for Python");
    let mut command = Command::new(python);
    command.arg(SCRIPT).args([step, &broker.connection_string(), QUEUE]).kill_on_drop(true);
    let output = timeout(Duration::from_secs(60), command.output()).await;
    let output = output.expect("the step ends in time").unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{said}");
    String::from_utf8(output.stdout).unwrap()
}

/// A client that takes messages and settles none.
pub(crate) struct Client {
    session: SessionHandle<()>,
    links: Vec<Receiver>,
    _connection: ConnectionHandle<()>,
}

impl Client {
    pub(crate) async fn connect(broker: &Broker) -> Self {
        let (username, password) = broker.key();
        let profile =
            SaslProfile::Plain { username: username.to_owned(), password: password.to_owned() };
        let builder = Connection::builder().container_id("plain").sasl_profile(profile);
        let address = format!("amqp://{}", broker.address());
        let mut connection = builder.open(address.as_str()).await.unwrap();
        let session = Session::begin(&mut connection).await.unwrap();
        Self { session, links: Vec::new(), _connection: connection }
    }

    /// Takes one message.
    pub(crate) async fn take(&mut self, queue: &str) {
        let mut link = Receiver::attach(&mut self.session, "taker", queue).await.unwrap();
        link.recv::<Body<Value>>().await.unwrap();
        self.links.push(link);
    }
}

#[tokio::test]
async fn what_the_client_for_python_sends_is_handled_once_by_its_id() {
    let (broker, journal) = (broker(settings()).await, Journal::default());
    let app = receiver(&broker, &journal).listen(ADDRESS).start().await.unwrap();
    python("send", &broker).await;
    until(&broker, QUEUE, |counts| counts.completed == 2).await;
    app.until_idle().await.unwrap();
    assert_eq!(journal.notes(), ["from Python"]);
    app.stop().await.unwrap();
}

#[tokio::test]
async fn the_client_for_python_reads_what_is_sent() {
    let broker = broker(settings()).await;
    let sender = sender(&broker, ADDRESS).start().await.unwrap();
    let dressed = jasper::DeliveryOptions::new().header("colour", "blau");
    sender.bus().send(note("to Python")).with(dressed).await.unwrap();
    let printed = python("receive", &broker).await;
    assert_eq!(printed, "asb.note@1 application/json {\"text\":\"to Python\"} blau\n");
    until(&broker, QUEUE, |counts| counts.completed == 1).await;
    sender.stop().await.unwrap();
}

/// Notes of a program of another time: `7;teapot`, with no type.
#[derive(Debug)]
struct Legacy;

impl EnvelopeMapper for Legacy {
    fn read(
        &self,
        message: &ForeignMessage,
        listener: &Address,
    ) -> Result<Option<Envelope>, MapperError> {
        let text = str::from_utf8(&message.body)?;
        let (number, what) = text.split_once(';').ok_or("a note is `number;text`")?;
        let payload = serde_json::to_vec(&note(format!("{number} {what}")))?;
        Ok(Some(message.envelope(Note::TYPE, "application/json", payload, listener)))
    }

    fn write(&self, envelope: &Envelope) -> Result<Option<ForeignMessage>, MapperError> {
        let note: Note = serde_json::from_slice(&envelope.payload)?;
        let mut message = ForeignMessage::new(note.text.replace(' ', ";"));
        message.kind = Some("legacy".to_owned());
        message.content_type = Some("text/legacy".to_owned());
        Ok(Some(message))
    }
}

fn mapped(broker: &Broker) -> ServiceBus {
    transport(broker).mapper("legacy", Legacy)
}

#[tokio::test]
async fn a_mapper_reads_what_a_program_in_python_has_made_up() {
    let (broker, journal) = (broker(settings()).await, Journal::default());
    let app = receiver_by(mapped(&broker), &journal);
    let app = app.listen(format!("{ADDRESS}?mapper=legacy")).start().await.unwrap();
    // The first of them twice, under one id.
    python("send-legacy", &broker).await;
    let letter = letter(&app).await;
    assert_eq!(letter.reason, DeadLetterReason::Undecodable);
    assert!(letter.error_message.contains("a note is `number;text`"), "{}", letter.error_message);
    assert_eq!(&*letter.body, b"nine");
    until(&broker, QUEUE, |counts| counts.completed == 4).await;
    app.until_idle().await.unwrap();
    assert_eq!(journal.sorted(), ["7 teapot", "8 kettle"]);
    app.stop().await.unwrap();
}

#[tokio::test]
async fn a_mapper_writes_what_a_program_in_python_reads() {
    let broker = broker(settings()).await;
    let sender = sender_by(mapped(&broker), &format!("{ADDRESS}?mapper=legacy"));
    let sender = sender.start().await.unwrap();
    sender.bus().send(note("7 teapot")).await.unwrap();
    assert_eq!(python("receive", &broker).await, "legacy text/legacy 7;teapot no colour\n");
    sender.stop().await.unwrap();
}
