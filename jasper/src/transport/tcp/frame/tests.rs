//! Frames there and back, cut off, and with lengths that lie.

#![cfg(test)]

use bytes::Bytes;

use super::hello::PROOF;
use super::*;
use crate::transport::{FailureKind, Guarantee, Receipt, RemoteFailure, RemoteReply};

fn samples() -> Vec<Frame> {
    let hello =
        Hello { lowest: 1, highest: 3, nonce: [5; 32], frame: 9_000, key_id: "2026".to_owned() };
    let welcome = Welcome {
        version: 1,
        nonce: [6; 32],
        frame: 1 << 22,
        window: 1 << 23,
        batches: 64,
        requests: 256,
    };
    let envelopes = vec![Bytes::from_static(b"one"), Bytes::new(), Bytes::from(vec![7; 10_000])];
    let receipts = vec![Receipt::Accepted, Receipt::deferred("later"), Receipt::refused("never")];
    let reply = RemoteReply {
        content_type: "application/json".into(),
        payload: Bytes::from(vec![b' '; 5_000]),
    };
    let mut frames = vec![
        Frame::Hello(hello),
        Frame::Welcome(welcome),
        Frame::Proof(Some([7; PROOF])),
        Frame::Ready(None),
        Frame::Rejected(Rejected { code: RejectCode::Auth, why: "who are you?".to_owned() }),
        Frame::Batch { number: u64::MAX, guarantee: Guarantee::Stored, envelopes },
        Frame::Batch { number: 0, guarantee: Guarantee::InMemory, envelopes: Vec::new() },
        Frame::Receipts { number: 3, receipts },
        Frame::Request { number: 4, timeout_ms: 5_000, envelope: Bytes::from_static(b"env") },
        Frame::Answer { number: 4, answer: Ok(reply) },
        Frame::Ping,
        Frame::Pong,
        Frame::Bye,
    ];
    for kind in FailureKind::ALL {
        let answer = Err(RemoteFailure::new(kind, "no"));
        frames.push(Frame::Answer { number: 5, answer });
    }
    frames
}

fn bytes_of(frame: &Frame) -> Bytes {
    let encoded = frame.encode();
    let length = encoded.len();
    let bytes: Bytes = encoded.into_segments().concat().into();
    assert_eq!(bytes.len(), length);
    bytes
}

fn parse(bytes: &Bytes) -> Result<Frame, FrameError> {
    let first = bytes[..HEAD].try_into().unwrap();
    let (body, kind) = head(first, usize::MAX)?;
    assert_eq!(body, bytes.len() - HEAD, "the length is that of the frame");
    Frame::decode(kind, bytes.slice(HEAD..))
}

#[test]
fn every_frame_is_read_as_it_was_written() {
    for frame in samples() {
        assert_eq!(parse(&bytes_of(&frame)).unwrap(), frame);
    }
}

#[test]
fn a_frame_that_is_cut_off_is_an_error_at_every_byte_that_matters() {
    for frame in samples() {
        let bytes = bytes_of(&frame);
        let kind = bytes[LENGTH];
        for end in HEAD..bytes.len() {
            let read = Frame::decode(kind, bytes.slice(HEAD..end));
            // What has no length of its own is whatever is there.
            let is_open = matches!(
                frame,
                Frame::Request { .. } | Frame::Answer { answer: Ok(_), .. } | Frame::Proof(_)
            );
            assert!(is_open || read.is_err(), "{frame:?} up to {end}: {read:?}");
            assert_ne!(read.ok(), Some(frame.clone()));
        }
    }
}

#[test]
fn bytes_behind_the_end_are_refused_but_for_those_of_a_later_version() {
    for frame in samples() {
        let mut bytes = bytes_of(&frame).to_vec();
        bytes.push(0);
        let read = Frame::decode(bytes[LENGTH], Bytes::from(bytes).slice(HEAD..));
        match frame {
            Frame::Hello(_) | Frame::Welcome(_) => assert_eq!(read.unwrap(), frame),
            Frame::Request { .. } | Frame::Answer { answer: Ok(_), .. } => assert!(read.is_ok()),
            _ => assert!(read.is_err(), "{frame:?}"),
        }
    }
}

#[test]
fn a_length_is_judged_before_anything_is_read() {
    assert_eq!(head([0, 0, 0, 1, 10], 100), Ok((0, 10)));
    assert_eq!(head([0, 0, 0, 100, 10], 100), Ok((99, 10)));
    assert_eq!(head([0, 0, 0, 0, 10], 100), Err(FrameError::Empty));
    let too_large = FrameError::TooLarge { length: 0xffff_ffff, limit: 100 };
    assert_eq!(head([0xff; HEAD], 100), Err(too_large));
}

