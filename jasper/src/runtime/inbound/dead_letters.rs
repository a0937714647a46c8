//! What a broker has given up: into the dead letters of the store, and so back to its handlers.

use super::receive::NO_STORE;
use super::receiver::InboundReceiver;
use crate::envelope::{Address, Envelope};
use crate::error_text::on_one_line;
use crate::store::{DeadLetter, DeadLetterId, DeadLetterReason};
use crate::transport::{Receipt, ReceivedDeadLetter};

impl InboundReceiver {
    pub(super) async fn store_dead_letters(
        &self,
        letters: Vec<ReceivedDeadLetter>,
    ) -> Vec<Receipt> {
        let mut receipts = Vec::with_capacity(letters.len());
        for letter in letters {
            receipts.push(self.store_dead_letter(letter).await);
        }
        receipts
    }

    /// One for each handler that would have had it, as they are replayed each by itself.
    async fn store_dead_letter(&self, letter: ReceivedDeadLetter) -> Receipt {
        let Some(store) = self.core.store().get() else {
            return Receipt::deferred(NO_STORE);
        };
        let envelope = match letter.envelope {
            Ok(envelope) => envelope,
            Err(unreadable) => return self.store_unreadable(unreadable).await,
        };
        if let Err(excess) = envelope.check() {
            return Receipt::refused(excess.to_string());
        }
        for destination in self.destinations(&envelope) {
            let envelope = Envelope { destination, ..envelope.clone() };
            let letter = DeadLetter {
                id: DeadLetterId { id: envelope.id, destination: envelope.destination.clone() },
                reason: DeadLetterReason::Broker,
                message_type: envelope.message_type.to_string(),
                error_type: on_one_line(&letter.kind).into_owned(),
                error_message: on_one_line(&letter.why).into_owned(),
                attempts: 0,
                body: envelope.to_bytes(),
                dead_lettered_at: self.core.clock().now(),
            };
            match self.note_and_store(store, &letter).await {
                Receipt::Accepted => {}
                // It is delivered again; the letters that are stored by now are not stored twice.
                other => return other,
            }
        }
        Receipt::Accepted
    }

    /// The handlers of a message here; of one that is unknown, this listener.
    fn destinations(&self, envelope: &Envelope) -> Vec<Address> {
        match self.core.routes().handlers().of_type(&envelope.message_type) {
            [] => vec![self.address.clone()],
            handlers => handlers.iter().map(|handler| handler.address.clone()).collect(),
        }
    }
}
