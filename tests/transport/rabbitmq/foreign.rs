//! Programs that know nothing of jasper, in both directions.

use jasper::envelope::Envelope;
use jasper::store::DeadLetterReason;
use lapin::BasicProperties;
use lapin::types::{AMQPValue, FieldTable};
use tests::Journal;
use tests::servers::rabbitmq_url;

use crate::bench::{Client, letter, note, receiver, sender, unique};

#[tokio::test]
async fn a_foreign_message_is_handled_by_its_type_with_and_without_a_version() {
    let (url, queue, journal) = (rabbitmq_url(), unique("foreign"), Journal::default());
    let app = receiver(&url, &journal).listen(format!("rabbitmq://queue/{queue}"));
    let app = app.start().await.unwrap();
    let client = Client::connect(&url).await;
    for (kind, text) in [("rabbit.note@1", "versioned"), ("rabbit.note", "plain")] {
        let properties = BasicProperties::default()
            .with_type(kind.into())
            .with_content_type("application/json".into());
        client.publish(&queue, &format!(r#"{{"text":"{text}"}}"#), properties).await;
        journal.wait_for(text).await;
    }
    app.stop().await.unwrap();
}

#[tokio::test]
async fn a_message_without_a_type_is_what_its_listener_assumes() {
    let (url, queue, journal) = (rabbitmq_url(), unique("assumed"), Journal::default());
    let address = format!("rabbitmq://queue/{queue}?type=rabbit.note@1");
    let app = receiver(&url, &journal).listen(address).start().await.unwrap();
    let client = Client::connect(&url).await;
    client.publish(&queue, r#"{"text":"bare"}"#, BasicProperties::default()).await;
    journal.wait_for("bare").await;
    app.stop().await.unwrap();
}

#[tokio::test]
async fn a_message_that_says_no_type_is_kept_with_its_bytes_and_others_go_on() {
    let (url, queue, journal) = (rabbitmq_url(), unique("untyped"), Journal::default());
    let app = receiver(&url, &journal).listen(format!("rabbitmq://queue/{queue}"));
    let app = app.start().await.unwrap();
    let client = Client::connect(&url).await;
    client.publish(&queue, "no type", BasicProperties::default()).await;
    let properties = BasicProperties::default().with_type("rabbit.note".into());
    client.publish(&queue, r#"{"text":"typed"}"#, properties).await;
    journal.wait_for("typed").await;
    let letter = letter(&app).await;
    assert_eq!(letter.reason, DeadLetterReason::Undecodable);
    assert_eq!(&letter.body[..], b"no type");
    app.stop().await.unwrap();
}

#[tokio::test]
async fn a_repeat_of_a_foreign_message_is_known_by_its_id() {
    let (url, queue, journal) = (rabbitmq_url(), unique("repeat"), Journal::default());
    let app = receiver(&url, &journal).listen(format!("rabbitmq://queue/{queue}"));
    let app = app.start().await.unwrap();
    let client = Client::connect(&url).await;
    let properties = BasicProperties::default().with_type("rabbit.note".into());
    let numbered = properties.clone().with_message_id("order 7".into());
    for _ in 0..3 {
        client.publish(&queue, r#"{"text":"once"}"#, numbered.clone()).await;
    }
    client.publish(&queue, r#"{"text":"last"}"#, properties).await;
    journal.wait_for("last").await;
    app.until_idle().await.unwrap();
    assert_eq!(journal.sorted(), ["last", "once"]);
    app.stop().await.unwrap();
}

#[tokio::test]
async fn a_foreign_program_reads_the_payload_and_the_properties() {
    let (url, queue) = (rabbitmq_url(), unique("read"));
    let app = sender(&url, &format!("rabbitmq://queue/{queue}")).start().await.unwrap();
    let options = jasper::DeliveryOptions::new().header("colour", "blau").correlation("request 7");
    app.bus().send(note("for others")).with(options).await.unwrap();
    let got = Client::connect(&url).await.get(&queue).await;
    assert_eq!(got.data, br#"{"text":"for others"}"#);
    let properties = &got.properties;
    let text = |property: &Option<lapin::types::ShortString>| {
        property.as_ref().map(ToString::to_string).unwrap_or_default()
    };
    assert_eq!(text(properties.kind()), "rabbit.note@1");
    assert_eq!(text(properties.content_type()), "application/json");
    assert_eq!(text(properties.correlation_id()), "request 7");
    assert_eq!(text(properties.app_id()), "sender");
    assert_eq!(*properties.delivery_mode(), Some(2));
    let headers = properties.headers().as_ref().unwrap().inner();
    assert_eq!(headers.get("colour"), Some(&AMQPValue::LongString("blau".into())));
    app.stop().await.unwrap();
}

const FOLDER: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/transport/rabbitmq");

/// What the program in Python prints.
pub(crate) async fn pika(what: &str, url: &str, queue: &str) -> String {
    // Debian's own, which has the package.
    foreign("/usr/bin/python3", "foreign.py", [what, url, queue]).await
}

/// What the program in JavaScript prints.
async fn amqplib(what: &str, url: &str, queue: &str) -> String {
    let library = std::path::Path::new(FOLDER).join("node/node_modules/amqplib");
    assert!(library.exists(), "run `tests/run`, or `npm ci` in {FOLDER}/node");
    foreign("node", "node/foreign.js", [what, url, queue]).await
}

async fn foreign(language: &str, program: &str, arguments: [&str; 3]) -> String {
    let mut command = tokio::process::Command::new(language);
    command.arg(format!("{FOLDER}/{program}")).args(arguments).kill_on_drop(true);
    let output = tokio::time::timeout(std::time::Duration::from_secs(60), command.output());
    let output = output.await.expect("it ends in time").unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{said}");
    String::from_utf8(output.stdout).unwrap()
}

/// A program of this language and with this client sends two messages to a listener, and reads what
/// an endpoint sends.
async fn sends_and_receives(
    language: &str,
    client: &str,
    run: impl AsyncFn(&str, &str, &str) -> String,
) {
    let (url, queue, journal) = (rabbitmq_url(), unique(language), Journal::default());
    let app = receiver(&url, &journal).listen(format!("rabbitmq://queue/{queue}"));
    let app = app.start().await.unwrap();
    run("send", &url, &queue).await;
    journal.wait_for_number(2).await;
    assert_eq!(journal.sorted(), [&*format!("from {client}"), "without a version"]);
    app.stop().await.unwrap();
    let back = unique(&format!("to-{language}"));
    let app = sender(&url, &format!("rabbitmq://queue/{back}")).start().await.unwrap();
    let colour = jasper::DeliveryOptions::new().header("colour", "grün");
    app.bus().send(note("from jasper")).with(colour).await.unwrap();
    let printed = run("receive", &url, &back).await;
    assert_eq!(printed, "rabbit.note@1 application/json from jasper\ngrün sender 2\n");
    app.stop().await.unwrap();
}

#[tokio::test]
async fn a_program_in_python_sends_and_receives() {
    sends_and_receives("python", "pika", pika).await;
}

#[tokio::test]
async fn a_program_in_javascript_sends_and_receives() {
    sends_and_receives("node", "amqplib", amqplib).await;
}

#[tokio::test]
async fn loose_headers_of_a_foreign_message_are_there_when_it_is_handled() {
    let (url, queue, journal) = (rabbitmq_url(), unique("headers"), Journal::default());
    let app = receiver(&url, &journal).listen(format!("rabbitmq://queue/{queue}"));
    let app = app.start().await.unwrap();
    let mut headers = FieldTable::default();
    headers.insert("number".into(), AMQPValue::LongInt(7));
    headers.insert("tenant".into(), AMQPValue::LongString("eu".into()));
    let properties = BasicProperties::default().with_type("rabbit.note".into());
    let client = Client::connect(&url).await;
    // Mangled, so that it is kept as it came.
    client.publish(&queue, "{}", properties.with_headers(headers)).await;
    let envelope = Envelope::from_bytes(&letter(&app).await.body).unwrap();
    assert_eq!(envelope.headers.get("number"), Some("7"));
    assert_eq!(envelope.headers.get("tenant"), Some("eu"));
    app.stop().await.unwrap();
}
