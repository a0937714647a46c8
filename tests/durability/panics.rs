//! Panics of an application's own code, wherever it is called: none ends a worker, strands a row or
//! costs another message anything.

#[path = "panics/transports.rs"]
mod transports;

use std::fmt;
use std::panic::panic_any;

use bytes::Bytes;
use futures_util::future::BoxFuture;
use jasper::codec::{Codec, CodecError, Json, Visit};
use jasper::message::Encodable;
use jasper::prelude::*;
use jasper::store::memory::MemoryStore;
use jasper::store::{
    DeadLetter, DeadLetterQuery, DeadLetterReason, DeadLetters, Inbox, MessageStore, Nodes, Outbox,
    StoreAdmin, StoreError, StoreInfo, StoreTransaction, TransactionOptions,
};
use jasper::{InvokeError, SendError};
use serde::de::Deserializer;
use serde::ser::Serializer;
use serde::{Deserialize, Serialize};
use tests::Journal;

/// Panics when it is dropped.
struct Bomb(&'static str);

impl Drop for Bomb {
    fn drop(&mut self) {
        // A second panic while one is on its way ends the process.
        if !std::thread::panicking() {
            panic!("{}", self.0);
        }
    }
}

/// Part of a message, which may panic where it is read, written or dropped.
struct Fuse {
    how: String,
    is_received: bool,
}

fn fuse(how: &str) -> Fuse {
    Fuse { how: how.to_owned(), is_received: false }
}

impl Serialize for Fuse {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        assert_ne!(self.how, "serialize", "as told");
        serializer.serialize_str(&self.how)
    }
}

impl<'de> Deserialize<'de> for Fuse {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let how = String::deserialize(deserializer)?;
        assert_ne!(how, "deserialize", "as told");
        Ok(Self { how, is_received: true })
    }
}

impl Drop for Fuse {
    fn drop(&mut self) {
        let panics = self.is_received && self.how == "drop";
        assert!(!panics || std::thread::panicking(), "as told");
    }
}

/// An error that panics where it is displayed, or dropped.
#[derive(Debug)]
struct Odd(&'static str);

impl fmt::Display for Odd {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        assert_ne!(self.0, "display", "as told");
        f.write_str("odd")
    }
}

impl Drop for Odd {
    fn drop(&mut self) {
        assert_ne!(self.0, "drop", "as told");
    }
}

impl std::error::Error for Odd {}

#[derive(Command, Serialize, Deserialize)]
#[command(reply = Answered)]
struct Trip {
    how: String,
    fuse: Fuse,
}

/// A reply that panics where it is dropped, if it is one that does.
#[derive(Debug)]
struct Answered(bool);

impl Drop for Answered {
    fn drop(&mut self) {
        assert!(!self.0 || std::thread::panicking(), "as told");
    }
}

#[derive(Event, Serialize, Deserialize)]
struct Tripped {
    fuse: Fuse,
}

#[handler(queue = "trips", concurrency = 1, attempts = 2, delays = [], timeout = "50ms")]
async fn trip(
    cmd: Trip,
    journal: State<Journal>,
) -> Result<(Reply<Answered>, Option<Tripped>), Odd> {
    journal.note(format!("run {}", cmd.how));
    match cmd.how.as_str() {
        "display" => return Err(Odd("display")),
        "drop the error" => return Err(Odd("drop")),
        "throw" => panic_any(Bomb("as told")),
        "hang" => {
            let _guard = Bomb("as told");
            std::future::pending::<()>().await;
        }
        "follow" => return Ok((Reply(Answered(false)), Some(Tripped { fuse: fuse("well") }))),
        "reply" => return Ok((Reply(Answered(true)), None)),
        "cascade" => {
            return Ok((Reply(Answered(false)), Some(Tripped { fuse: fuse("serialize") })));
        }
        _ => {}
    }
    Ok((Reply(Answered(false)), None))
}

