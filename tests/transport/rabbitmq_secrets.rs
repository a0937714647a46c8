//! Neither a password nor a payload is in a log, whatever comes back from the broker.

use std::time::Duration;

use jasper::prelude::*;
use jasper::store::DeadLetterQuery;
use jasper::store::memory::MemoryStore;
use jasper::transport::Transport;
use jasper::transport::rabbitmq::RabbitMq;
use serde::{Deserialize, Serialize};
use tests::log::Log;
use tests::servers::rabbitmq_url;
use tracing::Level;

#[derive(Command, Serialize, Deserialize)]
#[command(name = "secrets.tell", to = "nowhere")]
struct Tell {
    text: String,
}

#[tokio::test]
async fn what_comes_back_unroutable_is_not_in_the_log() {
    let log = Log::default();
    tracing::subscriber::set_global_default(log.subscriber(Level::DEBUG)).unwrap();
    let url = rabbitmq_url();
    let transport = RabbitMq::at(url);
    let uri = "rabbitmq://queue/secrets".parse().unwrap();
    drop(transport.sender(&uri).unwrap());
    assert!(!format!("{transport:?}").contains("guest"), "{transport:?}");
    let app = Jasper::builder()
        .store(MemoryStore::new())
        .transport(transport)
        .endpoint("nowhere", "rabbitmq://exchange/amq.topic/nobody")
        .start()
        .await
        .unwrap();
    app.bus().send(Tell { text: "canary".into() }).await.unwrap();
    let letters = app.store().unwrap().dead_letters();
    while letters.list(DeadLetterQuery::default()).await.unwrap().is_empty() {
        // Real time: a dead letter gives no word.
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    app.stop().await.unwrap();
    let log = log.text();
    assert!(log.contains("NO_ROUTE"), "the log is looked at: {log}");
    let as_numbers = "99, 97, 110, 97, 114, 121";
    for secret in ["canary", as_numbers, "guest:guest"] {
        assert!(!log.contains(secret), "{secret}: {log}");
    }
}
