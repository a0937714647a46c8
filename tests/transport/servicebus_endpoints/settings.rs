//! Where the namespace is, and what is refused before anything is opened.

use futures_util::future::BoxFuture;
use jasper::prelude::*;
use jasper::store::memory::MemoryStore;
use jasper::testing::servicebus::Broker;
use jasper::transport::servicebus::{
    AccessToken, CredentialError, ServiceBus, Tls, TokenCredential,
};
use jasper::{Builder, Config};
use serde::{Deserialize, Serialize};
use tests::Journal;

use crate::bench::{ADDRESS, QUEUE, broker, note, receiver_by, sender, settings, transport};

#[derive(Event, Serialize, Deserialize)]
#[event(name = "asb.ignored")]
struct Ignored;

#[handler]
async fn nothing(_event: Ignored) {}

fn refusal(builder: Builder) -> String {
    builder.check().unwrap_err().to_string()
}

fn with(transport: ServiceBus, address: &str) -> Builder {
    let builder = Jasper::builder().handler(nothing).store(MemoryStore::new());
    builder.transport(transport).listen(address)
}

#[test]
fn a_namespace_that_is_not_configured_is_named_with_all_ways_to_do_it() {
    let said = refusal(with(ServiceBus::new(), "asb://queue/a?broker=billing"));
    for expected in ["JASPER_BROKER_SERVICEBUS_BILLING", "servicebus-billing = ", "`billing`"] {
        assert!(said.contains(expected), "{said}");
    }
}

#[test]
fn what_is_missing_or_not_safe_is_refused_without_the_key() {
    let key = "SharedAccessKeyName=root;SharedAccessKey=hidden";
    let cloud = || ServiceBus::at(format!("Endpoint=sb://shop.example/;{key}"));
    let emulator =
        || ServiceBus::at(format!("Endpoint=sb://10.1.2.3;UseDevelopmentEmulator=true;{key}"));
    for (transport, expected) in [
        (cloud(), "give the transport `.tls(…)`"),
        (cloud().tls(Tls::new()), "no roots"),
        (emulator(), "in the clear"),
        (ServiceBus::at("Endpoint=sb://shop.example/"), "`.credential(…)`"),
        (ServiceBus::at("hidden"), "it is not the address of a namespace"),
    ] {
        let shown = format!("{transport:?}");
        let said = refusal(with(transport, "asb://queue/a"));
        assert!(said.contains(expected), "{said}");
        assert!(!said.contains("hidden") && !shown.contains("hidden"), "{said} {shown}");
    }
    let allowed = with(emulator().allow_plaintext_beyond_loopback(), "asb://queue/a");
    assert!(allowed.check().is_ok());
}

#[tokio::test]
async fn a_file_says_where_the_namespaces_are_and_goes_before_the_builder() {
    let (broker, journal) = (broker(settings()).await, Journal::default());
    let file = format!("[brokers]\nservicebus = \"{}\"", broker.connection_string());
    let wrong = ServiceBus::at("Endpoint=sb://127.0.0.1:1;UseDevelopmentEmulator=true");
    let app = receiver_by(wrong, &journal).config(Config::from_toml(&file).unwrap());
    let app = app.listen(ADDRESS).start().await.unwrap();
    let sender = sender(&broker, ADDRESS).start().await.unwrap();
    sender.bus().send(note("found")).await.unwrap();
    journal.wait_for("found").await;
    sender.stop().await.unwrap();
    app.stop().await.unwrap();
}

#[tokio::test]
async fn a_wrong_key_is_a_problem_at_start_that_does_not_show_it() {
    let broker = broker(settings()).await;
    let (_, key) = broker.key();
    let wrong = broker.connection_string().replace(key, "d3Jvbmc=");
    let app = receiver_by(ServiceBus::at(wrong), &Journal::default());
    let error = app.listen(ADDRESS).start().await.unwrap_err().to_string();
    assert!(error.contains("InvalidSignature") && !error.contains("d3Jvbmc="), "{error}");
}

/// Gives tokens of the key of the broker, as Entra ID would give its own.
#[derive(Debug)]
struct Tokens(String);

impl TokenCredential for Tokens {
    fn token(&self) -> BoxFuture<'_, Result<AccessToken, CredentialError>> {
        Box::pin(async { Err(format!("no token of {}", self.0).into()) })
    }
}

#[tokio::test]
async fn a_credential_that_gives_no_token_is_a_problem_at_start_in_its_words() {
    let broker = Broker::start().await.unwrap();
    let bare = format!("Endpoint=sb://{};UseDevelopmentEmulator=true", broker.address());
    let transport = ServiceBus::at(bare).credential(Tokens("Entra".to_owned()));
    let app = receiver_by(transport, &Journal::default());
    let error = app.listen(ADDRESS).start().await.unwrap_err().to_string();
    assert!(error.contains("no token of Entra"), "{error}");
}

#[tokio::test]
async fn a_listener_to_a_queue_that_is_not_there_is_a_problem_at_start() {
    let broker = Broker::start().await.unwrap();
    let app = receiver_by(transport(&broker), &Journal::default());
    let error = app.listen(ADDRESS).start().await.unwrap_err().to_string();
    let expected = format!("the queue `{QUEUE}` is not there");
    assert!(error.contains(&expected), "{error}");
}
