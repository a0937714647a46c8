//! What a broker's listener has, offered to the receiver: one receipt for each message.

use super::Receiver;
use super::batch::{Guarantee, Receipt, Received, ReceivedDeadLetter, Unreadable};
use crate::envelope::Envelope;

/// A message that has come from a broker and is not settled.
pub(super) trait Offer {
    fn guarantee(&self) -> Guarantee;

    fn envelope(&self) -> &Result<Envelope, Unreadable>;

    /// The same as a message that was given up, from a queue of dead letters.
    fn dead_letter(&self) -> ReceivedDeadLetter;
}

/// Those that follow each other under one guarantee go together. Dead letters of the broker go to
/// those of the store instead.
pub(super) async fn receipts(
    receiver: &dyn Receiver,
    items: &[impl Offer],
    are_dead_letters: bool,
) -> Vec<Receipt> {
    if are_dead_letters {
        let letters = items.iter().map(Offer::dead_letter).collect();
        return one_for_each(receiver.store_dead_letters(letters).await, items.len());
    }
    let mut receipts = Vec::with_capacity(items.len());
    for group in items.chunk_by(|one, next| one.guarantee() == next.guarantee()) {
        let envelopes = group.iter().map(|item| item.envelope().clone()).collect();
        let received = Received { peer: None, guarantee: group[0].guarantee(), envelopes };
        receipts.extend(one_for_each(receiver.receive(received).await, group.len()));
    }
    receipts
}

/// One receipt for each of `count` messages: a receiver that gives too few has not taken the rest.
fn one_for_each(mut receipts: Vec<Receipt>, count: usize) -> Vec<Receipt> {
    receipts.resize_with(count, || Receipt::deferred("there was no receipt"));
    receipts
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_receiver_that_gives_too_few_receipts_or_too_many_moves_none_to_another_message() {
        let accepted = |count| vec![Receipt::Accepted; count];
        let few = one_for_each(accepted(1), 2);
        assert_eq!(few, [Receipt::Accepted, Receipt::deferred("there was no receipt")]);
        assert_eq!(one_for_each(accepted(3), 2), accepted(2));
    }
}
