//! From received envelopes to their handlers, with a receipt for each.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use tokio::sync::oneshot;
use tokio::time::Instant;

use super::receiver::InboundReceiver;
use super::unknown::MOST;
use crate::envelope::{Envelope, MessageId, time};
use crate::error::SendError;
use crate::runtime::handle::entry::HandlerEntry;
use crate::runtime::handle::queue::Queue;
use crate::runtime::memory::room::MemorySlot;
use crate::runtime::send::dispatch::Dispatcher;
use crate::runtime::send::placement::{
    HandlerPlacement, Joining, place_for_handler, requires_storage,
};
use crate::runtime::send::routed::{DEDUPLICATION_WINDOW, RoutedMessages};
use crate::runtime::storage::dead_letters::{log_dead_letter, store_letter};
use crate::store::{DeadLetter, DeadLetterId, DeadLetterReason, MessageStore};
use crate::telemetry;
use crate::transport::{Guarantee, Mode, Receipt, Received, Unreadable};

const STOPPING: &str = "the receiver is stopping";
const TOO_LATE: &str = "it is for later than a message may wait in the receiver's memory";

/// For how long a message may wait for its time where it is in nothing but memory.
const LONGEST_WAIT: Duration = Duration::from_secs(60 * 60);

/// How many messages are stored by themselves after one that the store will not take.
const ISOLATED: usize = 5_000;

/// How long a sender waits for room in a queue before it is asked to come again.
const PATIENCE: Duration = Duration::from_secs(5);
pub(super) const NO_STORE: &str =
    "the receiver has no store, so that it cannot take durable messages";

/// What came in one call, on its way to its handlers.
struct ReceivedBatch {
    /// Whether all of it is stored, whichever handler takes it.
    is_stored: bool,
    /// What is placed and not yet accepted, and the numbers of its envelopes.
    routed: RoutedMessages,
    placed: Vec<usize>,
    /// One for each envelope, in the end.
    receipts: Vec<Option<Receipt>>,
    /// Until when envelopes of the batch wait for room in their queues, from the first that waits:
    /// a full queue keeps the rest of the batch waiting once, and not once for each envelope.
    wait_until: Option<Instant>,
    /// What is settled at the end of its handler, by the number of its envelope.
    running: Vec<(usize, oneshot::Receiver<Receipt>)>,
}

impl InboundReceiver {
    pub(super) async fn take_in(&self, received: Received) -> Vec<Receipt> {
        let count = received.envelopes.len();
        let all = |why: &'static str| vec![Receipt::deferred(why); count];
        if self.core.lifecycle().is_draining() {
            return all(STOPPING);
        }
        // What is acknowledged at the end of its handler needs no store here: its sender, or the
        // broker, has it until then.
        let is_kept_there = self.mode == Mode::Inline;
        let is_to_be_stored = received.guarantee == Guarantee::Stored && !is_kept_there;
        if is_to_be_stored && !self.core.store().is_configured() {
            return all(NO_STORE);
        }
        let mut received_batch = ReceivedBatch {
            is_stored: received.guarantee == Guarantee::Stored || self.mode == Mode::Durable,
            routed: RoutedMessages::default(),
            placed: Vec::new(),
            receipts: vec![None; count],
            wait_until: None,
            running: Vec::new(),
        };
        for (number, envelope) in received.envelopes.into_iter().enumerate() {
            received_batch.receipts[number] = match envelope {
                Ok(envelope) => {
                    let envelope = from_peer(envelope, received.peer.as_ref());
                    let receipt = self.place(&mut received_batch, number, envelope).await;
                    let left = self.isolate_next.load(Ordering::Relaxed);
                    if left > 0 {
                        self.isolate_next.store(left - 1, Ordering::Relaxed);
                        self.accept(&mut received_batch).await;
                    }
                    receipt.or(received_batch.receipts[number].take())
                }
                Err(unreadable) => Some(self.store_unreadable(unreadable).await),
            };
        }
        self.finish(received_batch).await
    }

