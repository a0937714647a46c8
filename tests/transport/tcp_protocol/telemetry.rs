//! What the transport reports of its connections.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

use jasper::message::MessageType;
use jasper::telemetry::{CONNECTIONS, CONNECTIONS_REJECTED};
use jasper::transport::tcp::{Peer, SharedKey, Tcp};
use metrics::{
    Counter, CounterFn, Gauge, GaugeFn, Histogram, Key, KeyName, Metadata, Recorder, SharedString,
    Unit,
};

use crate::raw::Raw;
use crate::receiver::{TestReceiver, envelope, listen, send, sender_to};

/// Counts under `name value`, where `value` is that of the only label.
#[derive(Debug, Clone, Default)]
struct Counts(Arc<Mutex<BTreeMap<String, Arc<Count>>>>);

#[derive(Debug, Default)]
struct Count(AtomicU64);

impl CounterFn for Count {
    fn increment(&self, value: u64) {
        self.0.fetch_add(value, Ordering::Relaxed);
    }

    fn absolute(&self, value: u64) {
        self.0.store(value, Ordering::Relaxed);
    }
}

impl GaugeFn for Count {
    fn increment(&self, value: f64) {
        self.0.fetch_add(value as u64, Ordering::Relaxed);
    }

    fn decrement(&self, value: f64) {
        self.0.fetch_sub(value as u64, Ordering::Relaxed);
    }

    fn set(&self, value: f64) {
        self.0.store(value as u64, Ordering::Relaxed);
    }
}

impl Counts {
    fn at(&self, key: &Key) -> Arc<Count> {
        let label = key.labels().next().map_or("", |label| label.value());
        self.named(key.name(), label)
    }

    fn named(&self, name: &str, label: &str) -> Arc<Count> {
        self.0.lock().unwrap().entry(format!("{name} {label}")).or_default().clone()
    }

    fn of(&self, name: &str, label: &str) -> u64 {
        self.named(name, label).0.load(Ordering::Relaxed)
    }
}

impl Recorder for Counts {
    fn describe_counter(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}
    fn describe_gauge(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}
    fn describe_histogram(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}

    fn register_counter(&self, key: &Key, _: &Metadata<'_>) -> Counter {
        Counter::from_arc(self.at(key))
    }

    fn register_gauge(&self, key: &Key, _: &Metadata<'_>) -> Gauge {
        Gauge::from_arc(self.at(key))
    }

    fn register_histogram(&self, _: &Key, _: &Metadata<'_>) -> Histogram {
        Histogram::noop()
    }
}

/// On one thread, and with a recorder for it alone, so that tests beside it do not count.
#[test]
fn connections_and_what_was_refused_are_counted() {
    let counts = Counts::default();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    metrics::with_local_recorder(&counts, || runtime.block_on(connect_and_offend(&counts)));
}

async fn connect_and_offend(counts: &Counts) {
    let key = |byte| SharedKey::new("2026", [byte; 32]).unwrap();
    let peer = Peer::named("shop").key(key(1)).allow_type(MessageType::new("take", 1));
    let receiver = TestReceiver::new();
    let listener = listen(&Tcp::new().peer(peer), &receiver).await;

    let client = Tcp::new().identity(key(1));
    let sender = sender_to(&client, &*listener);
    send(&sender, vec![envelope("take", ""), envelope("never", "")]).await.unwrap();
    assert_eq!(counts.of(CONNECTIONS, "dialled"), 1);
    assert_eq!(counts.of(CONNECTIONS, "accepted"), 1);
    assert_eq!(counts.of(CONNECTIONS_REJECTED, "forbidden"), 1);

    let stranger = Tcp::new().identity(key(2));
    send(&sender_to(&stranger, &*listener), Vec::new()).await.unwrap_err();
    assert_eq!(counts.of(CONNECTIONS_REJECTED, "auth"), 1);
    let mut raw = Raw::connect(&*listener).await;
    raw.send(&[0xff; 8]).await;
    raw.last_words().await;
    assert_eq!(counts.of(CONNECTIONS_REJECTED, "frame_size"), 1);

    listener.stop().await;
    assert_eq!(counts.of(CONNECTIONS, "accepted"), 0);
    drop((client, sender));
    assert_eq!(counts.of(CONNECTIONS, "dialled"), 0);
}
