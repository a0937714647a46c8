//! Peers that do not keep to the protocol, and what they cost.

use std::time::Duration;

use jasper::transport::Receipt;
use jasper::transport::tcp::{Limits, Tcp};

use crate::raw::{self, BATCH, HELLO, PING, PONG, RECEIPTS, REJECTED, Raw};
use crate::receiver::{PATIENCE, envelope, pair, send};

#[tokio::test]
async fn a_frame_that_claims_too_much_ends_the_connection() {
    let (_receiver, listener, sender) = pair(Tcp::new(), &Tcp::new()).await;
    for length in [(4 << 20) + 1, u32::MAX, 0x8000_0000] {
        let mut raw = Raw::connected(&*listener).await;
        let mut bytes = length.to_be_bytes().to_vec();
        bytes.push(BATCH);
        raw.send(&bytes).await;
        let words = raw.last_words().await;
        assert!(words.contains(&format!("a frame of {length} bytes")), "{words}");
    }
    assert_eq!(send(&sender, vec![]).await.unwrap(), vec![]);
}

#[tokio::test]
async fn a_first_frame_has_to_be_small() {
    let (_receiver, listener, _sender) = pair(Tcp::new(), &Tcp::new()).await;
    let mut raw = Raw::connect(&*listener).await;
    raw.send(&[0, 0, 0x10, 1, HELLO]).await;
    let words = raw.last_words().await;
    assert!(words.contains("4097 bytes, where 4096"), "{words}");
}

#[tokio::test]
async fn lengths_that_lie_cost_only_what_has_come() {
    let limits = Limits::default().memory(8 << 20);
    let (_receiver, listener, sender) = pair(Tcp::new().limits(limits), &Tcp::new()).await;
    let mut liars = Vec::new();
    for _ in 0..100 {
        let mut raw = Raw::connected(&*listener).await;
        raw.send(&[0, 0x40, 0, 0, BATCH, 1, 2, 3]).await;
        raw.send(&[0; 100]).await;
        liars.push(raw);
    }
    // They claim 400 MiB together; 8 MiB are there, and an honest sender still gets its share.
    let large = envelope("take", vec![0; 1 << 20]);
    assert_eq!(send(&sender, vec![large]).await.unwrap(), vec![Receipt::Accepted]);
}

#[tokio::test]
async fn frames_that_make_no_sense_end_the_connection() {
    let (receiver, listener, _sender) = pair(Tcp::new(), &Tcp::new()).await;
    let mut count_lies = raw::batch(1, &[vec![1]]);
    count_lies[4 + 1 + 8 + 1 + 3] = 200;
    let cases = [
        (raw::frame(99, b""), "unknown kind 99"),
        (vec![0, 0, 0, 0, 0], "without a kind"),
        (raw::frame(HELLO, &raw::hello([1, 1], [7; 32], "")), "out of place"),
        (raw::frame(RECEIPTS, &[0; 12]), "out of place"),
        (raw::frame(PING, b"extra"), "behind its end"),
        (raw::frame(BATCH, &[0; 5]), "cut off"),
        (count_lies, "cut off"),
    ];
    for (bytes, expected) in cases {
        let mut raw = Raw::connected(&*listener).await;
        raw.send(&bytes).await;
        let words = raw.last_words().await;
        assert!(words.contains(expected), "{expected}: {words}");
    }
    assert!(receiver.seen().is_empty());
}

#[tokio::test]
async fn bytes_that_are_no_envelope_reach_the_receiver_as_such() {
    let (receiver, listener, _sender) = pair(Tcp::new(), &Tcp::new()).await;
    let mut raw = Raw::connected(&*listener).await;
    let good = raw::bytes_of(&envelope("take", "good"));
    raw.send(&raw::batch(5, &[good.clone(), b"bad".to_vec(), Vec::new(), good])).await;
    let (kind, body) = raw.read().await.unwrap();
    assert_eq!(kind, RECEIPTS);
    assert_eq!(body, [0, 0, 0, 0, 0, 0, 0, 5, 0, 0, 0, 4, 0, 0, 0, 0]);
    let seen: Vec<_> = receiver.seen().into_iter().map(|seen| seen.payload).collect();
    let good = Ok("good".into());
    assert_eq!(seen, [good.clone(), Err("bad".into()), Err("".into()), good]);
}

#[tokio::test]
async fn an_envelope_with_a_text_of_megabytes_reaches_the_receiver_as_bytes_that_are_none() {
    let (receiver, _listener, sender) = pair(Tcp::new(), &Tcp::new()).await;
    let mut long = envelope("take", "long");
    long.tenant_id = Some("x".repeat(2 << 20));
    let good = envelope("take", "good");
    let bytes = long.to_bytes();
    assert_eq!(send(&sender, vec![long, good]).await.unwrap(), vec![Receipt::Accepted; 2]);
    let seen: Vec<_> = receiver.seen().into_iter().map(|seen| seen.payload).collect();
    assert_eq!(seen, [Err(bytes), Ok("good".into())]);
}

#[tokio::test]
async fn who_sends_beyond_the_window_is_turned_out() {
    let server = Tcp::new().limits(Limits::default().batches(2));
    let (receiver, listener, _sender) = pair(server, &Tcp::new()).await;
    let mut raw = Raw::connected(&*listener).await;
    for number in 0..3 {
        raw.send(&raw::batch(number, &[raw::bytes_of(&envelope("wait", "x"))])).await;
    }
    let words = raw.last_words().await;
    assert!(words.contains("more than it was told"), "{words}");
    assert_eq!(receiver.seen().len(), 2);
    receiver.open_gate();
}

