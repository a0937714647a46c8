//! Writing frames, without copying payloads that are large enough to be worth a segment.

use bytes::{BufMut, Bytes, BytesMut};

use super::format::{
    BATCH_HEAD, ENVELOPE_HEAD, Frame, HEAD, LENGTH, LONGEST_FAILURE, LONGEST_REASON, REQUEST_HEAD,
};
use super::hello::PROOF;
use super::kind;
use super::text::{clip, put_text};
use crate::transport::{Answer, FailureKind, Guarantee, Receipt, RemoteFailure};

/// A payload from this size on is written from where it lies; below, copying is cheaper than one
/// more segment for the system to gather.
const WORTH_A_SEGMENT: usize = 4 << 10;

/// The bytes of a frame, in segments.
#[derive(Debug, Default)]
pub(crate) struct Encoded {
    segments: Vec<Bytes>,
    open: BytesMut,
}

impl Encoded {
    /// Begins a frame, of which this many bytes follow the length.
    fn with_kind(kind: u8, length: usize) -> Self {
        let mut open = BytesMut::with_capacity(LENGTH + length.min(WORTH_A_SEGMENT));
        open.put_u32(wire_u32(length));
        open.put_u8(kind);
        Self { segments: Vec::new(), open }
    }

    fn share(&mut self, bytes: Bytes) {
        if bytes.len() < WORTH_A_SEGMENT {
            self.open.put_slice(&bytes);
        } else {
            self.segments.push(self.open.split().freeze());
            self.segments.push(bytes);
        }
    }

    fn of_body(kind: u8, body: &[u8]) -> Self {
        let mut out = Self::with_kind(kind, 1 + body.len());
        out.open.put_slice(body);
        out
    }

    /// The segments in order, none of them empty.
    pub(crate) fn into_segments(mut self) -> Vec<Bytes> {
        if !self.open.is_empty() {
            self.segments.push(self.open.freeze());
        }
        self.segments
    }

    /// How many bytes it has.
    pub(crate) fn len(&self) -> usize {
        self.segments.iter().map(Bytes::len).sum::<usize>() + self.open.len()
    }
}

/// No length here can be larger than a frame, whose ceiling is far below 4 GiB.
fn wire_u32(length: usize) -> u32 {
    u32::try_from(length).unwrap_or(u32::MAX)
}

/// A batch of envelopes, each in the two parts of `Envelope::to_parts`.
pub(crate) fn batch<'a>(
    number: u64,
    guarantee: Guarantee,
    envelopes: impl ExactSizeIterator<Item = &'a (Bytes, Bytes)> + Clone,
) -> Encoded {
    let sizes = envelopes.clone().map(|(head, payload)| head.len() + payload.len());
    let length = BATCH_HEAD + sizes.map(|size| ENVELOPE_HEAD + size).sum::<usize>();
    let mut out = Encoded::with_kind(kind::BATCH, length);
    out.open.put_u64(number);
    out.open.put_u8(match guarantee {
        Guarantee::Stored => 0,
        Guarantee::InMemory => 1,
    });
    out.open.put_u32(wire_u32(envelopes.len()));
    for (head, payload) in envelopes {
        out.open.put_u32(wire_u32(head.len() + payload.len()));
        out.open.put_slice(head);
        out.share(payload.clone());
    }
    out
}

/// Receipts, without their reasons where those would make the frame too large for the other side.
pub(crate) fn receipts(number: u64, receipts: &[Receipt], limit: usize) -> Encoded {
    let text = |receipt: &Receipt| match receipt {
        Receipt::Accepted => 0,
        Receipt::Deferred { why } | Receipt::Refused { why } | Receipt::Unknown { why } => {
            2 + clip(why, LONGEST_REASON).len()
        }
    };
    let length = |with: bool| {
        let texts = receipts.iter().map(|receipt| if with { text(receipt) } else { 2 });
        1 + 8 + 4 + receipts.len() + texts.sum::<usize>()
    };
    let with_reasons = length(true) <= limit;
    let mut out = Encoded::with_kind(kind::RECEIPTS, 0);
    out.open.put_u64(number);
    out.open.put_u32(wire_u32(receipts.len()));
    for receipt in receipts {
        let (code, why) = match receipt {
            Receipt::Accepted => (0, None),
            // A receiver sees what it has: where it answers that it does not know, it has not taken
            // the envelope.
            Receipt::Deferred { why } | Receipt::Unknown { why } => (1, Some(why)),
            Receipt::Refused { why } => (2, Some(why)),
        };
        out.open.put_u8(code);
        if let Some(why) = why {
            let why = if with_reasons { clip(why, LONGEST_REASON) } else { "" };
            put_text(&mut out.open, why);
        }
    }
    out.close()
}

