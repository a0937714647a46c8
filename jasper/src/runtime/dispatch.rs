//! From encoded messages to rows and memory: each finds its handlers, its place, and its way there.

use std::sync::Arc;
use std::time::Duration;

use super::core::Core;
use super::finish::Finish;
use super::held::Hold;
use super::queue::{Backing, Delivery, Slot};
use super::routes::HandlerEntry;
use crate::envelope::{Envelope, MessageId, time};
use crate::error::SendError;
use crate::handler::{Cause, DeliveryOptions, OutgoingMessage};
use crate::message::Message;
use crate::store::{
    Completion, Incoming, Owner, Ownership, Placement, Settled, StoreError, StoreTransaction,
    Stored,
};
use crate::telemetry;

/// For how long the id of a message with a deduplication key stays known after it is handled.
const DEDUPLICATION_WINDOW: Duration = Duration::from_secs(7 * 24 * 60 * 60);

/// Messages that have found their handlers and their place.
#[derive(Debug, Default)]
pub(crate) struct Batch {
    parcels: Vec<Parcel>,
}

/// One message for one handler.
#[derive(Debug)]
struct Parcel {
    envelope: Envelope,
    entry: Arc<HandlerEntry>,
    place: Place,
}

#[derive(Debug)]
enum Place {
    /// Stored as owned by this incarnation, then handed over in memory.
    StoredHere(Slot, Owner, Hold),
    /// Stored for whoever has room.
    StoredAnywhere,
    /// Stored until it is due.
    StoredForLater,
    /// Only in memory.
    Memory(Slot),
}

impl Batch {
    /// The rows to store, in order.
    pub(crate) fn rows(&self) -> Vec<Incoming> {
        let rows = self.parcels.iter().filter_map(|parcel| {
            let placement = match &parcel.place {
                Place::StoredHere(_, owner, _) => Placement::Owned(*owner),
                Place::StoredAnywhere => Placement::Unowned,
                Place::StoredForLater => Placement::Scheduled(parcel.envelope.due_at?),
                Place::Memory(_) => return None,
            };
            let deduplicated = parcel.envelope.deduplication_id.is_some();
            Some(Incoming {
                envelope: parcel.envelope.clone(),
                placement,
                keep: deduplicated.then_some(DEDUPLICATION_WINDOW),
            })
        });
        rows.collect()
    }
}

/// What a message is part of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Joining {
    /// Nothing: it is accepted by itself.
    Nothing,
    /// The transaction in which its handler's run commits.
    Run,
    /// A transaction of the user's own.
    Foreign,
}

impl Core {
    pub(crate) fn encode<M: Message>(&self, message: &M) -> Result<OutgoingMessage, SendError> {
        let encoded = OutgoingMessage::encode(message, DeliveryOptions::new(), &*self.codec);
        encoded.map_err(|source| SendError::Encode { message_type: M::TYPE, source })
    }

    /// Finds handlers and places for messages. Those that are not stored take their place from
    /// `room`, or beyond the capacity of their queue.
    pub(crate) fn prepare(
        &self,
        messages: Vec<OutgoingMessage>,
        cause: Option<&Cause>,
        joining: Joining,
        room: &mut Vec<Slot>,
    ) -> Result<Batch, SendError> {
        let mut batch = Batch::default();
        for message in messages {
            let template = self.envelope(&message, cause, joining == Joining::Run)?;
            for entry in self.routes.destinations(&message)? {
                let mut envelope = template.clone();
                envelope.destination = entry.address.clone();
                let place = self.place(&mut envelope, entry, joining, room)?;
                batch.parcels.push(Parcel { envelope, entry: Arc::clone(entry), place });
            }
        }
        Ok(batch)
    }

    /// The rows of a message that joins a transaction of the user's own, for whoever finds them
    /// after its commit.
    pub(crate) fn prepare_unowned(
        &self,
        message: OutgoingMessage,
        cause: Option<&Cause>,
    ) -> Result<Vec<Incoming>, SendError> {
        let mut batch = self.prepare(vec![message], cause, Joining::Foreign, &mut Vec::new())?;
        for parcel in &mut batch.parcels {
            match parcel.place {
                Place::StoredHere(..) => parcel.place = Place::StoredAnywhere,
                Place::StoredAnywhere | Place::StoredForLater => continue,
                Place::Memory(_) => {
                    return Err(SendError::NeedsStore {
                        what: "a message of a transaction to a buffered queue",
                    });
                }
            }
            parcel.envelope.attempts = 0;
        }
        Ok(batch.rows())
    }

