//! What the document of the protocol says, tried: its test vectors, and a client that was written
//! from it alone.

use std::process::Stdio;
use std::time::{Duration, UNIX_EPOCH};

use bytes::Bytes;
use jasper::envelope::{Envelope, MessageId};
use jasper::message::MessageType;
use jasper::prelude::*;
use jasper::store::memory::MemoryStore;
use jasper::transport::tcp::{Peer, SharedKey};
use serde::{Deserialize, Serialize};
use tests::Journal;
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::net::TcpStream;
use tokio::process::Command as Process;
use uuid::Uuid;

use crate::raw::{
    HELLO, PROOF, READY, RECEIPTS, Raw, WELCOME, batch, bytes_of, frame, hello, proof, welcome,
};
use crate::receiver::within;

const DOCUMENT: &str = include_str!("../../../jasper/src/docs/wire_protocol.md");
const CLIENT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/transport/tcp_protocol/client.py");
const SECRET: [u8; 32] = [11; 32];

/// The bytes of the vector of this name in the document.
fn vector(name: &str) -> Vec<u8> {
    let start = format!("vector {name}\n");
    let after = DOCUMENT.split_once(&start).expect(name).1;
    let lines = after.lines().take_while(|line| !line.starts_with("vector") && *line != "```");
    let digits: Vec<u8> = lines.flat_map(str::bytes).collect();
    let byte = |pair: &[u8]| u8::from_str_radix(std::str::from_utf8(pair).unwrap(), 16).unwrap();
    digits.chunks(2).map(byte).collect()
}

/// The envelope that the document describes in words.
fn described() -> Envelope {
    let id: Uuid = "019a0000-0000-7000-8000-000000000001".parse().unwrap();
    let mut envelope = Envelope::new(
        MessageType::new("note", 1),
        "application/json",
        Bytes::from_static(br#"{"text":"hi"}"#),
        "local://notes".parse().unwrap(),
    );
    (envelope.id, envelope.conversation_id) = (MessageId::from(id), MessageId::from(id));
    envelope.sent_at = UNIX_EPOCH + Duration::from_micros(1_700_000_000_000_000);
    envelope.headers.insert("a", "b");
    envelope
}

#[test]
fn the_envelope_of_the_document_is_read_and_written_as_it_stands_there() {
    let bytes = vector("envelope");
    assert_eq!(Envelope::from_bytes(&Bytes::from(bytes.clone())).unwrap(), described());
    assert_eq!(bytes_of(&described()), bytes);
}

#[test]
fn the_frames_and_proofs_of_the_document_are_those_of_its_words() {
    let said = hello([1, 1], [7; 32], "shop");
    let mut answered = welcome(64);
    answered.truncate(33);
    for number in [4_u32 << 20, 8 << 20, 64, 256] {
        answered.extend(number.to_be_bytes());
    }
    assert_eq!(vector("hello"), frame(HELLO, &said));
    assert_eq!(vector("welcome"), frame(WELCOME, &answered));
    assert_eq!(vector("client-proof"), proof("client", &SECRET, &said, &answered, b""));
    assert_eq!(vector("server-proof"), proof("server", &SECRET, &said, &answered, b""));
    assert_eq!(vector("batch"), batch(1, &[vector("envelope")]));
    let receipts = [&1_u64.to_be_bytes()[..], &1_u32.to_be_bytes(), &[0]].concat();
    assert_eq!(vector("receipts"), frame(RECEIPTS, &receipts));
}

// ---- A client in another language --------------------------------------------------------------

#[derive(Command, Serialize, Deserialize)]
#[command(name = "python.note")]
struct Note {
    text: String,
}

#[derive(Command, Serialize, Deserialize)]
#[command(name = "python.double", to = "doubler", reply = i64)]
struct Double {
    number: i64,
}

#[derive(Command, Serialize, Deserialize)]
#[command(name = "python.print", to = "python")]
struct Print {
    text: String,
}

#[derive(Command, Serialize, Deserialize)]
#[command(name = "python.double-there", to = "python", reply = i64)]
struct DoubleThere {
    number: i64,
}

#[handler]
async fn note(cmd: Note, envelope: Envelope, journal: State<Journal>) {
    journal.note(format!("{} from {}", cmd.text, envelope.source.unwrap_or_default()));
}

#[handler]
async fn double(cmd: Double) -> Reply<i64> {
    Reply(2 * cmd.number)
}

pub fn application(journal: &Journal, python: &str) -> jasper::runtime::Builder {
    let key = || SharedKey::new("python", SECRET).unwrap();
    Jasper::builder()
        .store(MemoryStore::new())
        .state(journal.clone())
        .transport(Tcp::new().identity(key()).peer(Peer::named("python").key(key())))
        .endpoint("doubler", "local://double")
        .endpoint("python", python)
}

/// A connection to that application, taken as the peer `python`.
pub async fn connected_as_python(place: &str) -> Raw {
    let mut raw = Raw { stream: TcpStream::connect(place).await.unwrap() };
    let said = hello([1, 1], [7; 32], "python");
    raw.send(&frame(HELLO, &said)).await;
    let (kind, answered) = raw.read().await.unwrap();
    assert_eq!(kind, WELCOME);
    raw.send(&frame(PROOF, &proof("client", &SECRET, &said, &answered, b""))).await;
    assert_eq!(raw.read().await.unwrap().0, READY);
    raw
}

fn python(arguments: &[&str]) -> Process {
    let mut process = Process::new("/usr/bin/python3");
    process.arg(CLIENT).args(arguments).env("JASPER_SECRET", "0b".repeat(32));
    process.stdin(Stdio::null()).stdout(Stdio::piped()).kill_on_drop(true);
    process
}

#[tokio::test]
async fn a_client_written_from_the_document_sends_and_asks_and_its_repeat_is_dropped() {
    let journal = Journal::default();
    let app = application(&journal, "durable://127.0.0.1:9").listen("durable://127.0.0.1:0");
    let app = app.start().await.unwrap();
    let address = app.addresses()[0].to_string();
    let output = within(python(&["send", &address]).output()).await.unwrap();
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{said}");
    assert_eq!(said, "answer application/json 42\n");
    within(app.until_idle()).await.unwrap();
    assert_eq!(journal.sorted(), ["one from python", "two from python"]);
    app.stop().await.unwrap();
}

#[tokio::test]
async fn a_listener_written_from_the_document_takes_messages_and_answers() {
    let mut listener = python(&["listen"]).spawn().unwrap();
    let mut said = BufReader::new(listener.stdout.take().unwrap()).lines();
    let address = within(said.next_line()).await.unwrap().expect("it says where it listens");
    let app = application(&Journal::default(), &address).start().await.unwrap();
    app.bus().send(Print { text: "hi".to_owned() }).await.unwrap();
    let line = within(said.next_line()).await.unwrap();
    assert_eq!(line.as_deref(), Some("note python.print@1 {'text': 'hi'}"));
    let doubled = within(app.bus().invoke(DoubleThere { number: 21 })).await.unwrap();
    assert_eq!(doubled, 42);
    app.stop().await.unwrap();
    // The connection is ended, and so it ends by itself.
    assert!(within(listener.wait()).await.unwrap().success());
}
