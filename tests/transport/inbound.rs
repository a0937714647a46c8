//! What the runtime does with what a transport brings.

use std::sync::Arc;
use std::time::Duration;

use jasper::envelope::{Address, Envelope};
use jasper::message::{Message, MessageType};
use jasper::prelude::*;
use jasper::runtime::Builder;
use jasper::store::DeadLetterQuery;
use jasper::store::memory::MemoryStore;
use jasper::store::sqlite::SqliteStore;
use jasper::transport::{Guarantee, Receipt, Received, ReceivedRequest};
use serde::{Deserialize, Serialize};
use tempfile::TempDir;
use tests::log::Log;
use tests::{Hand, Journal};
use tokio::sync::Semaphore;
use tokio::time::Instant;

#[derive(Command, Serialize, Deserialize)]
#[command(name = "inbound.slow")]
struct Slow;

#[derive(Command, Serialize, Deserialize)]
#[command(name = "inbound.stuck")]
struct Stuck;

#[derive(Command, Serialize, Deserialize)]
#[command(name = "inbound.pay", to = "payments", reply = String)]
struct Pay;

/// What handlers wait for.
#[derive(Clone)]
struct Gate(Arc<Semaphore>);

#[handler(queue = "slow")]
async fn slow(_: Slow, gate: State<Gate>) {
    gate.0.acquire().await.unwrap().forget();
}

#[handler(queue = "stuck")]
async fn stuck(_: Stuck, gate: State<Gate>) {
    gate.0.acquire().await.unwrap().forget();
}

#[handler(queue = "payments")]
async fn pay(_: Pay, envelope: Envelope, journal: State<Journal>) -> Reply<String> {
    let (source, peer) = (envelope.source.as_deref(), envelope.peer());
    journal.note(format!("{} as {}", source.unwrap_or("none"), peer.unwrap_or("none")));
    Reply(peer.unwrap_or_default().to_owned())
}

#[derive(Command, Serialize, Deserialize)]
#[command(name = "inbound.turn")]
struct Turn;

/// Keeps its queue busy by itself, until a payment has gone through the same queue.
#[handler(queue = "payments")]
async fn turn(turn: Turn, journal: State<Journal>) -> Option<Turn> {
    journal.notes().is_empty().then_some(turn)
}

fn envelope(message_type: MessageType) -> Envelope {
    let address = Address::local("any", "any");
    Envelope::new(message_type, "application/json", b"null".as_slice().into(), address)
}

fn received(envelopes: Vec<Envelope>) -> Received {
    let envelopes = envelopes.into_iter().map(Ok).collect();
    Received { peer: None, guarantee: Guarantee::InMemory, envelopes }
}

struct Shop {
    hand: Hand,
    gate: Gate,
    journal: Journal,
    app: Jasper,
}

impl Shop {
    /// Queues have room for one message in work and one that waits.
    async fn open(address: &str) -> Self {
        let (hand, gate) = (Hand::default(), Gate(Arc::new(Semaphore::new(0))));
        let journal = Journal::default();
        let narrow = || QueueOptions::new().capacity(1).concurrency(1);
        let app = Jasper::builder()
            .store(MemoryStore::new())
            .transport(hand.clone())
            .state(gate.clone())
            .state(journal.clone())
            .handler(slow)
            .handler(stuck)
            .handler(pay)
            .queue("slow", narrow())
            .queue("stuck", narrow())
            .endpoint("payments", "local://payments")
            .listen(address)
            .start()
            .await
            .unwrap();
        Self { hand, gate, journal, app }
    }

    async fn receive(&self, envelopes: Vec<Envelope>) -> Vec<Receipt> {
        self.hand.receiver().receive(received(envelopes)).await
    }

    async fn close(self) {
        self.gate.0.add_permits(1_000);
        self.app.until_idle().await.unwrap();
        self.app.stop().await.unwrap();
    }
}

fn is_deferred(receipt: &Receipt) -> bool {
    matches!(receipt, Receipt::Deferred { why } if why.contains("the queue is full"))
}