    /// Whether a message is stored wherever it goes, when it belongs to no transaction.
    pub(crate) fn is_stored(&self, message: &OutgoingMessage) -> Result<bool, SendError> {
        let destinations = self.routes.destinations(message)?;
        Ok(self.store.is_some() && destinations.iter().all(|entry| entry.is_stored(false)))
    }

    /// Sends messages that belong to no transaction: stores what is to be stored, then hands over.
    ///
    /// Answers whether all of it was known before.
    pub(crate) async fn dispatch(
        self: &Arc<Self>,
        messages: Vec<OutgoingMessage>,
        cause: Option<&Cause>,
    ) -> Result<bool, SendError> {
        let mut room = Vec::new();
        if cause.is_none() {
            self.take_room(&messages, &mut room).await?;
        }
        let batch = self.prepare(messages, cause, Joining::Nothing, &mut room)?;
        let rows = batch.rows();
        let Some(store) = self.store.clone().filter(|_| !rows.is_empty()) else {
            self.hand_over(batch, &[]);
            return Ok(false);
        };
        // Whatever becomes of the caller, what is stored is handed over.
        let core = Arc::clone(self);
        let storing = async move {
            // Also where it fails after its caller has gone, it may have been carried out.
            let stored = core.wait("store", store.inbox().store(rows)).await?;
            let known = stored.iter().all(|stored| *stored == Stored::Duplicate);
            core.hand_over(batch, &stored);
            Ok(known)
        };
        let limit = self.settings.store_deadline;
        let stored = tokio::time::timeout(limit, Finish::new(storing, &self.tasks));
        Ok(stored.await.unwrap_or(Err(StoreError::Deadline { limit }))?)
    }

    /// Commits a run, and hands over what it sends. `None`: the handler was invoked.
    pub(crate) async fn commit(
        self: &Arc<Self>,
        transaction: Box<dyn StoreTransaction>,
        batch: Batch,
        handled: Option<Ownership>,
    ) -> Result<Settled, StoreError> {
        let completion = Completion { handled, incoming: batch.rows(), outgoing: Vec::new() };
        let committed = self.wait("commit", transaction.commit(completion)).await?;
        if committed.settled == Settled::Done {
            self.hand_over(batch, &committed.incoming);
        }
        Ok(committed.settled)
    }

    /// Back pressure: a sender outside of handlers waits until queues that are not stored have
    /// room.
    async fn take_room(
        &self,
        messages: &[OutgoingMessage],
        room: &mut Vec<Slot>,
    ) -> Result<(), SendError> {
        for message in messages {
            for entry in self.routes.destinations(message)? {
                if self.store.is_none() || !entry.is_stored(false) {
                    let slot = self.queue_of(entry).reserve();
                    let slot = self.stopping.run_until_cancelled(slot).await;
                    room.push(slot.ok_or(SendError::Stopping)?);
                }
            }
        }
        Ok(())
    }

    /// After the commit: what is owned or only in memory goes to its queue, except what was known
    /// before.
    pub(crate) fn hand_over(self: &Arc<Self>, batch: Batch, stored: &[Stored]) {
        let mut stored = stored.iter();
        for parcel in batch.parcels {
            let queue = parcel.entry.registration.queue;
            let is_memory = matches!(parcel.place, Place::Memory(_));
            if !is_memory && stored.next() == Some(&Stored::Duplicate) {
                metrics::counter!(telemetry::DUPLICATES, telemetry::DESTINATION => queue)
                    .increment(1);
                // Or it was stored just now, by a call of the store's own that it repeated.
                if matches!(parcel.place, Place::StoredHere(..)) {
                    self.doubt();
                }
                continue;
            }
            metrics::counter!(telemetry::SENT, telemetry::DESTINATION => queue).increment(1);
            self.deliver(parcel);
        }
    }

