//! Neither a password nor a payload is in a log, whatever comes back from the broker.

use std::io;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use jasper::prelude::*;
use jasper::store::DeadLetterQuery;
use jasper::store::memory::MemoryStore;
use jasper::transport::Transport;
use jasper::transport::rabbitmq::RabbitMq;
use serde::{Deserialize, Serialize};
use tests::servers::rabbitmq_url;
use tracing::Level;

#[derive(Command, Serialize, Deserialize)]
#[command(name = "secrets.tell", to = "nowhere")]
struct Tell {
    text: String,
}

#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<u8>>>);

impl io::Write for Log {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[tokio::test]
async fn what_comes_back_unroutable_is_not_in_the_log() {
    let log = Log::default();
    let to_log = log.clone();
    let subscriber = tracing_subscriber::fmt().with_writer(move || to_log.clone());
    let subscriber = subscriber.with_max_level(Level::DEBUG).with_ansi(false).finish();
    tracing::subscriber::set_global_default(subscriber).unwrap();
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
    let log = String::from_utf8(log.0.lock().unwrap().clone()).unwrap();
    assert!(log.contains("NO_ROUTE"), "the log is looked at: {log}");
    let as_numbers = "99, 97, 110, 97, 114, 121";
    for secret in ["canary", as_numbers, "guest:guest"] {
        assert!(!log.contains(secret), "{secret}: {log}");
    }
}
