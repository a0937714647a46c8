//! A receiver that does what the messages say, and the two ends of a connection.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;
use futures_util::future::BoxFuture;
use jasper::envelope::Envelope;
use jasper::message::MessageType;
use jasper::transport::tcp::Tcp;
use jasper::transport::{
    Answer, Batch, FailureKind, Guarantee, Listener, Receipt, Received, ReceivedRequest, Receiver,
    RemoteFailure, RemoteReply, Request, Sender, Transport, TransportError,
};
use tokio::sync::watch;

/// How long a test waits for what has to happen.
pub const PATIENCE: Duration = Duration::from_secs(20);

/// What the receiver was given, in order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Seen {
    pub peer: Option<String>,
    pub guarantee: Option<Guarantee>,
    /// The payload of the envelope, or the bytes in its place.
    pub payload: Result<Bytes, Bytes>,
}

/// A receiver. The type of a message says what becomes of it: `take`, `later`, `never`, `wait` (for
/// the gate), `panic`; as a request also `fail` and `large`.
#[derive(Debug)]
pub struct TestReceiver {
    seen: Mutex<Vec<Seen>>,
    batches: Mutex<Vec<usize>>,
    count: watch::Sender<usize>,
    gate: watch::Sender<bool>,
}

impl TestReceiver {
    pub fn new() -> Arc<Self> {
        Arc::new(Self {
            seen: Mutex::default(),
            batches: Mutex::default(),
            count: watch::Sender::new(0),
            gate: watch::Sender::new(false),
        })
    }

    /// Lets everything go on that waits, and everything that will.
    pub fn open_gate(&self) {
        self.gate.send_replace(true);
    }

    pub fn seen(&self) -> Vec<Seen> {
        self.seen.lock().unwrap().clone()
    }

    pub fn payloads(&self) -> Vec<Bytes> {
        self.seen().into_iter().map(|seen| seen.payload.unwrap()).collect()
    }

    /// How many envelopes each batch had.
    pub fn batches(&self) -> Vec<usize> {
        self.batches.lock().unwrap().clone()
    }

    /// Waits until this many envelopes have come.
    pub async fn wait_for(&self, count: usize) {
        let mut counts = self.count.subscribe();
        within(counts.wait_for(|now| *now >= count)).await.unwrap();
    }

    fn note(&self, seen: Seen) {
        let mut all = self.seen.lock().unwrap();
        all.push(seen);
        self.count.send_replace(all.len());
    }

    async fn pass_gate(&self) {
        self.gate.subscribe().wait_for(|is_open| *is_open).await.unwrap();
    }

    async fn take(&self, received: Received) -> Vec<Receipt> {
        self.batches.lock().unwrap().push(received.envelopes.len());
        let mut receipts = Vec::new();
        for envelope in received.envelopes {
            let (name, payload) = match envelope {
                Ok(envelope) => (envelope.message_type.name().to_owned(), Ok(envelope.payload)),
                Err(unreadable) => ("take".to_owned(), Err(unreadable.bytes)),
            };
            let (peer, guarantee) = (received.peer.as_deref(), Some(received.guarantee));
            self.note(Seen { peer: peer.map(str::to_owned), guarantee, payload });
            receipts.push(match name.as_str() {
                "later" => Receipt::deferred("come again"),
                "never" => Receipt::refused("go away"),
                "panic" => panic!("as the message says"),
                "wait" => {
                    self.pass_gate().await;
                    Receipt::Accepted
                }
                _ => Receipt::Accepted,
            });
        }
        receipts
    }

    async fn reply(&self, request: ReceivedRequest) -> Answer {
        let payload = request.envelope.payload;
        let peer = request.peer.as_deref().map(str::to_owned);
        self.note(Seen { peer, guarantee: None, payload: Ok(payload.clone()) });
        let payload = match request.envelope.message_type.name() {
            "fail" => return Err(RemoteFailure::new(FailureKind::Failed, "out of stock")),
            "panic" => panic!("as the message says"),
            "large" => Bytes::from(vec![0; 5 << 20]),
            "wait" => {
                self.pass_gate().await;
                payload
            }
            _ => payload,
        };
        Ok(RemoteReply { content_type: "text/plain".into(), payload })
    }
}

impl Receiver for TestReceiver {
    fn receive(&self, received: Received) -> BoxFuture<'_, Vec<Receipt>> {
        Box::pin(self.take(received))
    }

    fn answer(&self, request: ReceivedRequest) -> BoxFuture<'_, Answer> {
        Box::pin(self.reply(request))
    }
}

/// A message that says what becomes of it.
pub fn envelope(name: &'static str, payload: impl Into<Bytes>) -> Envelope {
    let destination = "local://orders".parse().unwrap();
    Envelope::new(MessageType::new(name, 1), "text/plain", payload.into(), destination)
}

pub fn batch(envelopes: Vec<Envelope>) -> Batch {
    let envelopes = envelopes.into_iter().map(Arc::new).collect();
    Batch { envelopes, guarantee: Guarantee::Stored }
}

pub fn request(name: &'static str, payload: impl Into<Bytes>, timeout: Duration) -> Request {
    Request { envelope: envelope(name, payload), timeout }
}

pub async fn listen(tcp: &Tcp, receiver: &Arc<TestReceiver>) -> Box<dyn Listener> {
    listen_at(tcp, receiver, "tcp://127.0.0.1:0").await
}

pub async fn listen_at(
    tcp: &Tcp,
    receiver: &Arc<TestReceiver>,
    address: &str,
) -> Box<dyn Listener> {
    tcp.listen(address.parse().unwrap(), Arc::clone(receiver) as _).await.unwrap()
}

pub fn sender_to(tcp: &Tcp, listener: &dyn Listener) -> Arc<dyn Sender> {
    tcp.sender(&listener.address().as_str().parse().unwrap()).unwrap()
}

/// A listener with its receiver, and the way there from another process.
pub async fn pair(
    server: Tcp,
    client: &Tcp,
) -> (Arc<TestReceiver>, Box<dyn Listener>, Arc<dyn Sender>) {
    let receiver = TestReceiver::new();
    let listener = listen(&server, &receiver).await;
    let sender = sender_to(client, &*listener);
    (receiver, listener, sender)
}

pub async fn send(
    sender: &Arc<dyn Sender>,
    envelopes: Vec<Envelope>,
) -> Result<Vec<Receipt>, TransportError> {
    within(sender.send(batch(envelopes))).await
}

/// What happens in time.
///
/// # Panics
/// It does not.
pub async fn within<T>(happening: impl Future<Output = T>) -> T {
    tokio::time::timeout(PATIENCE, happening).await.expect("it happens in time")
}