    fn deliver(self: &Arc<Self>, parcel: Parcel) {
        let (slot, backing, hold) = match parcel.place {
            Place::StoredHere(slot, owner, hold) => {
                let counted = parcel.envelope.attempts > 0;
                (slot, Backing::Stored { owner, counted }, Some(hold))
            }
            Place::Memory(slot) => (slot, Backing::Memory, None),
            Place::StoredAnywhere => return self.queue_of(&parcel.entry).note_overflow(),
            Place::StoredForLater => {
                if parcel.envelope.due_at.is_some_and(|due_at| self.agenda.note(due_at)) {
                    self.pager.notify_one();
                }
                return;
            }
        };
        let due_at = parcel.envelope.due_at;
        let delivery = Delivery {
            envelope: parcel.envelope,
            entry: parcel.entry,
            backing,
            slot,
            _hold: hold,
            active: None,
        };
        match due_at {
            Some(due_at) if due_at > time::now() => self.enqueue_at(delivery, due_at),
            _ => self.enqueue(delivery),
        }
    }

    fn envelope(
        &self,
        message: &OutgoingMessage,
        cause: Option<&Cause>,
        commits_with_run: bool,
    ) -> Result<Envelope, SendError> {
        let options = &message.options;
        // Replaced for each handler.
        let destination = crate::envelope::Address::local("", "");
        let mut envelope = Envelope::new(
            message.message_type.clone(),
            message.content_type.clone(),
            message.payload.clone(),
            destination,
        );
        envelope.source = Some(self.settings.service.clone());
        envelope.headers = options.headers.clone();
        envelope.due_at = options.due_at;
        let within = options.deliver_within.or(message.deliver_within);
        envelope.deliver_by = within.map(|within| time::after(envelope.sent_at, within));
        if let Some(cause) = cause {
            cause.pass_on(&mut envelope, commits_with_run);
        }
        envelope.group_id.clone_from(&options.group_id);
        if options.tenant_id.is_some() {
            envelope.tenant_id.clone_from(&options.tenant_id);
        }
        if options.correlation_id.is_some() {
            envelope.correlation_id.clone_from(&options.correlation_id);
        }
        if let Some(key) = &options.deduplication_id {
            if self.store.is_none() {
                return Err(SendError::NeedsStore { what: "a deduplication key" });
            }
            let message_type = message.message_type.to_string();
            envelope.id = MessageId::of_deduplication_id(&message_type, key);
            envelope.deduplication_id = Some(key.clone());
        }
        Ok(envelope)
    }

    fn place(
        &self,
        envelope: &mut Envelope,
        entry: &HandlerEntry,
        joining: Joining,
        room: &mut Vec<Slot>,
    ) -> Result<Place, SendError> {
        let queue = self.queue_of(entry);
        let later = envelope.due_at.is_some_and(|due_at| due_at > time::now());
        let by_nature = later || envelope.deduplication_id.is_some();
        let stored =
            self.store.is_some() && entry.is_stored(joining != Joining::Nothing || by_nature);
        if !stored {
            if envelope.deduplication_id.is_some() {
                return Err(SendError::NeedsStore {
                    what: "a deduplication key on a buffered queue",
                });
            }
            envelope.attempts = 1;
            let taken = room.iter().position(|slot| Arc::ptr_eq(slot.queue(), queue));
            let slot = taken.map(|index| room.swap_remove(index));
            return Ok(Place::Memory(slot.unwrap_or_else(|| queue.reserve_beyond())));
        }
        if later {
            return Ok(Place::StoredForLater);
        }
        match queue.try_reserve_in_turn() {
            Some(slot) if !self.stopping.is_cancelled() && self.trust.is_given() => {
                // The only attempt of a message is counted when it begins: counted before, a crash
                // would take it from a message that never ran.
                envelope.attempts = u32::from(entry.policy.attempts() > 1);
                let owner = self.owner();
                let hold = self.held.hold(envelope.id, &envelope.destination, owner);
                Ok(Place::StoredHere(slot, owner, hold))
            }
            _ => Ok(Place::StoredAnywhere),
        }
    }
}