#[tokio::test]
async fn who_sends_more_bytes_than_the_window_is_turned_out() {
    let server = Tcp::new().limits(Limits::default().frame(64 << 10).window(64 << 10));
    let (receiver, listener, _sender) = pair(server, &Tcp::new()).await;
    let mut raw = Raw::connected(&*listener).await;
    for number in 0..2 {
        let large = raw::bytes_of(&envelope("wait", vec![0; 40_000]));
        raw.send(&raw::batch(number, &[large])).await;
    }
    let words = raw.last_words().await;
    assert!(words.contains("more than it was told"), "{words}");
    receiver.open_gate();
}

#[tokio::test]
async fn who_does_not_shake_hands_in_time_is_turned_out() {
    let server = Tcp::new().limits(Limits::default().handshake(Duration::from_millis(100)));
    let (_receiver, listener, _sender) = pair(server, &Tcp::new()).await;
    let hello = raw::frame(HELLO, &raw::hello([1, 1], [7; 32], ""));
    for sent in [0, 1, 10, hello.len()] {
        let mut raw = Raw::connect(&*listener).await;
        raw.send(&hello[..sent]).await;
        raw.last_words().await;
    }
}

#[tokio::test]
async fn who_comes_while_too_many_shake_hands_is_turned_out_at_once() {
    let limits = Limits::default().handshakes(1).handshake(Duration::from_secs(600));
    let (_receiver, listener, sender) = pair(Tcp::new().limits(limits), &Tcp::new()).await;
    let silent = Raw::connect(&*listener).await;
    let mut turned_out = Raw::connect(&*listener).await;
    assert_eq!(turned_out.read().await, None);
    drop(silent);
    // The place is free as soon as the end of the silent one is noticed.
    while send(&sender, vec![]).await.is_err() {}
}

#[tokio::test]
async fn a_frame_that_trickles_in_is_given_up() {
    let server = Tcp::new().limits(Limits::default().frame_time(Duration::from_millis(100)));
    let (_receiver, listener, _sender) = pair(server, &Tcp::new()).await;
    for sent in [2, 5, 50] {
        let mut raw = Raw::connected(&*listener).await;
        raw.send(&raw::batch(1, &[vec![0; 100_000]])[..sent]).await;
        let words = raw.last_words().await;
        assert!(words.contains("took longer than 100ms"), "{words}");
    }
}

#[tokio::test]
async fn who_does_not_read_its_answers_is_turned_out() {
    let limits = Limits::default().frame_time(Duration::from_millis(300));
    let (receiver, listener, sender) = pair(Tcp::new().limits(limits), &Tcp::new()).await;
    let mut raw = Raw::connected(&*listener).await;
    // Replies of 1 MiB each, which are not read, fill every buffer on the way.
    let mut body = 1_u64.to_be_bytes().to_vec();
    body.extend(60_000_u32.to_be_bytes());
    body.extend(raw::bytes_of(&envelope("take", vec![0; 1 << 20])));
    let request = raw::frame(8, &body);
    let ended = async {
        loop {
            if tokio::io::AsyncWriteExt::write_all(&mut raw.stream, &request).await.is_err() {
                break;
            }
        }
    };
    tokio::time::timeout(PATIENCE, ended).await.expect("it is turned out");
    assert!(!receiver.seen().is_empty());
    assert_eq!(send(&sender, vec![]).await.unwrap(), vec![]);
}

#[tokio::test]
async fn pings_are_answered_and_cannot_fill_memory() {
    let (_receiver, listener, _sender) = pair(Tcp::new(), &Tcp::new()).await;
    let mut raw = Raw::connected(&*listener).await;
    raw.send(&raw::frame(PING, &[])).await;
    assert_eq!(raw.read().await.unwrap().0, PONG);
    raw.send(&raw::frame(PING, &[]).repeat(10_000)).await;
    raw.send(&raw::batch(1, &[])).await;
    let mut pongs = 0;
    while raw.read().await.unwrap().0 == PONG {
        pongs += 1;
    }
    assert!(pongs < 10_000, "{pongs}");
}

#[tokio::test]
async fn other_protocols_get_an_answer_in_words() {
    let (_receiver, listener, _sender) = pair(Tcp::new(), &Tcp::new()).await;
    let mut raw = Raw::connect(&*listener).await;
    raw.send(b"GET / HTTP/1.1\r\nhost: shop\r\n\r\n").await;
    let (kind, body) = raw.read().await.unwrap();
    assert_eq!((kind, body[0]), (REJECTED, 5));
    let mut raw = Raw::connect(&*listener).await;
    raw.send(&raw::frame(HELLO, b"jasper\n\x01\x01")).await;
    let words = raw.last_words().await;
    assert!(words.contains("does not begin like one of jasper"), "{words}");
}

#[tokio::test]
async fn a_later_version_alone_is_refused_in_words() {
    let (_receiver, listener, _sender) = pair(Tcp::new(), &Tcp::new()).await;
    let mut raw = Raw::connect(&*listener).await;
    raw.send(&raw::frame(HELLO, &raw::hello([2, 9], [7; 32], ""))).await;
    let words = raw.last_words().await;
    assert!(words.contains("version 2 to 9") && words.contains("1 to 1"), "{words}");
    // Who also speaks the first version is welcome, and what it adds is not looked at.
    let mut raw = Raw::connect(&*listener).await;
    let mut hello = raw::hello([1, 9], [7; 32], "");
    hello.extend(b"something new");
    raw.send(&raw::frame(HELLO, &hello)).await;
    let (_kind, body) = raw.read().await.unwrap();
    assert_eq!(body[0], 1);
}
