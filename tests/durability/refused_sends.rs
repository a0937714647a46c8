//! What could not be read again is refused when it is sent, whichever way it would take.

use std::time::Duration;

use jasper::envelope::{Address, Excess, MAX_FIELD_BYTES, MAX_HEADER_BYTES, MAX_HEADERS};
use jasper::message::Message;
use jasper::prelude::*;
use jasper::store::{DeadLetterQuery, DeadLetterReason};
use jasper::transport::{Guarantee, Receipt, Received, ReceivedRequest};
use jasper::{InvokeError, SendError};
use serde::{Deserialize, Serialize};
use tests::{Fixture, Hand, Journal};

macro_rules! messages {
    ($($(#[$attribute:meta])* $name:ident)*) => {$(
        #[derive(Clone, Serialize, Deserialize)]
        $(#[$attribute])*
        struct $name {
            value: f64,
        }
    )*};
}

messages! {
    /// Waits in memory.
    #[derive(Command)] #[command(name = "refused.fleeting")] Fleeting
    /// Waits in the store.
    #[derive(Command)] #[command(name = "refused.lasting")] Lasting
    #[derive(Command)] #[command(name = "refused.buffered", to = "buffered")] Buffered
    #[derive(Command)] #[command(name = "refused.stored", to = "stored")] Stored
    #[derive(Command)] #[command(name = "refused.ask", to = "ask", reply = f64)] Ask
    #[derive(Event)] #[event(name = "refused.noted")] Noted
    /// Returns what cannot be sent.
    #[derive(Command)] #[command(name = "refused.return")] Return
    /// Returns options that cannot be sent.
    #[derive(Command)] #[command(name = "refused.return-with")] ReturnWith
    /// Sends in its transaction what cannot be sent.
    #[derive(Command)] #[command(name = "refused.enlist")] Enlist
}

#[handler]
async fn fleeting(_: Fleeting) {}

#[handler]
#[durable]
async fn lasting(_: Lasting) {}

#[handler]
async fn noted(_: Noted) {}

#[handler]
async fn ask(cmd: Ask) -> Reply<f64> {
    Reply(1.0 / cmd.value)
}

#[handler(attempts = 2, delays = [])]
#[durable]
async fn returns(_: Return) -> Lasting {
    Lasting { value: f64::NAN }
}

#[handler(attempts = 2, delays = [])]
#[durable]
async fn returns_with(_: ReturnWith) -> With<Lasting> {
    Lasting { value: 1.0 }.with(many_headers())
}

#[handler]
#[durable]
async fn enlists(_: Enlist, db: &mut sqlx::SqliteConnection, bus: Bus, journal: State<Journal>) {
    let _ = db;
    let nan = bus.send(Lasting { value: f64::NAN }).await;
    journal.note(nan.unwrap_err().to_string());
    let headers = bus.send(Lasting { value: 1.0 }).with(many_headers()).await;
    journal.note(headers.unwrap_err().to_string());
}

fn many_headers() -> DeliveryOptions {
    let names = (0..=MAX_HEADERS).map(|n| format!("header {n}"));
    names.fold(DeliveryOptions::new(), |options, name| options.header(name, "x"))
}

/// What no envelope holds, and words of what is said to it.
fn too_much() -> Vec<(DeliveryOptions, &'static str)> {
    let options = DeliveryOptions::new;
    let long = "x".repeat(MAX_FIELD_BYTES + 1);
    let large = "x".repeat(MAX_HEADER_BYTES);
    vec![
        (many_headers(), "it has 65 headers, and 64 is the most"),
        (options().header("", large), "headers take 16388 bytes, and 16384 is the most"),
        (options().correlation(long.as_str()), "its correlation id takes 1025 bytes"),
        (options().tenant(long.as_str()), "its tenant id takes 1025 bytes"),
        (options().group(long.as_str()), "its group id takes 1025 bytes"),
        (options().deduplicate(long.as_str()), "its deduplication key takes 1025 bytes"),
        (options().tenant("x".repeat(3 << 20)), "put what is longer into the message itself"),
    ]
}

/// As much as an envelope holds.
fn enough() -> DeliveryOptions {
    let long = "x".repeat(MAX_FIELD_BYTES);
    let options = DeliveryOptions::new()
        .correlation(long.as_str())
        .tenant(long.as_str())
        .group(long.as_str())
        .deduplicate(long.as_str());
    let names = (0..MAX_HEADERS).map(|n| format!("{n:02}"));
    let value = "x".repeat(MAX_HEADER_BYTES / MAX_HEADERS - 4 - 2);
    names.fold(options, |options, name| options.header(name, value.as_str()))
}

async fn start(fixture: &Fixture) -> Jasper {
    let app = Jasper::builder().store(fixture.store().await).state(fixture.journal.clone());
    // Nothing listens there.
    let app =
        app.endpoint("buffered", "tcp://127.0.0.1:1").endpoint("stored", "durable://127.0.0.1:1");
    let app = app
        .handler(fleeting)
        .handler(lasting)
        .handler(noted)
        .handler(ask)
        .handler(returns)
        .handler(returns_with)
        .handler(enlists);
    app.endpoint("ask", "local://ask").start().await.unwrap()
}

fn is_codecs(error: &SendError) -> bool {
    matches!(error, SendError::Encode { .. }) && error.to_string().contains("NaN")
}

#[tokio::test]
async fn a_message_that_its_codec_cannot_write_is_refused_on_every_way() {
    let fixture = Fixture::create();
    let app = start(&fixture).await;
    let (bus, value) = (app.bus(), f64::NAN);
    assert!(is_codecs(&bus.send(Fleeting { value }).await.unwrap_err()));
    assert!(is_codecs(&bus.send(Lasting { value }).await.unwrap_err()));
    assert!(is_codecs(&bus.send(Buffered { value }).await.unwrap_err()));
    assert!(is_codecs(&bus.send(Stored { value }).await.unwrap_err()));
    assert!(is_codecs(&bus.publish(Noted { value }).await.unwrap_err()));
    let all = bus.send_all([Lasting { value: 1.0 }, Lasting { value }]).await.unwrap_err();
    assert!(all.accepted == 0 && is_codecs(&all.source), "{all}");
    let InvokeError::Send(asked) = bus.invoke(Ask { value }).await.unwrap_err() else {
        panic!("it is sent");
    };
    assert!(is_codecs(&asked));
    let mut tx = fixture.store().await.pool().begin().await.unwrap();
    assert!(is_codecs(&bus.enlist(&mut tx).send(Lasting { value }).await.unwrap_err()));
    assert!(is_codecs(&bus.enlist(&mut tx).publish(Noted { value }).await.unwrap_err()));
    tx.commit().await.unwrap();
    assert_nothing_waits(&app).await;
    app.stop().await.unwrap();
}

#[tokio::test]
async fn a_message_with_more_beside_it_than_an_envelope_holds_is_refused_on_every_way() {
    let fixture = Fixture::create();
    let app = start(&fixture).await;
    let (bus, value) = (app.bus(), 1.0);
    let mut tx = fixture.store().await.pool().begin().await.unwrap();
    for (options, words) in too_much() {
        let errors = [
            bus.send(Fleeting { value }).with(options.clone()).await.unwrap_err(),
            bus.send(Lasting { value }).with(options.clone()).await.unwrap_err(),
            bus.send(Buffered { value }).with(options.clone()).await.unwrap_err(),
            bus.send(Stored { value }).with(options.clone()).await.unwrap_err(),
            bus.publish(Noted { value }).with(options.clone()).await.unwrap_err(),
            bus.enlist(&mut tx).send(Lasting { value }).with(options.clone()).await.unwrap_err(),
        ];
        for error in errors {
            assert!(matches!(error, SendError::TooLarge { .. }), "{error}");
            assert!(error.to_string().contains(words), "{error}");
        }
    }
    tx.commit().await.unwrap();
    assert_nothing_waits(&app).await;
    app.stop().await.unwrap();
}

async fn assert_nothing_waits(app: &Jasper) {
    app.until_idle().await.unwrap();
    let counts = app.store().unwrap().admin().counts().await.unwrap();
    assert_eq!((counts.incoming, counts.outgoing, counts.dead_letters), (0, 0, 0));
}

#[tokio::test]
async fn a_long_name_of_the_service_is_refused_in_what_it_sends() {
    let app = Jasper::builder()
        .service("x".repeat(MAX_FIELD_BYTES + 1))
        .handler(fleeting)
        .start()
        .await
        .unwrap();
    let error = app.bus().send(Fleeting { value: 1.0 }).await.unwrap_err();
    let SendError::TooLarge { excess: Excess::Field { field, .. }, .. } = error else {
        panic!("{error}");
    };
    assert!(field.contains("service"));
    app.stop().await.unwrap();
}

#[tokio::test]
async fn as_much_as_an_envelope_holds_is_stored_and_read_again() {
    let fixture = Fixture::create();
    let app = start(&fixture).await;
    app.bus().send(Lasting { value: 1.0 }).with(enough()).await.unwrap();
    // Later, so that it is read from the store.
    let later = enough().delay(Duration::from_millis(1)).deduplicate("later");
    app.bus().send(Lasting { value: 1.0 }).with(later).await.unwrap();
    assert_nothing_waits(&app).await;
    app.stop().await.unwrap();
}

#[tokio::test]
async fn a_handler_that_returns_such_a_message_fails_as_often_as_its_policy_says() {
    let fixture = Fixture::create();
    let app = start(&fixture).await;
    app.bus().send(Return { value: 1.0 }).await.unwrap();
    app.bus().send(ReturnWith { value: 1.0 }).await.unwrap();
    app.until_idle().await.unwrap();
    let mut letters =
        app.store().unwrap().dead_letters().list(DeadLetterQuery::default()).await.unwrap();
    letters.sort_by(|a, b| a.message_type.cmp(&b.message_type));
    let [headers, nan] = &letters[..] else { panic!("{letters:?}") };
    for letter in [nan, headers] {
        assert_eq!((letter.reason, letter.attempts), (DeadLetterReason::Exhausted, 2));
    }
    for words in ["`refused.lasting@1` cannot be encoded", "NaN", "`value`"] {
        assert!(nan.error_message.contains(words), "{}", nan.error_message);
    }
    assert!(headers.error_message.contains("65 headers"), "{}", headers.error_message);
    app.stop().await.unwrap();
}

#[tokio::test]
async fn within_a_transaction_too_it_is_refused_at_once() {
    let fixture = Fixture::create();
    let app = start(&fixture).await;
    app.bus().send(Enlist { value: 1.0 }).await.unwrap();
    assert_nothing_waits(&app).await;
    let notes = fixture.journal.notes();
    assert!(notes[0].contains("NaN") && notes[1].contains("65 headers"), "{notes:?}");
    app.stop().await.unwrap();
}

#[tokio::test]
async fn a_reply_that_its_codec_cannot_write_is_refused() {
    let fixture = Fixture::create();
    let app = start(&fixture).await;
    assert_eq!(app.bus().invoke(Ask { value: 2.0 }).await.unwrap(), 0.5);
    let error = app.bus().invoke(Ask { value: 0.0 }).await.unwrap_err().to_string();
    assert!(error.contains("its reply cannot be encoded") && error.contains("NaN"), "{error}");
    app.stop().await.unwrap();
}

#[tokio::test]
async fn what_a_transport_brings_beyond_the_limits_is_refused_and_not_stored() {
    let (fixture, hand) = (Fixture::create(), Hand::default());
    let app = Jasper::builder()
        .store(fixture.store().await)
        .transport(hand.clone())
        .handler(lasting)
        .listen("hand://here")
        .start()
        .await
        .unwrap();
    let address = Address::local("lasting", "lasting");
    let payload = br#"{"value":1.0}"#.as_slice();
    let mut envelope = Envelope::new(Lasting::TYPE, "application/json", payload.into(), address);
    let good = envelope.clone();
    envelope.saga_id = Some("x".repeat(MAX_FIELD_BYTES + 1));
    let received = Received {
        peer: None,
        guarantee: Guarantee::Stored,
        envelopes: vec![Ok(envelope.clone()), Ok(good)],
    };
    let receipts = hand.receiver().receive(received).await;
    let Receipt::Refused { why } = &receipts[0] else { panic!("{receipts:?}") };
    assert!(why.contains("saga id takes 1025 bytes"), "{why}");
    assert_eq!(receipts[1], Receipt::Accepted);
    let request = ReceivedRequest { peer: None, envelope, timeout: Duration::from_secs(5) };
    let refused = hand.receiver().answer(request).await.unwrap_err();
    assert!(refused.message.contains("saga id takes 1025 bytes"), "{refused}");
    app.until_idle().await.unwrap();
    app.stop().await.unwrap();
}

#[tokio::test]
async fn a_listener_takes_in_a_bounded_number_of_unknown_types() {
    let (fixture, hand) = (Fixture::create(), Hand::default());
    let app = Jasper::builder()
        .store(fixture.store().await)
        .transport(hand.clone())
        .handler(lasting)
        .listen("hand://here")
        .start()
        .await
        .unwrap();
    let of_type = |number: usize| {
        let (address, payload) = (Address::local("lasting", "lasting"), b"{}".as_slice());
        let mut sent = Envelope::new(Lasting::TYPE, "application/json", payload.into(), address);
        sent.message_type = format!("unknown{number}@1").parse().unwrap();
        Ok(sent)
    };
    let receive = async |numbers: std::ops::Range<usize>| {
        let envelopes = numbers.map(of_type).collect();
        let received = Received { peer: None, guarantee: Guarantee::Stored, envelopes };
        hand.receiver().receive(received).await
    };
    let receipts = receive(0..1_001).await;
    assert!(receipts[..1_000].iter().all(|receipt| *receipt == Receipt::Accepted));
    let Receipt::Refused { why } = &receipts[1_000] else { panic!("{:?}", receipts[1_000]) };
    assert!(why.contains("unknown1000@1") && why.contains("1000 other"), "{why}");
    assert_eq!(receive(5..6).await, [Receipt::Accepted], "it is one of them");
    app.stop().await.unwrap();
}
