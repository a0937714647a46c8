//! From received envelopes to their handlers, with a receipt for each.

use std::sync::Arc;

use tokio::sync::oneshot;

use super::Inlet;
use crate::envelope::{Envelope, MessageId, time};
use crate::error::SendError;
use crate::runtime::batch::{Batch, Place, Placed, Target};
use crate::runtime::dispatch::{KEPT, is_by_nature};
use crate::runtime::routes::HandlerEntry;
use crate::runtime::worker::note_burial;
use crate::store::{DeadLetter, DeadLetterId, DeadLetterReason};
use crate::telemetry;
use crate::transport::{Guarantee, Mode, Receipt, Received, Unreadable};

const STOPPING: &str = "the receiver is stopping";
const NO_STORE: &str = "the receiver has no store, so that it cannot take durable messages";

/// What came in one call, on its way to its handlers.
struct Intake {
    /// Whether all of it is stored, whoever handles it.
    is_stored: bool,
    batch: Batch,
    /// One for each envelope; `None` for those that are accepted with the batch.
    receipts: Vec<Option<Receipt>>,
    /// What is acknowledged when its handler is done, by the number of its envelope.
    running: Vec<(usize, oneshot::Receiver<()>)>,
}

impl Inlet {
    pub(super) async fn take_in(&self, received: Received) -> Vec<Receipt> {
        let count = received.envelopes.len();
        let all = |why: &'static str| vec![Receipt::deferred(why); count];
        if self.core.stopping.is_cancelled() {
            return all(STOPPING);
        }
        if received.guarantee == Guarantee::Stored && self.core.store.is_none() {
            return all(NO_STORE);
        }
        let mut intake = Intake {
            is_stored: received.guarantee == Guarantee::Stored || self.mode == Mode::Durable,
            batch: Batch::default(),
            receipts: vec![None; count],
            running: Vec::new(),
        };
        for (number, envelope) in received.envelopes.into_iter().enumerate() {
            intake.receipts[number] = match envelope {
                Ok(envelope) => {
                    let envelope = from_peer(envelope, received.peer.as_deref());
                    self.place(&mut intake, number, envelope).await
                }
                Err(unreadable) => Some(self.keep_unreadable(unreadable).await),
            };
        }
        self.accept(intake).await
    }

    /// Finds the places of one envelope. A receipt: it is done with.
    async fn place(
        &self,
        intake: &mut Intake,
        number: usize,
        envelope: Envelope,
    ) -> Option<Receipt> {
        if envelope.is_expired(time::now()) {
            let name = self.address.as_str().to_owned();
            metrics::counter!(telemetry::EXPIRED, telemetry::DESTINATION => name).increment(1);
            return Some(Receipt::Accepted);
        }
        let handlers = self.core.routes.handlers_of(&envelope.message_type);
        if handlers.is_empty() {
            return self.place_unknown(intake, envelope);
        }
        for entry in handlers {
            let placed = self.place_for(intake, number, envelope.clone(), entry).await;
            match placed {
                Ok(placed) => intake.batch.placed.push(placed),
                Err(SendError::Stopping) => return Some(Receipt::deferred(STOPPING)),
                Err(error) => return Some(Receipt::refused(error.to_string())),
            }
        }
        None
    }

    async fn place_for(
        &self,
        intake: &mut Intake,
        number: usize,
        mut envelope: Envelope,
        entry: &Arc<HandlerEntry>,
    ) -> Result<Placed, SendError> {
        let core = &self.core;
        envelope.destination = entry.address.clone();
        let is_stored =
            core.store.is_some() && (intake.is_stored || entry.is_stored(is_by_nature(&envelope)));
        let target = Target::Handler(Arc::clone(entry));
        if is_stored {
            let place = core.place(&mut envelope, entry, true, &mut Vec::new())?;
            return Ok(Placed { envelope, target, place, keep: Some(KEPT) });
        }
        // The sender waits with this: it is told that there is room when there is.
        let slot = core.stopping.run_until_cancelled(core.queue_of(entry).room.reserve()).await;
        let mut room = vec![slot.ok_or(SendError::Stopping)?];
        let mut place = core.place(&mut envelope, entry, false, &mut room)?;
        if self.mode == Mode::Inline
            && let Place::Memory(slot) = place
        {
            let (done, running) = oneshot::channel();
            intake.running.push((number, running));
            place = Place::Awaited(slot, done);
        }
        Ok(Placed { envelope, target, place, keep: None })
    }

    /// Another node, or a newer version of this application, may know it; until then it waits as a
    /// message of this listener.
    fn place_unknown(&self, intake: &mut Intake, mut envelope: Envelope) -> Option<Receipt> {
        if self.core.store.is_none() {
            let why = format!("no handler of the receiver takes `{}`", envelope.message_type);
            return Some(Receipt::refused(why));
        }
        envelope.destination = self.address.clone();
        intake.batch.add_unowned(envelope, Target::Unknown);
        None
    }

    /// An invalid message, kept with its bytes; the same bytes are kept once.
    async fn keep_unreadable(&self, unreadable: Unreadable) -> Receipt {
        let Some(store) = &self.core.store else {
            return Receipt::refused(unreadable.error.to_string());
        };
        let id = MessageId::of_bytes(&unreadable.bytes);
        let letter = DeadLetter {
            id: DeadLetterId { id, destination: self.address.clone() },
            reason: DeadLetterReason::Undecodable,
            message_type: String::new(),
            error_type: DeadLetterReason::Undecodable.as_str().to_owned(),
            error_message: unreadable.error.to_string(),
            attempts: 0,
            body: unreadable.bytes,
            buried_at: time::now(),
        };
        note_burial(&letter.id, &letter.message_type, letter.reason, &letter.error_message);
        let kept = self.core.call("bury", store.dead_letters().store(letter)).await;
        kept.map_or_else(|error| Receipt::deferred(error.to_string()), |()| Receipt::Accepted)
    }

    async fn accept(&self, mut intake: Intake) -> Vec<Receipt> {
        let accepted = match self.core.accept(intake.batch).await {
            Ok(_known) => Receipt::Accepted,
            Err(error) => Receipt::deferred(error.to_string()),
        };
        for (number, running) in intake.running {
            // Dropped without a word: its handler has not done with it, and will not.
            if running.await.is_err() {
                intake.receipts[number] = Some(Receipt::deferred(STOPPING));
            }
        }
        intake.receipts.into_iter().map(|receipt| receipt.unwrap_or(accepted.clone())).collect()
    }
}

/// The envelope as this process takes it: what a peer must not decide for it is left out.
///
/// The ids of each peer are its own: one that gives a message the id of another's keeps that from
/// nobody.
fn from_peer(mut envelope: Envelope, peer: Option<&str>) -> Envelope {
    envelope.attempts = 0;
    if let Some(peer) = peer {
        envelope.id = envelope.id.of_peer(peer);
    }
    envelope
}
