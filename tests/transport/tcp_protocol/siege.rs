//! All that a stranger may do to the memory of a listener, at once.

use std::time::Duration;

use jasper::Envelope;
use jasper::message::MessageType;
use tests::memory;
use tests::programs::listening;
use tokio::io::AsyncWriteExt;
use tokio::process::Command;
use tokio::task::JoinSet;
use tokio::time::timeout;

use crate::raw::{READY, Raw, batch, bytes_of, frame};

/// What the server takes, for received messages and replies and for messages in its queues.
const BUDGETS: u64 = (64 + 64) << 10;
const MORE: u64 = 64 << 10;
const REQUEST: u8 = 8;
const ANSWER: u8 = 9;

/// A connection from the address 127.0.0.`last`, taken by the server.
async fn taken(last: u8, place: &str) -> Raw {
    let mut raw = Raw::connect_from([127, 0, 0, last], place).await;
    assert_eq!(raw.shake_hands().await, READY);
    raw
}

fn envelope(message_type: &'static str, payload: usize) -> Envelope {
    let payload = format!(r#"{{"text":"{}"}}"#, "x".repeat(payload));
    let (kind, to) = (MessageType::new(message_type, 1), "local://any".parse().unwrap());
    Envelope::new(kind, "application/json", payload.into(), to)
}

/// Small messages that wait in a queue, each in a frame that is as large as may be.
fn pinned(number: u64) -> Vec<u8> {
    let [small, large] = [envelope("crowd.held", 2_000), envelope("crowd.unknown", 3 << 20)];
    batch(number, &[bytes_of(&small), bytes_of(&large)])
}

/// Messages that wait in a queue and are mostly headers.
fn headers(number: u64) -> Vec<u8> {
    let mut one = envelope("crowd.held", 10);
    for header in 0..16 {
        one.headers.insert(format!("header-{header}"), "x".repeat(1_000));
    }
    batch(number, &vec![bytes_of(&one); 100])
}

/// Requests for long replies, which are not read.
fn inflating(number: u64) -> Vec<u8> {
    let mut one = envelope("crowd.inflate", 0);
    one.payload = b"null".as_slice().into();
    request(number, &one)
}

fn request(number: u64, envelope: &Envelope) -> Vec<u8> {
    let mut body = number.to_be_bytes().to_vec();
    body.extend(60_000_u32.to_be_bytes());
    body.extend(bytes_of(envelope));
    frame(REQUEST, &body)
}

/// The most of a frame that is never ended.
fn unended(_number: u64) -> Vec<u8> {
    let mut bytes = pinned(1);
    bytes.pop();
    bytes
}

/// Sends until the server reads no more, and says nothing then.
async fn attack(mut raw: Raw, frame: fn(u64) -> Vec<u8>) -> Raw {
    for number in 1..2_000 {
        let sent = timeout(Duration::from_secs(2), raw.stream.write_all(&frame(number))).await;
        if !matches!(sent, Ok(Ok(()))) {
            break;
        }
    }
    raw
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn all_attacks_at_once_cost_no_more_memory_than_the_budgets_allow() {
    let mut command = Command::new(env!("CARGO_BIN_EXE_crowd-server"));
    let (child, place) = listening(&mut command).await;
    let id = child.id().unwrap();
    let before = memory::resident_kib(id);
    let mut connections = Vec::new();
    for last in 101..107 {
        for frames in [pinned, headers, inflating, unended].repeat(4) {
            connections.push((taken(last, &place).await, frames));
        }
    }
    let mut attackers = JoinSet::new();
    for (raw, frames) in connections {
        attackers.spawn(attack(raw, frames));
    }
    for last in 101..107 {
        for number in 0..40_usize {
            let place = place.clone();
            attackers.spawn(async move {
                let mut raw = Raw::connect_from([127, 0, 0, last], &place).await;
                let length = [u32::MAX, 4 << 20, 4_000][number % 3].to_be_bytes();
                // The server may have ended it before all is said.
                drop(raw.stream.write_all(&[length.as_slice(), &[1; 64]].concat()).await);
                raw
            });
        }
    }
    let raws = attackers.join_all().await;
    // Its connections stay open: one that works is served beside them.
    let mut honest = taken(1, &place).await;
    honest.send(&request(1, &envelope("crowd.echo", 10))).await;
    let (kind, answer) = honest.read_news().await.unwrap();
    assert_eq!(kind, ANSWER);
    assert!(answer.ends_with(br#""xxxxxxxxxx""#), "{}", String::from_utf8_lossy(&answer));
    let peak = memory::peak_kib(id);
    println!("{before} KiB before, {peak} KiB at most, {} connections", raws.len());
    assert!(peak - before < BUDGETS + MORE, "{before} KiB before, {peak} KiB at most");
    assert!(peak - before > MORE / 2, "the attacks reach the memory: {peak} KiB at most");
}