    /// Finds the places of one envelope. A receipt: it is done with.
    async fn place(
        &self,
        received_batch: &mut ReceivedBatch,
        number: usize,
        envelope: Envelope,
    ) -> Option<Receipt> {
        if envelope.is_expired(self.core.clock().now()) {
            let name = self.address.as_str().to_owned();
            metrics::counter!(telemetry::EXPIRED, telemetry::DESTINATION => name).increment(1);
            tracing::info!(
                message_id = %envelope.id, message_type = %envelope.message_type,
                address = %self.address, "a message had expired when it came, and is left out",
            );
            return Some(Receipt::Accepted);
        }
        // One that a transport has made itself, and not read.
        if let Err(excess) = envelope.check() {
            return Some(Receipt::refused(excess.to_string()));
        }
        let handlers = self.core.routes().handlers().of_type(&envelope.message_type);
        let placed = match handlers {
            [] => self.place_unknown(received_batch, envelope),
            handlers => self.place_for(received_batch, number, envelope, handlers).await,
        };
        placed.map(|()| received_batch.placed.push(number)).err()
    }

    async fn place_for(
        &self,
        received_batch: &mut ReceivedBatch,
        number: usize,
        envelope: Envelope,
        handlers: &[Arc<HandlerEntry>],
    ) -> Result<(), Receipt> {
        let core = &self.core;
        let is_stored = |entry: &HandlerEntry| {
            let wanted = received_batch.is_stored
                || entry.is_stored(requires_storage(&envelope, core.clock().now()));
            core.store().is_configured() && wanted
        };
        let stored: Vec<bool> = handlers.iter().map(|entry| is_stored(entry)).collect();
        let in_memory = handlers.iter().zip(&stored).filter(|(_, stored)| !**stored);
        let far = time::after(core.clock().now(), LONGEST_WAIT);
        if in_memory.clone().next().is_some() && envelope.due_at.is_some_and(|due| due > far) {
            return Err(Receipt::refused(TOO_LATE));
        }
        let queues = in_memory.map(|(entry, _)| core.routes().queue_of(entry)).collect();
        let mut room = self.room(received_batch, queues, envelope.bytes()).await?;
        let refused = |error: SendError| Receipt::refused(error.to_string());
        let mut placed = RoutedMessages::default();
        let copies = std::iter::repeat_n(envelope, handlers.len());
        for ((entry, is_stored), mut envelope) in handlers.iter().zip(stored).zip(copies) {
            envelope.destination = entry.address.clone();
            let (joining, retention) =
                (Joining::Nothing, is_stored.then_some(DEDUPLICATION_WINDOW));
            let how = HandlerPlacement { joining, is_stored, retention };
            place_for_handler(core, &mut placed, envelope, entry, how, &mut room)
                .map_err(refused)?;
        }
        if self.mode == Mode::Inline {
            for message in &mut placed.to_handlers.in_memory {
                let (done, running) = oneshot::channel();
                message.done = Some(done);
                received_batch.running.push((number, running));
            }
        }
        received_batch.routed.append(placed);
        Ok(())
    }

    /// Room in each of these queues, as soon as there is some; the sender waits with this.
    async fn room(
        &self,
        received_batch: &mut ReceivedBatch,
        mut queues: Vec<&Arc<Queue>>,
        bytes: usize,
    ) -> Result<Vec<MemorySlot>, Receipt> {
        // All reserve in the same order, so that two of them never wait for each other.
        queues.sort_by_key(|queue| Arc::as_ptr(queue));
        // One slot for each queue: a second handler on it exceeds the capacity, as to wait for a
        // second slot could be to wait for itself.
        queues.dedup_by_key(|queue| Arc::as_ptr(queue));
        let mut room = Vec::with_capacity(queues.len());
        for queue in queues {
            room.push(match queue.room.try_slot() {
                Some(slot) => slot,
                None => {
                    // It may be what came before that takes all of the room.
                    self.accept(received_batch).await;
                    let slot = self.patient(received_batch, queue.room.reserve()).await?;
                    slot.ok_or(Receipt::deferred(STOPPING))?
                }
            });
        }
        if !MemorySlot::try_weigh_all(&mut room, bytes) {
            self.accept(received_batch).await;
            let weighed = {
                let weighed = MemorySlot::weigh_all(&mut room, bytes);
                self.patient(received_batch, weighed).await?
            };
            weighed.ok_or(Receipt::deferred(STOPPING))?;
        }
        Ok(room)
    }

    /// Waits for room, for a short time only, as the transport's memory for all messages is used
    /// meanwhile. `None`: the application stops.
    async fn patient<T>(
        &self,
        received_batch: &mut ReceivedBatch,
        room: impl Future<Output = T>,
    ) -> Result<Option<T>, Receipt> {
        let until = *received_batch.wait_until.get_or_insert_with(|| Instant::now() + PATIENCE);
        let room = self.core.lifecycle().draining().run_until_cancelled(room);
        let room = tokio::time::timeout_at(until, room).await;
        room.map_err(|_elapsed| Receipt::deferred("the queue is full"))
    }