#[handler]
async fn note_trip(event: Tripped, journal: State<Journal>) {
    journal.note(format!("tripped {}", event.fuse.how));
}

fn trip_by(how: &str, fuse_how: &str) -> Trip {
    Trip { how: how.to_owned(), fuse: fuse(fuse_how) }
}

async fn letters(app: &Jasper) -> Vec<DeadLetter> {
    let letters = app.store().unwrap().dead_letters().list(DeadLetterQuery::default());
    letters.await.unwrap()
}

/// Sends one that panics and one that does not, and gives the letter and the runs of the first.
async fn letter_of(message: Trip, is_stored: bool) -> (DeadLetter, usize) {
    let (journal, how) = (Journal::default(), message.how.clone());
    let queue =
        if is_stored { QueueOptions::new().durable() } else { QueueOptions::new().buffered() };
    let app = Jasper::builder()
        .store(MemoryStore::new())
        .state(journal.clone())
        .queue("trips", queue)
        .handler(trip)
        .start()
        .await
        .unwrap();
    app.bus().send(message).await.unwrap();
    app.bus().send(trip_by("well", "well")).await.unwrap();
    journal.wait_for("run well").await;
    app.until_idle().await.unwrap();
    let mut letters = letters(&app).await;
    let counts = app.store().unwrap().admin().counts().await.unwrap();
    assert_eq!((letters.len(), counts.incoming), (1, 0), "{how}");
    app.stop().await.unwrap();
    let run = format!("run {how}");
    let runs = journal.notes().into_iter().filter(|note| *note == run).count();
    (letters.remove(0), runs)
}

#[tokio::test]
async fn a_panic_anywhere_in_a_run_is_a_failed_attempt() {
    let panicked = "it panicked: ";
    for (message, error) in [
        (trip_by("display", "well"), "its error panicked while it was displayed: "),
        (trip_by("drop the error", "well"), "odd; its error panicked while it was dropped: "),
        (trip_by("throw", "well"), "it panicked: a value that is not text"),
        (trip_by("hang", "well"), "it did not end within 50ms"),
        (trip_by("reply", "well"), panicked),
        (trip_by("cascade", "well"), panicked),
        (trip_by("drop the message", "drop"), panicked),
    ] {
        for is_stored in [true, false] {
            let message = Trip { how: message.how.clone(), fuse: fuse(&message.fuse.how) };
            let (letter, runs) = letter_of(message, is_stored).await;
            assert_eq!((runs, letter.attempts), (2, 2), "{}", letter.error_message);
            assert_eq!(letter.reason, DeadLetterReason::Exhausted);
            assert!(letter.error_message.starts_with(error), "{}", letter.error_message);
        }
    }
}

#[tokio::test]
async fn a_message_that_panics_where_it_is_read_is_an_invalid_message_at_once() {
    for is_stored in [true, false] {
        let (letter, runs) = letter_of(trip_by("never", "deserialize"), is_stored).await;
        assert_eq!((runs, letter.attempts), (0, 1));
        assert_eq!(letter.reason, DeadLetterReason::Undecodable);
        assert!(letter.error_message.contains("that panicked: "), "{}", letter.error_message);
    }
}

#[tokio::test]
async fn a_message_that_panics_where_it_is_written_is_refused() {
    let app = Jasper::builder().state(Journal::default()).handler(trip).start().await.unwrap();
    let refused = app.bus().send(trip_by("well", "serialize")).await.unwrap_err();
    assert!(matches!(refused, SendError::Encode { .. }), "{refused}");
    assert!(refused.to_string().contains("panicked"), "{refused}");
    app.stop().await.unwrap();
}

