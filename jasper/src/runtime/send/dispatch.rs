//! From encoded messages to rows and memory: each finds its handlers, its place, and its way there.

use std::sync::Arc;
use std::time::Duration;

use super::batch::{Batch, Place, Placed, Target};
use super::origin::Origin;
use super::place::is_by_nature;
use crate::codec::CodecError;
use crate::envelope::{Envelope, Excess, MessageId, time};
use crate::error::SendError;
use crate::handler::caught::caught;
use crate::handler::{Cause, DeliveryOptions, OutgoingMessage};
use crate::message::Message;
use crate::runtime::core::Core;
use crate::runtime::finish::Finish;
use crate::runtime::handle::queue::{Backing, Delivery};
use crate::runtime::memory::budget::bytes_to_send;
use crate::runtime::memory::room::{Room, Slot};
use crate::runtime::outbound::{Endpoint, Parcel};
use crate::runtime::routes::{Destination, HandlerEntry};
use crate::store::{
    Begin, Completion, Incoming, MessageStore, Outgoing, Ownership, Settled, StoreError,
    StoreTransaction, Stored,
};
use crate::telemetry;

/// For how long the id of a message that may come again stays known after it is handled.
pub(crate) const KEPT: Duration = Duration::from_secs(7 * 24 * 60 * 60);

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
        let encode = || OutgoingMessage::encode(message, DeliveryOptions::new(), &*self.codec);
        let panicked = |panic| Err(CodecError::new(format!("that panicked: {panic}")));
        let encoded = caught(encode).unwrap_or_else(panicked);
        encoded.map_err(|source| SendError::Encode { message_type: M::TYPE, source })
    }

    /// Finds destinations and places for messages. Those that are not stored take their place from
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
            let destinations = self.routes.destinations(&message)?;
            let copies = std::iter::repeat_n(template, destinations.len());
            for (destination, mut envelope) in destinations.into_iter().zip(copies) {
                let place = match destination {
                    Destination::Handler(entry) => {
                        envelope.destination = entry.address.clone();
                        let in_store = is_by_nature(&envelope, self.clock.now())
                            || joining != Joining::Nothing;
                        self.place(&mut envelope, entry, entry.is_stored(in_store), room)?
                    }
                    Destination::Endpoint(endpoint) => {
                        envelope.destination = endpoint.destination.clone();
                        self.place_outside(&envelope, endpoint, joining, room)?
                    }
                };
                let keep = envelope.deduplication_id.is_some().then_some(KEPT);
                let target = Target::of(destination);
                batch.placed.push(Placed { envelope, target, place, keep });
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
    ) -> Result<Batch, SendError> {
        let mut batch = self.prepare(vec![message], cause, Joining::Foreign, &mut Vec::new())?;
        for placed in &mut batch.placed {
            match placed.place {
                Place::StoredHere(..) => placed.place = Place::StoredAnywhere,
                Place::StoredAnywhere | Place::StoredForLater => continue,
                Place::Memory(_) | Place::Awaited(..) | Place::Inline => {
                    return Err(SendError::NeedsStore {
                        what: "a message of a transaction to a buffered queue or endpoint",
                    });
                }
            }
            placed.envelope.attempts = 0;
        }
        Ok(batch)
    }

    /// Whether a message is stored wherever it goes, when it belongs to no transaction.
    pub(crate) fn is_stored(&self, message: &OutgoingMessage) -> Result<bool, SendError> {
        let destinations = self.routes.destinations(message)?;
        Ok(self.store.is_some() && destinations.iter().all(|to| is_stored(*to)))
    }

    /// Sends messages that belong to no transaction: stores what is to be stored, then hands over.
    ///
    /// Answers whether all of it was known before.
    pub(crate) async fn dispatch(
        self: &Arc<Self>,
        messages: Vec<OutgoingMessage>,
        origin: &Origin,
    ) -> Result<bool, SendError> {
        let mut room = Vec::new();
        let cause = origin.cause().map(AsRef::as_ref);
        if cause.is_none() {
            self.take_room(&messages, &mut room).await?;
        }
        let mut batch = self.prepare(messages, cause, Joining::Nothing, &mut room)?;
        if let Some(store) = self.store.as_deref().filter(|_| batch.has_rows()) {
            origin.wait_for_run(store).await?;
        }
        // First those that may be refused, as nothing is kept then.
        for (envelope, endpoint) in batch.take_inline() {
            endpoint.send_inline(envelope).await?;
        }
        Ok(self.accept(batch).await?)
    }

    /// Stores what is to be stored, then hands over. Answers whether all of it was known before.
    pub(crate) async fn accept(self: &Arc<Self>, batch: Batch) -> Result<bool, StoreError> {
        let (incoming, outgoing) = (batch.incoming(), batch.outgoing());
        let has_rows = !incoming.is_empty() || !outgoing.is_empty();
        let Some(store) = self.store.clone().filter(|_| has_rows) else {
            self.hand_over(batch, &[], &[]);
            return Ok(false);
        };
        // Whatever becomes of the caller, what is stored is handed over.
        let core = Arc::clone(self);
        let storing = async move {
            // Also where it fails after its caller has gone, it may have been carried out.
            let stored = core.wait("store", store_all(&*store, incoming, outgoing));
            let (incoming, outgoing) = stored.await?;
            let mut stored = incoming.iter().chain(&outgoing);
            let known = stored.all(|stored| *stored == Stored::Duplicate);
            core.hand_over(batch, &incoming, &outgoing);
            Ok(known)
        };
        let limit = self.settings.store_deadline;
        let stored = tokio::time::timeout(limit, Finish::new(storing, &self.tasks));
        stored.await.unwrap_or(Err(StoreError::Deadline { limit }))
    }

    /// Commits a run, and hands over what it sends. `None`: the handler was invoked.
    pub(crate) async fn commit(
        self: &Arc<Self>,
        transaction: Box<dyn StoreTransaction>,
        batch: Batch,
        handled: Option<Ownership>,
    ) -> Result<Settled, StoreError> {
        let (incoming, outgoing) = (batch.incoming(), batch.outgoing());
        let completion = Completion { handled, incoming, outgoing };
        let committed = self.wait("commit", transaction.commit(completion)).await?;
        if committed.settled == Settled::Done {
            self.hand_over(batch, &committed.incoming, &committed.outgoing);
        }
        Ok(committed.settled)
    }

    /// Back pressure: a sender outside of handlers waits until what is not stored has room.
    async fn take_room(
        &self,
        messages: &[OutgoingMessage],
        room: &mut Vec<Slot>,
    ) -> Result<(), SendError> {
        let mut wanted = Vec::new();
        for message in messages {
            let destinations = self.routes.destinations(message)?.into_iter();
            wanted.extend(destinations.filter(|to| self.store.is_none() || !is_stored(*to)));
        }
        // In one order for all, so that of two that wait none holds what the other waits for.
        wanted.sort_by_key(|destination| Arc::as_ptr(self.room_of(*destination)));
        // The second for a queue finds room beyond its capacity, or both might never.
        wanted.dedup_by_key(|destination| Arc::as_ptr(self.room_of(*destination)));
        let bytes = messages.iter().map(bytes_to_send).sum();
        let taken = async {
            for destination in &wanted {
                room.push(match destination {
                    Destination::Handler(entry) => self.queue_of(entry).room.reserve().await,
                    Destination::Endpoint(endpoint) => endpoint.reserve().await?,
                });
            }
            // Only then the bytes, for the same reason.
            let endpoint = wanted.iter().find_map(|destination| match destination {
                Destination::Endpoint(endpoint) => Some(endpoint),
                Destination::Handler(_) => None,
            });
            let weighed = Slot::weigh_all(room, bytes);
            match endpoint {
                Some(endpoint) => endpoint.unless_down(weighed).await,
                None => {
                    weighed.await;
                    Ok(())
                }
            }
        };
        self.stopping.run_until_cancelled(taken).await.unwrap_or(Err(SendError::Stopping))
    }

    fn room_of<'a>(&'a self, destination: Destination<'a>) -> &'a Arc<Room> {
        match destination {
            Destination::Handler(entry) => &self.queue_of(entry).room,
            Destination::Endpoint(endpoint) => &endpoint.room,
        }
    }

    /// After the commit: what is owned or only in memory goes to its queue or its relay, except
    /// what was known before.
    pub(crate) fn hand_over(
        self: &Arc<Self>,
        batch: Batch,
        incoming: &[Stored],
        outgoing: &[Stored],
    ) {
        let (mut incoming, mut outgoing) = (incoming.iter(), outgoing.iter());
        for placed in batch.placed {
            let name = placed.target.name();
            let stored = match &placed.target {
                Target::Endpoint(_) => &mut outgoing,
                Target::Handler(_) | Target::Unknown => &mut incoming,
            };
            if !placed.place.is_memory() && stored.next() == Some(&Stored::Duplicate) {
                metrics::counter!(telemetry::DUPLICATES, telemetry::DESTINATION => name)
                    .increment(1);
                // Or it was stored just now, by a call of the store's own that it repeated.
                if matches!(placed.place, Place::StoredHere(..)) {
                    match placed.target {
                        Target::Endpoint(_) => self.doubt(),
                        Target::Handler(_) | Target::Unknown => self.doubt_inbox(),
                    }
                }
                continue;
            }
            metrics::counter!(telemetry::SENT, telemetry::DESTINATION => name).increment(1);
            match placed.target {
                Target::Handler(entry) => self.deliver(placed.envelope, entry, placed.place),
                Target::Endpoint(endpoint) => self.relay(placed.envelope, &endpoint, placed.place),
                Target::Unknown => self.pager.notify_one(),
            }
        }
    }

    fn deliver(self: &Arc<Self>, envelope: Envelope, entry: Arc<HandlerEntry>, place: Place) {
        let (slot, backing, hold, done) = match place {
            Place::StoredHere(slot, owner, hold) => {
                let counted = envelope.attempts > 0;
                (slot, Backing::Stored { owner, counted }, Some(hold), None)
            }
            Place::Memory(slot) => (slot, Backing::Memory, None, None),
            Place::Awaited(slot, done) => (slot, Backing::Memory, None, Some(done)),
            // Another process finds it.
            Place::StoredAnywhere | Place::StoredForLater if !entry.runs_here => return,
            Place::StoredAnywhere => return self.queue_of(&entry).room.note_overflow(),
            Place::StoredForLater => {
                if envelope.due_at.is_some_and(|due_at| self.agenda.note(due_at)) {
                    self.pager.notify_one();
                }
                return;
            }
            // No handler has such a place.
            Place::Inline => return,
        };
        let due_at = envelope.due_at;
        let queue = Arc::clone(self.queue_of(&entry));
        let delivery = Delivery {
            envelope,
            entry,
            backing,
            interrupted_by: Vec::new(),
            queue,
            _slot: slot,
            _hold: hold,
            active: None,
            done,
        };
        match due_at {
            Some(due_at) if due_at > self.clock.now() => self.enqueue_at(delivery, due_at),
            _ => self.enqueue(delivery),
        }
    }

    fn relay(&self, envelope: Envelope, endpoint: &Endpoint, place: Place) {
        let (slot, row) = match place {
            Place::StoredHere(slot, owner, hold) => (slot, Some((owner, hold))),
            Place::Memory(slot) => (slot, None),
            Place::StoredAnywhere | Place::StoredForLater => return endpoint.room.note_overflow(),
            // Its sender sends it, or it is for a handler.
            Place::Inline | Place::Awaited(..) => return,
        };
        let active = self.activity.begin();
        let envelope = Arc::new(envelope);
        endpoint.line.push(Parcel { envelope, row, _slot: slot, _active: active });
    }

    /// The envelope of a message, wherever it goes: every way out leads through here, and what no
    /// reader would take goes no further.
    pub(crate) fn envelope(
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
        envelope.sent_at = self.clock.next();
        let due_after = options.delay.map(|delay| time::after(envelope.sent_at, delay));
        envelope.due_at = options.due_at.or(due_after);
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
        envelope.check().map_err(|excess| too_large(message, excess))?;
        Ok(envelope)
    }
}

