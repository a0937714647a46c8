//! Neither a key, nor a token, nor a payload is in a log, whatever the broker says.

use std::time::Duration;

use jasper::prelude::*;
use jasper::store::DeadLetterQuery;
use jasper::store::memory::MemoryStore;
use jasper::testing::servicebus::{Broker, EntitySettings};
use jasper::transport::Transport;
use jasper::transport::servicebus::ServiceBus;
use serde::{Deserialize, Serialize};
use tests::log::Log;
use tracing::Level;

#[derive(Command, Serialize, Deserialize)]
#[command(name = "secrets.keep", to = "nowhere")]
struct Keep {
    text: String,
}

#[tokio::test]
async fn what_the_broker_refuses_is_not_in_the_log() {
    let log = Log::default();
    tracing::subscriber::set_global_default(log.subscriber(Level::TRACE)).unwrap();
    let broker = Broker::builder().key("root", "c2VjcmV0LWtleQ==").start().await.unwrap();
    broker.create_queue("orders", EntitySettings::new()).unwrap();
    let transport = ServiceBus::at(broker.connection_string());
    let uri = "asb://queue/secrets".parse().unwrap();
    drop(transport.sender(&uri).unwrap());
    assert!(!format!("{transport:?}").contains("c2Vjc"), "{transport:?}");
    let app = Jasper::builder()
        .store(MemoryStore::new())
        .transport(transport)
        .endpoint("nowhere", "asb://queue/nothing-is-called-so")
        .listen("asb://queue/orders")
        .start()
        .await
        .unwrap();
    app.bus().send(Keep { text: "canary".into() }).await.unwrap();
    let letters = app.store().unwrap().dead_letters();
    while letters.list(DeadLetterQuery::default()).await.unwrap().is_empty() {
        // Real time: a dead letter gives no word.
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    app.stop().await.unwrap();
    let log = log.text();
    assert!(log.contains("there is no queue"), "the log is looked at: {log}");
    let as_numbers = "99, 97, 110, 97, 114, 121";
    for secret in ["canary", as_numbers, "c2Vjc", "SharedAccessSignature", "sig="] {
        assert!(!log.contains(secret), "{secret}: {log}");
    }
}
