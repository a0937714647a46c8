//! The binary form of an envelope: nothing is lost, and no bytes do harm.

use std::time::{Duration, SystemTime};

use bytes::Bytes;
use jasper::envelope::{
    Address, DecodeError, Envelope, Headers, MAX_FIELD_BYTES, MAX_HEADER_BYTES, MAX_HEADERS,
    MessageId, time,
};
use jasper::message::MessageType;
use proptest::prelude::*;

fn full() -> Envelope {
    let destination: Address = "tcp://peer:5580".parse().unwrap();
    let payload = Bytes::from_static(b"{\"n\":1}");
    let kind = MessageType::new("orders.place-order", 7);
    let mut envelope = Envelope::new(kind, "application/json", payload, destination);
    envelope.headers.insert("color", "blue");
    envelope.headers.insert("empty", "");
    envelope.source = Some("shop".into());
    envelope.reply_to = Some("local://replies".parse().unwrap());
    envelope.correlation_id = Some("request 7".into());
    envelope.causation_id = Some(MessageId::new());
    envelope.traceparent = Some("00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01".into());
    envelope.saga_id = Some("saga".into());
    envelope.tenant_id = Some("north".into());
    envelope.group_id = Some("group".into());
    envelope.deduplication_id = Some("key".into());
    envelope.deliver_by = Some(time::now() + Duration::from_secs(5));
    envelope.due_at = Some(SystemTime::UNIX_EPOCH);
    envelope.attempts = 3;
    envelope.redelivered = true;
    envelope
}

#[test]
fn an_envelope_with_every_field_set_comes_back_equal() {
    let envelope = full();
    assert_eq!(Envelope::from_bytes(&envelope.to_bytes()), Ok(envelope));
}

#[test]
fn an_envelope_with_no_optional_field_comes_back_equal() {
    let kind = MessageType::new("a", 1);
    let envelope = Envelope::new(kind, "x", Bytes::new(), Address::local("q", "h"));
    assert_eq!(Envelope::from_bytes(&envelope.to_bytes()), Ok(envelope));
}

#[test]
fn every_cut_is_refused_and_none_panics() {
    let bytes = full().to_bytes();
    for length in 0..bytes.len() {
        assert!(Envelope::from_bytes(&bytes.slice(..length)).is_err(), "cut at {length}");
    }
}

#[test]
fn the_payload_is_borrowed_and_not_copied() {
    let bytes = full().to_bytes();
    let envelope = Envelope::from_bytes(&bytes).unwrap();
    let range = bytes.as_ptr_range();
    assert!(range.contains(&envelope.payload.as_ptr()));
}

#[test]
fn an_unknown_field_is_skipped_so_that_old_readers_understand_new_writers() {
    let envelope = full();
    let mut bytes = envelope.to_bytes().to_vec();
    bytes.extend([200, 0, 0, 0, 3, 1, 2, 3]);
    assert_eq!(Envelope::from_bytes(&bytes.into()), Ok(envelope));
}

#[test]
fn a_field_that_stands_twice_is_refused() {
    let mut bytes = full().to_bytes().to_vec();
    let source = [7, 0, 0, 0, 1, b'x'];
    bytes.extend(source);
    let refused = Envelope::from_bytes(&bytes.into());
    assert_eq!(refused, Err(DecodeError::Repeated { field: "source" }));
}

#[test]
fn another_version_is_named() {
    let refused = Envelope::from_bytes(&Bytes::from_static(&[9]));
    assert_eq!(refused, Err(DecodeError::UnknownVersion { found: 9 }));
}

#[test]
fn a_length_that_exceeds_the_bytes_is_refused_before_anything_is_allocated() {
    let refused = Envelope::from_bytes(&Bytes::from_static(&[1, 4, 255, 255, 255, 255, 0]));
    assert_eq!(refused, Err(DecodeError::CutOff));
}

#[test]
fn too_many_headers_are_refused() {
    let mut envelope = full();
    for n in 0..MAX_HEADERS {
        envelope.headers.insert(format!("header {n}"), "x");
    }
    assert_eq!(Envelope::from_bytes(&envelope.to_bytes()), Err(DecodeError::TooManyHeaders));
}

/// The writer and the reader have one opinion of it.
fn is_taken(envelope: &Envelope) -> bool {
    let is_read = Envelope::from_bytes(&envelope.to_bytes()).as_ref() == Ok(envelope);
    assert_eq!(envelope.check().is_ok(), is_read, "{:?}", envelope.check());
    is_read
}