/// A request.
pub(crate) fn request(number: u64, timeout_ms: u32, envelope: (Bytes, Bytes)) -> Encoded {
    let (head, payload) = envelope;
    let mut out = Encoded::with_kind(kind::REQUEST, REQUEST_HEAD + head.len() + payload.len());
    out.open.put_u64(number);
    out.open.put_u32(timeout_ms);
    out.open.put_slice(&head);
    out.share(payload);
    out
}

/// An answer; a reply that is too large for the other side becomes a failure that says so.
pub(crate) fn answer(number: u64, answer: &Answer, limit: usize) -> Encoded {
    let reply = match answer {
        Ok(reply) => reply,
        Err(failure) => return failed(number, failure, limit),
    };
    let content_type = clip(&reply.content_type, LONGEST_REASON);
    let length = 1 + 8 + 1 + 2 + content_type.len() + reply.payload.len();
    if length > limit {
        let size = reply.payload.len();
        let why = format!("a reply of {size} bytes is more than the {limit} that the caller takes");
        return failed(number, &RemoteFailure::new(FailureKind::Codec, why), limit);
    }
    let mut out = Encoded::with_kind(kind::ANSWER, length);
    out.open.put_u64(number);
    out.open.put_u8(0);
    put_text(&mut out.open, content_type);
    out.share(reply.payload.clone());
    out
}

fn failed(number: u64, failure: &RemoteFailure, limit: usize) -> Encoded {
    let mut out = Encoded::with_kind(kind::ANSWER, 0);
    out.open.put_u64(number);
    out.open.put_u8(failure_code(failure.kind));
    let room = limit.saturating_sub(16).min(LONGEST_FAILURE);
    put_text(&mut out.open, clip(&failure.message, room));
    out.close()
}

pub(super) const fn failure_code(kind: FailureKind) -> u8 {
    match kind {
        FailureKind::Failed => 1,
        FailureKind::TimedOut => 2,
        FailureKind::NoHandler => 3,
        FailureKind::Codec => 4,
        FailureKind::Forbidden => 5,
        FailureKind::Unavailable => 6,
    }
}

impl Encoded {
    /// Ends a frame of one segment by writing the length that it turned out to have.
    fn close(mut self) -> Self {
        let length = wire_u32(self.open.len() - LENGTH);
        self.open[..LENGTH].copy_from_slice(&length.to_be_bytes());
        self
    }
}

impl Frame {
    /// The bytes of the frame.
    pub(crate) fn encode(&self) -> Encoded {
        match self {
            Self::Hello(hello) => Encoded::of_body(kind::HELLO, &hello.body()),
            Self::Welcome(welcome) => Encoded::of_body(kind::WELCOME, &welcome.body()),
            Self::Proof(proof) => Encoded::of_body(kind::PROOF, slice(proof.as_ref())),
            Self::Ready(proof) => Encoded::of_body(kind::READY, slice(proof.as_ref())),
            Self::Rejected(rejected) => {
                let mut body = BytesMut::with_capacity(3 + rejected.why.len());
                body.put_u8(rejected.code.to_byte());
                put_text(&mut body, clip(&rejected.why, LONGEST_REASON));
                Encoded::of_body(kind::REJECTED, &body)
            }
            Self::Batch { number, guarantee, envelopes } => {
                let whole: Vec<_> = envelopes.iter().map(|e| (e.clone(), Bytes::new())).collect();
                batch(*number, *guarantee, whole.iter())
            }
            Self::Receipts { number, receipts: all } => receipts(*number, all, usize::MAX),
            Self::Request { number, timeout_ms, envelope } => {
                request(*number, *timeout_ms, (envelope.clone(), Bytes::new()))
            }
            Self::Answer { number, answer: result } => answer(*number, result, usize::MAX),
            Self::Ping => Encoded::of_body(kind::PING, &[]),
            Self::Pong => Encoded::of_body(kind::PONG, &[]),
            Self::Bye => Encoded::of_body(kind::BYE, &[]),
        }
    }
}

fn slice(proof: Option<&[u8; PROOF]>) -> &[u8] {
    proof.map_or(&[], |proof| proof)
}

const _: () = assert!(HEAD == LENGTH + 1, "the kind is the first byte that the length counts");
