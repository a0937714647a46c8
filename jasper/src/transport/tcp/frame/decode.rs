//! Reading frames, from bytes that are not trusted.

use std::borrow::Cow;

use bytes::{Buf, Bytes};

use super::encode::failure_code;
use super::format::{
    ENVELOPE_HEAD, Frame, FrameError, LONGEST_FAILURE, LONGEST_REASON, MOST_ENVELOPES,
};
use super::hello::MAGIC;
use super::hello::{Hello, Proof, RejectCode, Rejected, Welcome};
use super::kind;
use crate::error_text::on_one_line;
use crate::transport::{Answer, FailureKind, Guarantee, Receipt, RemoteFailure, RemoteReply};

impl Frame {
    /// Reads what follows the kind. Envelopes and payloads are slices of it, not copies.
    pub(crate) fn decode(kind: u8, body: Bytes) -> Result<Self, FrameError> {
        let mut rest = RestOfFrame(body);
        let frame = match kind {
            // A later version may add to these two; what it adds is part of the proofs.
            kind::HELLO => return hello(&mut rest).map(Self::Hello),
            kind::WELCOME => return welcome(&mut rest).map(Self::Welcome),
            kind::PROOF => Self::Proof(rest.proof()?),
            kind::READY => Self::Ready(rest.proof()?),
            kind::REJECTED => Self::Rejected(Rejected {
                code: RejectCode::from_byte(rest.u8()?).unwrap_or(RejectCode::Protocol),
                why: rest.words(LONGEST_REASON)?,
            }),
            kind::BATCH => batch(&mut rest)?,
            kind::RECEIPTS => receipts(&mut rest)?,
            kind::REQUEST => {
                Self::Request { number: rest.u64()?, timeout_ms: rest.u32()?, envelope: rest.all() }
            }
            kind::ANSWER => Self::Answer { number: rest.u64()?, answer: answer(&mut rest)? },
            kind::PING => Self::Ping,
            kind::PONG => Self::Pong,
            kind::BYE => Self::Bye,
            unknown => return Err(FrameError::UnknownKind(unknown)),
        };
        if rest.0.is_empty() { Ok(frame) } else { Err(FrameError::Trailing) }
    }

    /// How many envelopes a batch claims, so that room for them can be asked for beforehand.
    pub(in super::super) fn claimed_envelopes(kind: u8, body: &Bytes) -> usize {
        if kind != kind::BATCH {
            return 0;
        }
        let count =
            body.get(9..13).and_then(|bytes| bytes.try_into().ok()).map_or(0, u32::from_be_bytes);
        usize::try_from(count).unwrap_or(usize::MAX).min(MOST_ENVELOPES)
    }
}

fn hello(rest: &mut RestOfFrame) -> Result<Hello, FrameError> {
    if rest.array::<8>().ok() != Some(MAGIC) {
        return Err(FrameError::NotJasper);
    }
    Ok(Hello {
        lowest: rest.u8()?,
        highest: rest.u8()?,
        nonce: rest.array()?,
        frame: rest.u32()?,
        key_id: rest.text(LONGEST_REASON)?,
    })
}

fn welcome(rest: &mut RestOfFrame) -> Result<Welcome, FrameError> {
    Ok(Welcome {
        version: rest.u8()?,
        nonce: rest.array()?,
        frame: rest.u32()?,
        window: rest.u32()?,
        batches: rest.u32()?,
        requests: rest.u32()?,
    })
}

fn batch(rest: &mut RestOfFrame) -> Result<Frame, FrameError> {
    let number = rest.u64()?;
    let guarantee = match rest.u8()? {
        0 => Guarantee::Stored,
        1 => Guarantee::InMemory,
        _ => return Err(FrameError::Invalid("guarantee")),
    };
    let count = rest.count(ENVELOPE_HEAD)?;
    let mut envelopes = Vec::with_capacity(count);
    for _ in 0..count {
        let length = usize::try_from(rest.u32()?).unwrap_or(usize::MAX);
        envelopes.push(rest.take(length)?);
    }
    Ok(Frame::Batch { number, guarantee, envelopes })
}

fn receipts(rest: &mut RestOfFrame) -> Result<Frame, FrameError> {
    let number = rest.u64()?;
    let count = rest.count(1)?;
    let mut receipts = Vec::with_capacity(count);
    for _ in 0..count {
        receipts.push(match rest.u8()? {
            0 => Receipt::Accepted,
            1 => Receipt::deferred(rest.words(LONGEST_REASON)?),
            2 => Receipt::refused(rest.words(LONGEST_REASON)?),
            _ => return Err(FrameError::Invalid("receipt")),
        });
    }
    Ok(Frame::Receipts { number, receipts })
}

fn answer(rest: &mut RestOfFrame) -> Result<Answer, FrameError> {
    match rest.u8()? {
        0 => {
            let content_type = Cow::Owned(rest.words(LONGEST_REASON)?);
            Ok(Ok(RemoteReply { content_type, payload: rest.all() }))
        }
        code => {
            let kind = FailureKind::ALL.into_iter().find(|kind| failure_code(*kind) == code);
            let kind = kind.ok_or(FrameError::Invalid("kind of failure"))?;
            Ok(Err(RemoteFailure { kind, message: rest.words(LONGEST_FAILURE)? }))
        }
    }
}

/// What is left of a frame.
struct RestOfFrame(Bytes);

impl RestOfFrame {
    fn take(&mut self, length: usize) -> Result<Bytes, FrameError> {
        if self.0.len() < length {
            return Err(FrameError::CutOff);
        }
        Ok(self.0.split_to(length))
    }

    fn all(&mut self) -> Bytes {
        std::mem::take(&mut self.0)
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N], FrameError> {
        let mut array = [0; N];
        self.take(N)?.copy_to_slice(&mut array);
        Ok(array)
    }

    fn u8(&mut self) -> Result<u8, FrameError> {
        self.array::<1>().map(|[byte]| byte)
    }

    fn u32(&mut self) -> Result<u32, FrameError> {
        self.array().map(u32::from_be_bytes)
    }

    fn u64(&mut self) -> Result<u64, FrameError> {
        self.array().map(u64::from_be_bytes)
    }

    /// A number of parts, each of which has at least `smallest` bytes: as many must be there.
    fn count(&mut self, smallest: usize) -> Result<usize, FrameError> {
        let count = usize::try_from(self.u32()?).unwrap_or(usize::MAX);
        if count > MOST_ENVELOPES {
            return Err(FrameError::Invalid("number of envelopes"));
        }
        if count.checked_mul(smallest).is_none_or(|bytes| bytes > self.0.len()) {
            return Err(FrameError::CutOff);
        }
        Ok(count)
    }

    fn text(&mut self, most: usize) -> Result<String, FrameError> {
        let length = usize::from(u16::from_be_bytes(self.array()?));
        if length > most {
            return Err(FrameError::Invalid("text"));
        }
        let bytes = self.take(length)?;
        let text = std::str::from_utf8(&bytes).map_err(|_error| FrameError::Invalid("text"))?;
        Ok(text.to_owned())
    }

    /// A text for people, which ends in logs and errors.
    fn words(&mut self, most: usize) -> Result<String, FrameError> {
        self.text(most).map(|text| match on_one_line(&text) {
            Cow::Borrowed(_) => text,
            Cow::Owned(shown) => shown,
        })
    }

    fn proof(&mut self) -> Result<Option<Proof>, FrameError> {
        if self.0.is_empty() { Ok(None) } else { self.array().map(Some) }
    }
}