/// Refuses a message that no envelope can hold, before anything is done for it.
pub(crate) fn check(message: &OutgoingMessage) -> Result<(), SendError> {
    message.options.check().map_err(|excess| too_large(message, excess))
}

fn too_large(message: &OutgoingMessage, excess: Excess) -> SendError {
    SendError::TooLarge { message_type: message.message_type.clone(), excess }
}

/// Whether a message that belongs to no transaction is stored on its way there.
fn is_stored(destination: Destination<'_>) -> bool {
    match destination {
        Destination::Handler(entry) => entry.is_stored(false),
        Destination::Endpoint(endpoint) => endpoint.is_stored(false),
    }
}

/// Stores rows of inbox and outbox: of both in one transaction.
async fn store_all(
    store: &dyn MessageStore,
    incoming: Vec<Incoming>,
    outgoing: Vec<Outgoing>,
) -> Result<(Vec<Stored>, Vec<Stored>), StoreError> {
    match (incoming.is_empty(), outgoing.is_empty()) {
        (_, true) => Ok((store.inbox().store(incoming).await?, Vec::new())),
        (true, false) => Ok((Vec::new(), store.outbox().store(outgoing).await?)),
        (false, false) => {
            let transaction = store.begin(Begin::of("send")).await?;
            let completion = Completion { handled: None, incoming, outgoing };
            let committed = transaction.commit(completion).await?;
            Ok((committed.incoming, committed.outgoing))
        }
    }
}