#[test]
fn each_text_field_has_a_limit_that_its_writer_and_its_reader_hold() {
    let set: [fn(&mut Envelope, String); 8] = [
        |envelope, text| envelope.content_type = text.into(),
        |envelope, text| envelope.source = Some(text),
        |envelope, text| envelope.correlation_id = Some(text),
        |envelope, text| envelope.traceparent = Some(text),
        |envelope, text| envelope.saga_id = Some(text),
        |envelope, text| envelope.tenant_id = Some(text),
        |envelope, text| envelope.group_id = Some(text),
        |envelope, text| envelope.deduplication_id = Some(text),
    ];
    for set in set {
        let with = |length| {
            let mut envelope = full();
            set(&mut envelope, "x".repeat(length));
            envelope
        };
        assert!(is_taken(&with(MAX_FIELD_BYTES)));
        assert!(!is_taken(&with(MAX_FIELD_BYTES + 1)));
        let read = Envelope::from_bytes(&with(3 << 20).to_bytes());
        assert!(matches!(read, Err(DecodeError::TooLong { .. })), "{read:?}");
    }
    let mut envelope = full();
    envelope.destination = Address::local("q", &"x".repeat(MAX_FIELD_BYTES));
    assert!(!is_taken(&envelope));
    envelope.destination = Address::local("q", "h");
    envelope.message_type = format!("{}@1", "x".repeat(MAX_FIELD_BYTES - 1)).parse().unwrap();
    assert!(!is_taken(&envelope));
}

#[test]
fn headers_have_limits_that_their_writer_and_their_reader_hold() {
    let with = |count: usize, bytes: usize| {
        let mut envelope = full();
        envelope.headers = Headers::default();
        for n in 0..count {
            envelope.headers.insert(format!("{n:04}"), "x".repeat(bytes));
        }
        envelope
    };
    let largest = MAX_HEADER_BYTES / MAX_HEADERS - 8;
    assert!(is_taken(&with(MAX_HEADERS, largest)));
    assert!(!is_taken(&with(MAX_HEADERS, largest + 1)));
    assert!(is_taken(&with(MAX_HEADERS, 0)));
    assert!(!is_taken(&with(MAX_HEADERS + 1, 0)));
    assert!(is_taken(&with(1, MAX_HEADER_BYTES - 8)));
    assert!(!is_taken(&with(1, MAX_HEADER_BYTES - 7)));
}

#[test]
fn debug_shows_no_payload_and_no_header() {
    let mut envelope = full();
    envelope.payload = Bytes::from_static(b"secret-payload");
    envelope.headers.insert("token", "secret-header");
    assert!(!format!("{envelope:?}").contains("secret"));
}

#[test]
fn derived_ids_repeat_and_keys_name_one_message_of_one_type() {
    let (id, sent_at) = (MessageId::new(), time::now());
    let derived = |handler, ordinal| id.derived(sent_at, handler, ordinal);
    assert_eq!(derived("handler", 1), derived("handler", 1));
    assert_ne!(derived("handler", 1), derived("handler", 2));
    assert_ne!(derived("handler", 1), derived("other", 1));
    let later = sent_at + Duration::from_micros(1);
    assert_ne!(derived("handler", 1), id.derived(later, "handler", 1));
    let of = MessageId::of_deduplication_id;
    assert_eq!(of("a@1", "key"), of("a@1", "key"));
    assert_ne!(of("a@1", "key"), of("a@2", "key"));
}

proptest! {
    #[test]
    fn no_bytes_make_the_reader_panic(bytes in proptest::collection::vec(any::<u8>(), 0..400)) {
        drop(Envelope::from_bytes(&bytes.into()));
    }

    #[test]
    fn no_change_of_one_byte_makes_the_reader_panic(at in 0usize..400, to in any::<u8>()) {
        let mut bytes = full().to_bytes().to_vec();
        let at = at % bytes.len();
        bytes[at] = to;
        drop(Envelope::from_bytes(&bytes.into()));
    }

    #[test]
    fn any_text_and_any_time_come_back(
        text in ".{0,40}",
        name in ".{1,20}",
        micros in 0i64..=i64::MAX,
        payload in proptest::collection::vec(any::<u8>(), 0..300),
    ) {
        let mut envelope = full();
        envelope.correlation_id = Some(text.clone());
        envelope.headers.insert(name, text);
        envelope.due_at = Some(time::from_micros(micros));
        envelope.payload = payload.into();
        prop_assert_eq!(Envelope::from_bytes(&envelope.to_bytes()), Ok(envelope));
    }
}