    /// Another node, or a newer version of this application, may know it; until then it waits as a
    /// message of this listener.
    fn place_unknown(
        &self,
        received_batch: &mut ReceivedBatch,
        mut envelope: Envelope,
    ) -> Result<(), Receipt> {
        if !self.core.store().is_configured() {
            let why = format!("no handler of the receiver takes `{}`", envelope.message_type);
            return Err(Receipt::refused(why));
        }
        let name = envelope.message_type.to_string();
        if !self.unknown.admits(&name, self.core.settings().unhandled_timeout) {
            let why = format!(
                "no handler of the receiver takes `{name}`, and it keeps messages of {MOST} other \
                 unknown types already"
            );
            return Err(Receipt::refused(why));
        }
        envelope.destination = self.address.clone();
        received_batch.routed.to_handlers.push_unknown(envelope, self.core.clock().now());
        Ok(())
    }

    /// An invalid message, kept with its bytes; the same bytes are kept once.
    pub(super) async fn store_unreadable(&self, unreadable: Unreadable) -> Receipt {
        let Some(store) = self.core.store().get() else {
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
            dead_lettered_at: self.core.clock().now(),
        };
        self.note_and_store(store, &letter).await
    }

    /// Tells people of a letter and stores it.
    pub(super) async fn note_and_store(
        &self,
        store: &dyn MessageStore,
        letter: &DeadLetter,
    ) -> Receipt {
        log_dead_letter(&letter.id, &letter.message_type, letter.reason, &letter.error_message);
        match store_letter(self.core.store(), store, letter).await {
            Ok(()) => Receipt::Accepted,
            Err(error) if error.is_transient() => Receipt::deferred(error.to_string()),
            Err(error) => Receipt::refused(error.to_string()),
        }
    }

    /// Stores and hands over what is placed so far.
    async fn accept(&self, received_batch: &mut ReceivedBatch) {
        let is_alone = received_batch.placed.len() == 1;
        let mut routed = std::mem::take(&mut received_batch.routed);
        routed.is_received = true;
        let accepted = Dispatcher::of(&self.core).store_and_hand_over(routed);
        let receipt = match accepted.await {
            Ok(_known) => Receipt::Accepted,
            Err(error) if error.is_transient() => Receipt::deferred(error.to_string()),
            Err(error) if is_alone => Receipt::refused(error.to_string()),
            Err(error) => {
                // One of them cannot be stored: when they come again, each is stored by itself.
                self.isolate_next.store(ISOLATED, Ordering::Relaxed);
                Receipt::deferred(error.to_string())
            }
        };
        for number in received_batch.placed.drain(..) {
            received_batch.receipts[number] = Some(receipt.clone());
        }
    }

    async fn finish(&self, mut received_batch: ReceivedBatch) -> Vec<Receipt> {
        self.accept(&mut received_batch).await;
        let mut receipts = received_batch.receipts;
        let running = received_batch.running.into_iter();
        let handed_over: Vec<_> =
            running.filter(|(number, _)| receipts[*number] == Some(Receipt::Accepted)).collect();
        for (number, running) in handed_over {
            // The sender is dropped where the handler is not going to finish.
            let done = running.await.unwrap_or(Receipt::deferred(STOPPING));
            let receipt = receipts[number].get_or_insert(Receipt::Accepted);
            if finality(&done) < finality(receipt) {
                *receipt = done;
            }
        }
        let missing = || Receipt::deferred("there was no receipt");
        receipts.into_iter().map(|receipt| receipt.unwrap_or_else(missing)).collect()
    }
}

/// Which receipt counts where the handlers of one message give several, the smaller first: as long
/// as one of them has not ended, the message comes again.
const fn finality(receipt: &Receipt) -> u8 {
    match receipt {
        Receipt::Deferred { .. } => 0,
        Receipt::Unknown { .. } => 1,
        Receipt::Refused { .. } => 2,
        Receipt::Accepted => 3,
    }
}

/// The envelope as this process takes it: what a peer must not decide for it is left out.
///
/// The ids of each peer are its own: a peer that reuses the id of another one's message does not
/// make that a duplicate.
pub(super) fn from_peer(mut envelope: Envelope, peer: Option<&Arc<str>>) -> Envelope {
    envelope.attempts = 0;
    envelope.peer = peer.cloned();
    if let Some(peer) = peer {
        envelope.id = envelope.id.of_peer(peer);
    }
    envelope
}