#[test]
fn a_count_that_cannot_be_true_is_refused() {
    let batch = |count: u32, rest: usize| {
        let mut body = vec![0; 9];
        body.extend(count.to_be_bytes());
        body.resize(body.len() + rest, 0);
        Frame::decode(kind::BATCH, body.into())
    };
    assert!(batch(4_096, 4 * 4_096).is_ok());
    assert_eq!(batch(4_097, 4 * 4_097), Err(FrameError::Invalid("number of envelopes")));
    assert_eq!(batch(u32::MAX, 100), Err(FrameError::Invalid("number of envelopes")));
    assert_eq!(batch(26, 100), Err(FrameError::CutOff));
    let mut body = vec![0; 13];
    body[12] = 1;
    body.extend(u32::MAX.to_be_bytes());
    assert_eq!(Frame::decode(kind::BATCH, body.into()), Err(FrameError::CutOff));
}

#[test]
fn words_of_the_other_side_stay_on_one_line() {
    let (forged, shown) = ("no\n\x1b[31mERROR paid", r"no\n\u{1b}[31mERROR paid");
    let rejected =
        |why: &str| Frame::Rejected(Rejected { code: RejectCode::Limit, why: why.to_owned() });
    let receipts = |why: &'static str| {
        let receipts = vec![Receipt::deferred(why), Receipt::refused(why)];
        Frame::Receipts { number: 1, receipts }
    };
    let failed = |why: &str| Frame::Answer {
        number: 1,
        answer: Err(RemoteFailure::new(FailureKind::Failed, why)),
    };
    let answered = |content_type: &'static str| {
        let reply = RemoteReply { content_type: content_type.into(), payload: Bytes::new() };
        Frame::Answer { number: 1, answer: Ok(reply) }
    };
    assert_eq!(parse(&bytes_of(&rejected(forged))).unwrap(), rejected(shown));
    assert_eq!(parse(&bytes_of(&receipts(forged))).unwrap(), receipts(shown));
    assert_eq!(parse(&bytes_of(&failed(forged))).unwrap(), failed(shown));
    assert_eq!(parse(&bytes_of(&answered(forged))).unwrap(), answered(shown));
}

#[test]
fn an_unknown_kind_and_a_foreign_protocol_are_different_errors() {
    assert_eq!(Frame::decode(99, Bytes::new()), Err(FrameError::UnknownKind(99)));
    let foreign = Bytes::from_static(b"ET / HTTP/1.1\r\n");
    assert_eq!(Frame::decode(kind::HELLO, foreign), Err(FrameError::NotJasper));
}

#[test]
fn receipts_give_up_their_reasons_before_they_are_too_large() {
    let all = vec![Receipt::deferred("ä".repeat(400)); 100];
    let encoded = receipts(1, &all, 64 << 10);
    let bytes: Bytes = encoded.into_segments().concat().into();
    let Frame::Receipts { receipts: read, .. } = parse(&bytes).unwrap() else { panic!("receipts") };
    assert_eq!(read[0], Receipt::deferred("ä".repeat(128)));
    let bytes: Bytes = receipts(1, &all, 1_000).into_segments().concat().into();
    let Frame::Receipts { receipts: read, .. } = parse(&bytes).unwrap() else { panic!("receipts") };
    assert_eq!(read, vec![Receipt::deferred(""); 100]);
}

#[test]
fn a_reply_that_the_caller_cannot_take_becomes_a_failure() {
    let reply = RemoteReply { content_type: "a".into(), payload: Bytes::from(vec![0; 2_000]) };
    let bytes: Bytes = answer(1, &Ok(reply), 1_000).into_segments().concat().into();
    let Frame::Answer { answer: Err(failure), .. } = parse(&bytes).unwrap() else {
        panic!("failed")
    };
    assert_eq!(failure.kind, FailureKind::Codec);
    assert!(failure.message.contains("2000 bytes"), "{failure}");
}

#[test]
fn a_large_payload_is_a_segment_of_its_own_and_a_small_one_is_not() {
    let payload = Bytes::from(vec![1; 8_000]);
    let small = (Bytes::from_static(b"head"), Bytes::from_static(b"small"));
    let parts = [small.clone(), (Bytes::from_static(b"head"), payload.clone()), small];
    let segments = batch(1, Guarantee::Stored, parts.iter()).into_segments();
    assert_eq!(segments.len(), 3);
    assert_eq!(segments[1].as_ptr(), payload.as_ptr(), "it is not copied");
}
