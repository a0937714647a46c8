//! What the two sides say until they know each other.

use std::fmt;

use bytes::{BufMut, BytesMut};

use super::text::put_text;

/// What every connection begins with. The line break tells a text protocol from this one, and shows
/// a way that changes line breaks.
pub(super) const MAGIC: [u8; 8] = *b"jasper\r\n";

/// The length of a nonce.
pub(in super::super) const NONCE: usize = 32;
/// The length of a proof.
pub(in super::super) const PROOF: usize = 32;

/// Random bytes that no other handshake has.
pub(in super::super) type Nonce = [u8; NONCE];
/// What only the holder of a key can compute.
pub(in super::super) type Proof = [u8; PROOF];

/// The first frame, from the side that dialled.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Hello {
    pub(in super::super) lowest: u8,
    pub(in super::super) highest: u8,
    pub(in super::super) nonce: Nonce,
    /// The largest frame that the side which dialled takes.
    pub(in super::super) frame: u32,
    /// The name of the key by which it is going to prove who it is; empty for none.
    pub(in super::super) key_id: String,
}

impl Hello {
    pub(in super::super) fn body(&self) -> BytesMut {
        let mut out = BytesMut::with_capacity(MAGIC.len() + 40 + self.key_id.len());
        out.put_slice(&MAGIC);
        out.put_u8(self.lowest);
        out.put_u8(self.highest);
        out.put_slice(&self.nonce);
        out.put_u32(self.frame);
        put_text(&mut out, &self.key_id);
        out
    }
}

/// The answer to it: what the side that listens chooses and how much it takes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Welcome {
    pub(in super::super) version: u8,
    pub(in super::super) nonce: Nonce,
    pub(in super::super) frame: u32,
    pub(in super::super) window: u32,
    pub(in super::super) batches: u32,
    pub(in super::super) requests: u32,
}

impl Welcome {
    pub(in super::super) fn body(&self) -> BytesMut {
        let mut out = BytesMut::with_capacity(NONCE + 17);
        out.put_u8(self.version);
        out.put_slice(&self.nonce);
        out.put_u32(self.frame);
        out.put_u32(self.window);
        out.put_u32(self.batches);
        out.put_u32(self.requests);
        out
    }
}

/// The last frame of a side that takes no more of this connection, and why.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Rejected {
    pub(in super::super) code: RejectCode,
    pub(in super::super) why: String,
}

/// Why a connection is not taken, for telemetry and for the other side.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum RejectCode {
    Version,
    Auth,
    Limit,
    Protocol,
    FrameSize,
    Deadline,
}

impl RejectCode {
    const ALL: [Self; 6] =
        [Self::Version, Self::Auth, Self::Limit, Self::Protocol, Self::FrameSize, Self::Deadline];

    pub(super) const fn to_byte(self) -> u8 {
        match self {
            Self::Version => 1,
            Self::Auth => 2,
            Self::Limit => 3,
            Self::Protocol => 4,
            Self::FrameSize => 5,
            Self::Deadline => 6,
        }
    }

    pub(super) fn from_byte(byte: u8) -> Option<Self> {
        Self::ALL.into_iter().find(|code| code.to_byte() == byte)
    }

    /// The value of the attribute `reason` in telemetry.
    pub(in super::super) const fn as_str(self) -> &'static str {
        match self {
            Self::Version => "version",
            Self::Auth => "auth",
            Self::Limit => "limit",
            Self::Protocol => "protocol",
            Self::FrameSize => "frame_size",
            Self::Deadline => "deadline",
        }
    }
}

impl fmt::Display for RejectCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}