#[tokio::test(start_paused = true)]
async fn a_full_queue_keeps_a_batch_waiting_once_and_not_for_each_envelope() {
    let shop = Shop::open("memory-hand://here").await;
    let started = Instant::now();
    let receipts = shop.receive((0..40).map(|_| envelope(Slow::TYPE)).collect()).await;
    assert!(started.elapsed() < Duration::from_secs(6), "{:?}", started.elapsed());
    assert_eq!(receipts[0], Receipt::Accepted);
    assert!(receipts[2..].iter().all(is_deferred), "{receipts:?}");
    shop.close().await;
}

#[tokio::test(start_paused = true)]
async fn two_full_queues_keep_a_batch_waiting_once() {
    let shop = Shop::open("memory-hand://here").await;
    let both = [Slow::TYPE, Stuck::TYPE];
    let started = Instant::now();
    let receipts = shop.receive((0..40).map(|n| envelope(both[n % 2].clone())).collect()).await;
    assert!(started.elapsed() < Duration::from_secs(6), "{:?}", started.elapsed());
    assert!(receipts[4..].iter().all(is_deferred), "{receipts:?}");
    shop.close().await;
}

#[tokio::test(start_paused = true)]
async fn what_is_for_another_queue_is_taken_behind_what_is_for_a_full_one() {
    let shop = Shop::open("memory-hand://here").await;
    let mut envelopes: Vec<_> = (0..40).map(|_| envelope(Slow::TYPE)).collect();
    envelopes.push(envelope(Pay::TYPE));
    let started = Instant::now();
    let receipts = shop.receive(envelopes).await;
    assert!(started.elapsed() < Duration::from_secs(6), "{:?}", started.elapsed());
    assert_eq!(receipts[40], Receipt::Accepted);
    shop.close().await;
}

