//! What strangers may send, for a fuzzer: each function reads arbitrary bytes as a connection does,
//! and panics where reading and writing do not agree.

use bytes::Bytes;

use crate::envelope::Envelope;
#[cfg(feature = "tcp")]
use crate::transport::tcp::frame::{self, Frame, HEAD};

/// Reads an envelope. What can be read is written and read again, and has to be the same.
///
/// # Panics
/// It is not.
pub fn envelope(bytes: &[u8]) {
    if let Ok(envelope) = Envelope::from_bytes(&Bytes::copy_from_slice(bytes)) {
        assert_eq!(Envelope::from_bytes(&envelope.to_bytes()).as_ref(), Ok(&envelope));
        let (head, payload) = envelope.to_parts();
        assert_eq!([head, payload].concat(), envelope.to_bytes());
    }
}

/// Reads frames, and the envelopes in them, until the bytes end or make no sense. What can be read
/// is written and read again, and has to be the same.
///
/// # Panics
/// It is not.
#[cfg(feature = "tcp")]
pub fn frame(bytes: &[u8]) {
    let mut rest = Bytes::copy_from_slice(bytes);
    while let Some(first) = rest.first_chunk::<HEAD>()
        && let Ok((length, kind)) = frame::head(*first, 4 << 20)
        && rest.len() - HEAD >= length
    {
        let body = rest.split_to(HEAD + length).slice(HEAD..);
        let Ok(frame) = Frame::decode(kind, body) else { return };
        let again = Bytes::from(frame.encode().into_segments().concat());
        assert_eq!(Frame::decode(again[HEAD - 1], again.slice(HEAD..)).as_ref(), Ok(&frame));
        match frame {
            Frame::Batch { envelopes, .. } => envelopes.iter().for_each(|bytes| envelope(bytes)),
            Frame::Request { envelope: bytes, .. } => envelope(&bytes),
            _ => {}
        }
    }
}
