//! What a peer may not send never reaches the receiver.

use bytes::Bytes;

use super::super::counting::rejected;
use super::super::peer::Peer;
use crate::envelope::Envelope;
use crate::transport::{FailureKind, Receipt, RemoteFailure, Unreadable};

/// A batch, parted into what the receiver gets and what has its receipt already.
#[derive(Debug)]
pub(super) struct FilteredBatch {
    pub(super) envelopes: Vec<Result<Envelope, Unreadable>>,
    /// For each envelope that came: its receipt, or `None` for the next one of the receiver.
    fixed: Vec<Option<Receipt>>,
}

/// Reads the envelopes of a batch, and keeps back what this peer may not send.
pub(super) fn screen(peer: Option<&Peer>, batch: Vec<Bytes>, frame: usize) -> FilteredBatch {
    let mut screened =
        FilteredBatch { envelopes: Vec::with_capacity(batch.len()), fixed: Vec::new() };
    for bytes in batch {
        let envelope = Envelope::from_bytes(&bytes).map(|envelope| unpinned(envelope, frame));
        let forbidden = match &envelope {
            Ok(envelope) => forbidden(peer, envelope),
            // It cannot be known whether it is of a type that such a peer may send.
            Err(_unreadable) => peer.is_some_and(Peer::is_limited).then(|| {
                rejected("forbidden", 1);
                "these bytes cannot be read".to_owned()
            }),
        };
        if let Some(why) = forbidden {
            screened.fixed.push(Some(Receipt::refused(why)));
        } else {
            screened.fixed.push(None);
            screened.envelopes.push(envelope.map_err(|error| Unreadable { bytes, error }));
        }
    }
    screened
}

/// A payload is a part of its frame and keeps all of it in memory. One that is less than half of
/// it is copied, so that what stays in memory is at most twice what is counted for it.
fn unpinned(mut envelope: Envelope, frame: usize) -> Envelope {
    if envelope.payload.len() < (frame / 2).max(SMALL) {
        envelope.payload = Bytes::copy_from_slice(&envelope.payload);
    }
    envelope
}

/// Payloads of less than this, in bytes, cost little to copy.
const SMALL: usize = 2_048;

impl FilteredBatch {
    /// All receipts in order, given those of the receiver.
    pub(super) fn receipts(fixed: Fixed, given: Vec<Receipt>) -> Vec<Receipt> {
        let mut given = given.into_iter();
        // A receiver that gives too few receipts says nothing about the rest.
        let missing = || Receipt::deferred("the receiver gave no receipt");
        let receipts = fixed.0.into_iter();
        receipts.map(|fixed| fixed.or_else(|| given.next()).unwrap_or_else(missing)).collect()
    }

    pub(super) fn parts(self) -> (Vec<Result<Envelope, Unreadable>>, Fixed) {
        (self.envelopes, Fixed(self.fixed))
    }
}

/// The receipts that are certain, at their places.
#[derive(Debug)]
pub(super) struct Fixed(Vec<Option<Receipt>>);

/// Reads the envelope of a request.
pub(super) fn screen_request(
    peer: Option<&Peer>,
    bytes: &Bytes,
) -> Result<Envelope, RemoteFailure> {
    let envelope = Envelope::from_bytes(bytes)
        .map_err(|error| RemoteFailure::new(FailureKind::Codec, error.to_string()))?;
    match forbidden(peer, &envelope) {
        Some(why) => Err(RemoteFailure::new(FailureKind::Forbidden, why)),
        None => Ok(envelope),
    }
}

fn forbidden(peer: Option<&Peer>, envelope: &Envelope) -> Option<String> {
    let peer = peer?;
    if peer.may_send(&envelope.message_type) {
        return None;
    }
    rejected("forbidden", 1);
    Some(format!("the peer `{}` may not send `{}`", peer.name(), envelope.message_type))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::envelope::Address;
    use crate::message::MessageType;

    /// A frame with envelopes of these payloads, in one piece of memory.
    fn batch(payloads: &[usize]) -> (Vec<Bytes>, usize) {
        let encoded = payloads.iter().map(|bytes| {
            let (of, to) = (MessageType::new("take", 1), Address::local("queue", "handler"));
            Envelope::new(of, "text/plain", vec![7; *bytes].into(), to).to_bytes()
        });
        let encoded: Vec<_> = encoded.collect();
        let frame = Bytes::from(encoded.concat());
        let mut start = 0;
        let slices = encoded.iter().map(|envelope| {
            start += envelope.len();
            frame.slice(start - envelope.len()..start)
        });
        (slices.collect(), frame.len())
    }

    /// What of the frame the payloads hold in memory once all else is dropped.
    fn held(payloads: &[usize]) -> Vec<bool> {
        let (batch, frame) = batch(payloads);
        let (envelopes, _fixed) = screen(None, batch, frame).parts();
        let payloads = envelopes.into_iter().map(|envelope| envelope.unwrap().payload);
        let payloads: Vec<_> = payloads.collect();
        // Each that is a part of the frame shares it with the others that are.
        payloads.iter().map(|payload| !payload.is_unique()).collect()
    }

    #[test]
    fn a_payload_holds_no_memory_of_a_frame_that_is_larger_than_twice_its_size() {
        assert_eq!(held(&[2_048; 100]), [false; 100]);
        assert_eq!(held(&[10_000, 100_000, 50_000]), [false; 3], "each has its own");
        let (batch, frame) = batch(&[100_000, 10]);
        let place = batch[0].as_ptr_range();
        let (envelopes, _fixed) = screen(None, batch, frame).parts();
        let large = envelopes.into_iter().next().unwrap().unwrap().payload;
        assert!(place.contains(&large.as_ptr()), "what is most of its frame is not copied");
    }
}