#[tokio::test]
async fn a_handler_sees_who_has_proved_to_have_sent_a_message_and_who_only_says_so() {
    for address in ["hand://here", "memory-hand://here"] {
        let shop = Shop::open(address).await;
        let mut claims = envelope(Pay::TYPE);
        claims.source = Some("billing".to_owned());
        let batch = Received { peer: Some("shop".into()), ..received(vec![claims.clone()]) };
        assert_eq!(shop.hand.receiver().receive(batch).await, [Receipt::Accepted]);
        shop.app.until_idle().await.unwrap();
        claims.id = envelope(Pay::TYPE).id;
        // The same from a listener that asks for no proof.
        let stored = shop.receive(vec![claims.clone()]).await;
        assert_eq!(stored, [Receipt::Accepted]);
        shop.app.until_idle().await.unwrap();
        let timeout = Duration::from_secs(5);
        let request = ReceivedRequest { peer: Some("desk".into()), envelope: claims, timeout };
        let reply = shop.hand.receiver().answer(request).await.unwrap();
        assert_eq!(reply.payload.as_ref(), br#""desk""#);
        let notes = shop.journal.sorted();
        assert_eq!(notes, ["billing as desk", "billing as none", "billing as shop"]);
        shop.close().await;
    }
}

#[tokio::test]
async fn a_request_gets_its_turn_in_a_queue_that_never_runs_empty() {
    let (hand, journal) = (Hand::default(), Journal::default());
    let app = Jasper::builder()
        .transport(hand.clone())
        .state(journal.clone())
        .handler(pay)
        .handler(turn)
        .queue("payments", QueueOptions::new().concurrency(1))
        .endpoint("payments", "local://payments")
        .listen("memory-hand://here");
    let app = app.start().await.unwrap();
    app.bus().send(Turn).await.unwrap();
    let timeout = Duration::from_secs(30);
    let request = ReceivedRequest { peer: None, envelope: envelope(Pay::TYPE), timeout };
    hand.receiver().answer(request).await.unwrap();
    app.until_idle().await.unwrap();
    assert_eq!(journal.notes(), ["none as none"]);
    app.stop().await.unwrap();
}

#[tokio::test]
async fn what_a_sender_writes_into_the_field_of_the_receiver_is_not_taken() {
    let shop = Shop::open("hand://here").await;
    let mut bytes = envelope(Pay::TYPE).to_bytes().to_vec();
    // The version, then the field 22, a text, and then the other fields.
    bytes.splice(1..1, [[22, 0, 0, 0, 5].as_slice(), b"admin"].concat());
    let forged = Envelope::from_bytes(&bytes.into()).unwrap();
    assert_eq!(shop.receive(vec![forged]).await, [Receipt::Accepted]);
    shop.app.until_idle().await.unwrap();
    assert_eq!(shop.journal.sorted(), ["none as none"]);
    shop.close().await;
}

#[tokio::test]
async fn a_message_that_has_expired_when_it_comes_is_a_line_in_the_log() {
    let log = Log::default();
    let _guard = tracing::subscriber::set_default(log.subscriber(tracing::Level::INFO));
    let shop = Shop::open("hand://here").await;
    let mut late = envelope(Slow::TYPE);
    late.deliver_by = Some(late.sent_at - Duration::from_secs(1));
    assert_eq!(shop.receive(vec![late.clone()]).await, [Receipt::Accepted]);
    let line = format!("message_id={}", late.id);
    assert!(log.text().lines().any(|said| said.contains("had expired") && said.contains(&line)));
    shop.close().await;
}

#[derive(Event, Serialize, Deserialize)]
#[event(name = "inbound.failing")]
struct Failing;

#[handler(attempts = 2)]
async fn fail(_: Failing, journal: State<Journal>) -> Result<(), Refusal> {
    journal.note("failed");
    Err(Refusal)
}

#[handler]
async fn take_beside(_: Failing, journal: State<Journal>) {
    journal.note("taken");
}

#[derive(Debug, thiserror::Error)]
#[error("no such customer")]
struct Refusal;

/// An application that takes each message until the end of its handlers.
fn inline(hand: &Hand, journal: &Journal) -> Builder {
    let builder = Jasper::builder().transport(hand.clone()).state(journal.clone());
    builder.handler(fail).handler(take_beside).listen("memory-hand://here?mode=inline")
}

#[tokio::test]
async fn without_a_store_an_inline_listener_refuses_what_a_handler_gives_up() {
    let (hand, journal) = (Hand::default(), Journal::default());
    let app = inline(&hand, &journal).start().await.unwrap();
    let mut invalid = envelope(Failing::TYPE);
    invalid.payload = b"{".as_slice().into();
    let batch = received(vec![envelope(Failing::TYPE), invalid]);
    let receipts = hand.receiver().receive(batch).await;
    let why = |receipt: &Receipt| match receipt {
        Receipt::Refused { why } => why.to_string(),
        other => panic!("{other:?}"),
    };
    assert_eq!(why(&receipts[0]), "the handler gave it up (exhausted): no such customer");
    assert!(why(&receipts[1]).contains("(undecodable)"), "{receipts:?}");
    // What one handler does not take, another one has taken.
    assert_eq!(journal.sorted(), ["failed", "failed", "taken"]);
    app.stop().await.unwrap();
}

#[tokio::test]
async fn with_a_store_an_inline_listener_has_what_a_handler_gives_up_as_a_dead_letter() {
    let (hand, journal, store) = (Hand::default(), Journal::default(), MemoryStore::new());
    let app = inline(&hand, &journal).store(store).start().await.unwrap();
    let batch = received(vec![envelope(Failing::TYPE)]);
    assert_eq!(hand.receiver().receive(batch).await, [Receipt::Accepted]);
    let letters = app.store().unwrap().dead_letters();
    let letters = letters.list(DeadLetterQuery::default()).await.unwrap();
    assert_eq!(letters.len(), 1);
    assert_eq!(letters[0].error_message, "no such customer");
    app.stop().await.unwrap();
}

#[tokio::test]
async fn what_is_given_up_and_cannot_be_stored_before_the_stop_is_for_the_sender_to_send_again() {
    let (hand, journal, folder) = (Hand::default(), Journal::default(), TempDir::new().unwrap());
    let store = SqliteStore::open(folder.path().join("test.db")).await.unwrap();
    let pool = store.pool().clone();
    let app = inline(&hand, &journal).store(store).start().await.unwrap();
    sqlx::query("drop table jasper_dead_letters").execute(&pool).await.unwrap();
    let receiver = hand.receiver();
    let batch = received(vec![envelope(Failing::TYPE)]);
    let receiving = tokio::spawn(async move { receiver.receive(batch).await });
    journal.wait_for_number(3).await;
    app.stop().await.unwrap();
    let receipts = receiving.await.unwrap();
    assert!(matches!(receipts[0], Receipt::Deferred { .. }), "{receipts:?}");
}