#[tokio::test]
async fn invoking_a_handler_that_panics_gives_an_error_and_the_next_one_an_answer() {
    let app = Jasper::builder().state(Journal::default()).handler(trip).start().await.unwrap();
    for how in ["throw", "hang", "cascade"] {
        let error = app.bus().invoke(trip_by(how, "well")).await.unwrap_err();
        let is_expected = match how {
            "hang" => matches!(error, InvokeError::TimedOut { .. }),
            _ => matches!(error, InvokeError::Panicked { .. }),
        };
        assert!(is_expected, "{how}: {error}");
        app.bus().invoke(trip_by("well", "well")).await.unwrap();
    }
    app.stop().await.unwrap();
}

/// JSON that panics over payloads with a certain word in them.
#[derive(Debug)]
struct Fragile;

impl Codec for Fragile {
    fn content_type(&self) -> &'static str {
        Json.content_type()
    }

    fn encode(&self, message: &dyn Encodable) -> Result<Bytes, CodecError> {
        let encoded = Json.encode(message)?;
        assert!(!encoded.windows(6).any(|word| word == b"encode"), "as told");
        Ok(encoded)
    }

    fn decode(&self, payload: &[u8], visit: Visit<'_>) -> Result<(), CodecError> {
        assert!(!payload.windows(4).any(|word| word == b"read"), "as told");
        Json.decode(payload, visit)
    }
}

#[tokio::test]
async fn a_codec_that_panics_makes_an_invalid_message_of_one_and_of_no_other() {
    let journal = Journal::default();
    let app = Jasper::builder()
        .store(MemoryStore::new())
        .state(journal.clone())
        .codec(Fragile)
        .handler(trip)
        .start()
        .await
        .unwrap();
    let refused = app.bus().send(trip_by("encode", "well")).await.unwrap_err();
    assert!(matches!(refused, SendError::Encode { .. }), "{refused}");
    app.bus().send(trip_by("read", "well")).await.unwrap();
    app.bus().send(trip_by("well", "well")).await.unwrap();
    journal.wait_for("run well").await;
    app.until_idle().await.unwrap();
    let letters = letters(&app).await;
    assert_eq!((letters.len(), letters[0].attempts), (1, 1));
    assert_eq!(letters[0].reason, DeadLetterReason::Undecodable);
    assert!(letters[0].error_message.contains("that panicked: as told"), "{letters:?}");
    assert_eq!(journal.notes(), ["run well"]);
    app.stop().await.unwrap();
}

/// A store whose transactions cannot begin without a panic.
#[derive(Debug)]
struct Brittle(MemoryStore);

impl MessageStore for Brittle {
    fn info(&self) -> StoreInfo {
        self.0.info()
    }

    fn begin(
        &self,
        _: TransactionOptions,
    ) -> BoxFuture<'_, Result<Box<dyn StoreTransaction>, StoreError>> {
        panic!("as told")
    }

    fn inbox(&self) -> &dyn Inbox {
        self.0.inbox()
    }

    fn outbox(&self) -> &dyn Outbox {
        self.0.outbox()
    }

    fn dead_letters(&self) -> &dyn DeadLetters {
        self.0.dead_letters()
    }

    fn nodes(&self) -> &dyn Nodes {
        self.0.nodes()
    }

    fn admin(&self) -> &dyn StoreAdmin {
        self.0.admin()
    }
}

#[tokio::test]
async fn a_panic_beside_the_handler_is_a_failed_attempt_too() {
    let journal = Journal::default();
    let app = Jasper::builder().store(Brittle(MemoryStore::new())).state(journal.clone());
    let queue = QueueOptions::new().durable();
    let app = app.queue("trips", queue).handler(trip).handler(note_trip).start().await.unwrap();
    app.bus().send(trip_by("follow", "well")).await.unwrap();
    app.bus().send(trip_by("well", "well")).await.unwrap();
    journal.wait_for("run well").await;
    app.until_idle().await.unwrap();
    let letters = letters(&app).await;
    assert_eq!((letters.len(), letters[0].attempts), (1, 2));
    assert_eq!(letters[0].error_message, "it panicked: as told");
    assert_eq!(journal.sorted(), ["run follow", "run follow", "run well"]);
    app.stop().await.unwrap();
}
