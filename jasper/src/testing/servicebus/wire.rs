//! Frames as bytes: the head here, and the rest by the types of AMQP.

use bytes::{Buf, BufMut, Bytes, BytesMut};
use fe2o3_amqp_types::performatives::{Performative, Transfer};
use fe2o3_amqp_types::primitives::Value;
use serde::Serialize;
use serde::de::DeserializeOwned;

pub(super) const AMQP_HEADER: [u8; 8] = *b"AMQP\x00\x01\x00\x00";
pub(super) const SASL_HEADER: [u8; 8] = *b"AMQP\x03\x01\x00\x00";
pub(super) const AMQP_FRAME: u8 = 0;
pub(super) const SASL_FRAME: u8 = 1;
/// What the broker takes in one frame, in bytes.
pub(super) const MAX_FRAME_SIZE: u32 = 65_536;
const HEAD: usize = 8;

/// What does not fit the protocol.
#[derive(Debug, thiserror::Error)]
pub(super) enum WireError {
    #[error("the connection broke: {0}")]
    Io(#[from] std::io::Error),
    #[error("a frame cannot be read or written: {0}")]
    Codec(#[from] serde_amqp::Error),
    #[error("a frame of {0} bytes, where 8 to {MAX_FRAME_SIZE} are taken")]
    FrameSize(usize),
    #[error("{0}")]
    Protocol(&'static str),
}

#[derive(Debug)]
pub(super) struct Frame {
    pub(super) kind: u8,
    pub(super) channel: u16,
    pub(super) body: Bytes,
}

/// Cuts the next whole frame off the bytes read so far.
pub(super) fn next_frame(buffer: &mut BytesMut) -> Result<Option<Frame>, WireError> {
    if buffer.len() < HEAD {
        return Ok(None);
    }
    let size = u32::from_be_bytes([buffer[0], buffer[1], buffer[2], buffer[3]]) as usize;
    let start = usize::from(buffer[4]) * 4;
    if size < HEAD || size > MAX_FRAME_SIZE as usize || start < HEAD || start > size {
        return Err(WireError::FrameSize(size));
    }
    if buffer.len() < size {
        return Ok(None);
    }
    let mut frame = buffer.split_to(size).freeze();
    let (kind, channel) = (frame[5], u16::from_be_bytes([frame[6], frame[7]]));
    frame.advance(start);
    Ok(Some(Frame { kind, channel, body: frame }))
}

/// The performative of a frame, and what follows it.
pub(super) fn decode(body: &Bytes) -> Result<(Performative, Bytes), WireError> {
    let mut rest: &[u8] = body;
    match serde_amqp::from_reader(&mut rest) {
        Ok(performative) => Ok((performative, body.slice(body.len() - rest.len()..))),
        Err(error) => Ok((decode_loosely(body).ok_or(error)?, Bytes::new())),
    }
}

/// A performative without a payload whose maps have texts where the protocol has symbols: so the
/// client for JavaScript rejects a message, and the service takes it.
fn decode_loosely(body: &Bytes) -> Option<Performative> {
    let value: Value = serde_amqp::from_slice(body).ok()?;
    let corrected = serde_amqp::to_vec(&with_symbols(value)).ok()?;
    serde_amqp::from_slice(&corrected).ok()
}

fn with_symbols(value: Value) -> Value {
    match value {
        Value::Described(mut described) => {
            described.value = with_symbols(described.value);
            Value::Described(described)
        }
        Value::List(values) => Value::List(values.into_iter().map(with_symbols).collect()),
        Value::Map(map) => Value::Map(
            map.into_iter()
                .map(|(key, value)| match key {
                    Value::String(text) => (Value::Symbol(text.into()), value),
                    other => (other, value),
                })
                .collect(),
        ),
        other => other,
    }
}

pub(super) fn decode_sasl<T: DeserializeOwned>(frame: &Frame) -> Result<T, WireError> {
    if frame.kind != SASL_FRAME {
        return Err(WireError::Protocol("a frame that is not of SASL before its end"));
    }
    let mut rest: &[u8] = &frame.body;
    Ok(serde_amqp::from_reader(&mut rest)?)
}

pub(super) fn encode(
    kind: u8,
    channel: u16,
    body: &impl Serialize,
    into: &mut BytesMut,
) -> Result<(), WireError> {
    put_frame(kind, channel, &serde_amqp::to_vec(body)?, &[], into);
    Ok(())
}

/// A frame without a body, by which a peer sees that the connection lives.
pub(super) fn encode_empty(into: &mut BytesMut) {
    put_frame(AMQP_FRAME, 0, &[], &[], into);
}

/// A delivery in as many frames as the peer's limit asks for; says how many.
pub(super) fn encode_transfer(
    channel: u16,
    mut transfer: Transfer,
    mut payload: &[u8],
    max_frame_size: usize,
    into: &mut BytesMut,
) -> Result<u32, WireError> {
    let mut frames = 0;
    loop {
        transfer.more = true;
        let split = serde_amqp::to_vec(&transfer)?;
        let room = max_frame_size.saturating_sub(HEAD + split.len()).max(1);
        frames += 1;
        if payload.len() <= room {
            transfer.more = false;
            put_frame(AMQP_FRAME, channel, &serde_amqp::to_vec(&transfer)?, payload, into);
            return Ok(frames);
        }
        let (part, rest) = payload.split_at(room);
        put_frame(AMQP_FRAME, channel, &split, part, into);
        payload = rest;
    }
}

fn put_frame(kind: u8, channel: u16, body: &[u8], payload: &[u8], into: &mut BytesMut) {
    let size = HEAD + body.len() + payload.len();
    into.reserve(size);
    // A frame is never longer than the peer's limit, which is a `u32`.
    into.put_u32(u32::try_from(size).unwrap_or(u32::MAX));
    into.put_u8(2);
    into.put_u8(kind);
    into.put_u16(channel);
    into.put_slice(body);
    into.put_slice(payload);
}

#[cfg(test)]
mod tests {
    use bytes::{Bytes, BytesMut};
    use fe2o3_amqp_types::definitions::{DeliveryTag, Handle};
    use fe2o3_amqp_types::performatives::{Performative, Transfer};

    use super::{decode, encode_transfer, next_frame};

    fn transfer() -> Transfer {
        Transfer {
            handle: Handle(1),
            delivery_id: Some(0),
            delivery_tag: Some(DeliveryTag::from([7; 16])),
            message_format: Some(0),
            settled: Some(false),
            more: false,
            rcv_settle_mode: None,
            state: None,
            resume: false,
            aborted: false,
            batchable: false,
        }
    }

    #[test]
    fn a_delivery_is_split_by_the_limit_of_the_peer_and_whole_again() {
        let payload: Vec<u8> = (0..=255).cycle().take(5000).collect();
        let mut buffer = BytesMut::new();
        let frames = encode_transfer(3, transfer(), &payload, 512, &mut buffer).unwrap();
        let mut whole = Vec::new();
        for at in 1..=frames {
            let frame = next_frame(&mut buffer).unwrap().unwrap();
            assert!(frame.channel == 3 && frame.body.len() + 8 <= 512);
            let (performative, part) = decode(&frame.body).unwrap();
            let Performative::Transfer(found) = performative else { panic!("{performative:?}") };
            assert_eq!(found.more, at < frames);
            whole.extend_from_slice(&part);
        }
        assert!(frames > 9 && buffer.is_empty());
        assert_eq!(whole, payload);
    }

    #[test]
    fn a_frame_of_an_impossible_size_is_an_error_and_half_a_frame_none() {
        let mut short = BytesMut::from(&[0, 0, 0, 7, 2, 0, 0, 0][..]);
        next_frame(&mut short).unwrap_err();
        let mut half = BytesMut::from(&[0, 0, 0, 9, 2, 0, 0, 0][..]);
        assert!(next_frame(&mut half).unwrap().is_none());
    }

    #[test]
    fn bytes_that_are_no_performative_are_an_error() {
        decode(&Bytes::from_static(b"\x00\x53\x99\xc0")).unwrap_err();
    }
}
