//! The relay of one endpoint: sends what waits, settles by the receipts, and gives back what cannot
//! be sent now.

use std::any::Any;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, SystemTime};

use futures_util::FutureExt;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::Instant;

use super::endpoint::Endpoint;
use super::send_queue::PendingSend;
use crate::caught::Panic;
use crate::envelope::Envelope;
use crate::runtime::core::Core;
use crate::runtime::observation::{MessageEvent, Observed};
use crate::runtime::storage::dead_letters::{log_dead_letter, settle_refused, store_until_done};
use crate::store::{
    DeadLetter, DeadLetterId, DeadLetterReason, MessageStore, OutgoingSettlement, Ownership,
    StoreOperation, may_have_left,
};
use crate::telemetry;
use crate::transport::{Batch, Guarantee, Mode, Receipt};

/// The most rows of one claim.
const PAGE: usize = 1_000;

const ENDED: &str = "the application ended";

/// Sends the messages of an endpoint until the application ends.
pub(crate) async fn relay(core: Arc<Core>, endpoint: Arc<Endpoint>) {
    let in_flight = Arc::new(Semaphore::new(endpoint.options.in_flight()));
    let ending = core.lifecycle().aborting().clone();
    let relay = Arc::new(Relay { core, endpoint, in_flight, is_reopened: AtomicBool::new(false) });
    let round = || AssertUnwindSafe(Relay::round(&relay)).catch_unwind();
    while let Some(ended) = ending.run_until_cancelled(round()).await {
        if let Err(payload) = ended {
            relay.note_panic(payload);
            tokio::time::sleep(relay.core.settings().poll).await;
        }
    }
    let left = relay.endpoint.queue.take_all();
    let in_memory = left.into_iter().filter(|message| message.row.is_none());
    note_lost(&relay.endpoint, &in_memory.collect::<Vec<_>>(), ENDED);
}

struct Relay {
    core: Arc<Core>,
    endpoint: Arc<Endpoint>,
    /// The batches that are on their way.
    in_flight: Arc<Semaphore>,
    /// The destination is back, and nothing was claimed since.
    is_reopened: AtomicBool,
}

impl Relay {
    /// Does the next thing, or waits until there is one.
    async fn round(relay: &Arc<Self>) {
        let endpoint = &relay.endpoint;
        if endpoint.circuit.is_open() {
            return relay.probe().await;
        }
        relay.fill().await;
        // The messages are chosen when they can go, so that what has gathered meanwhile goes along.
        let Ok(permit) = Arc::clone(&relay.in_flight).acquire_owned().await else {
            return;
        };
        // A batch that ended meanwhile may have failed and released its rows. Nothing that is sent
        // now may overtake them.
        if endpoint.circuit.is_open() {
            return;
        }
        let options = &endpoint.options;
        match endpoint.queue.remaining_linger(options.batch, options.linger) {
            None => endpoint.wake.notified().await,
            Some(Duration::ZERO) => {
                let messages = endpoint.queue.take(options.batch);
                let (core, relay) = (Arc::clone(&relay.core), Arc::clone(relay));
                core.lifecycle().spawn(async move {
                    let delivered = Arc::clone(&relay).deliver(messages, permit);
                    if let Err(payload) = AssertUnwindSafe(delivered).catch_unwind().await {
                        relay.note_panic(payload);
                        relay.endpoint.wake.notify_one();
                    }
                });
            }
            Some(patience) => tokio::select! {
                () = tokio::time::sleep(patience) => {}
                () = endpoint.wake.notified() => {}
            },
        }
    }

    /// Brings messages into memory that wait in the outbox, if there is room for them.
    async fn fill(&self) {
        let Some(store) = self.core.store().get() else {
            return;
        };
        self.give_back_missing(store).await;
        let room = &self.endpoint.room;
        let is_wanted = room.may_have_rows_in_store() && room.is_roomy();
        if !is_wanted
            || self.core.lifecycle().is_draining()
            || !self.core.node().local_lease().is_valid()
        {
            return;
        }
        if self.endpoint.options.ordered && self.is_reopened.swap(false, Ordering::SeqCst) {
            // These were stored while the destination was probed, and are younger than those in the
            // outbox.
            self.give_back(self.endpoint.queue.take_stored(), SendAttempt::NotMade).await;
        }
        let noted = room.rows_in_store();
        let slots = room.reserve_up_to(PAGE);
        let owner = self.core.node().owner();
        let claim = store.outbox().claim(owner, &self.endpoint.id.destination, slots.len());
        let claiming = self.endpoint.rows.claiming();
        let claimed = match self
            .core
            .store()
            .call_without_deadline(StoreOperation::ClaimOutgoing, claim)
            .await
        {
            Ok(claimed) => claimed,
            Err(error) => {
                drop(claiming);
                let endpoint = &*self.endpoint.id.name;
                tracing::warn!(endpoint, %error, "the outbox cannot be read");
                return tokio::time::sleep(self.core.settings().poll).await;
            }
        };
        let is_full = may_have_left(claimed.iter().map(Some), slots.len());
        for (envelope, mut slot) in claimed.into_iter().zip(slots) {
            slot.weigh(envelope.bytes());
            let hold = self.endpoint.rows.register(envelope.id, &envelope.destination, owner);
            let message = PendingSend::new(envelope, slot, self.core.lifecycle().activity());
            self.endpoint.queue.push(PendingSend { row: Some((owner, hold)), ..message });
        }
        drop(claiming);
        if !is_full {
            room.clear_rows_in_store(noted);
        }
    }

    /// Gives back the rows of this endpoint that this node owns and does not hold in memory, after
    /// a call that may have been carried out although it failed. Only this task claims them.
    async fn give_back_missing(&self, store: &dyn MessageStore) {
        let held = &self.endpoint.rows;
        if !held.start_comparison_if_due(self.core.settings().poll) {
            return;
        }
        // What is settled while the store is asked is in its list and no longer held.
        let before = held.rows_now();
        let of_all = self.core.routes().endpoints().remote().map(|endpoint| endpoint.rows.count());
        let limit = of_all.sum::<usize>() + PAGE;
        let began = Instant::now();
        let owned = store.outbox().owned(self.core.node().owner(), limit);
        let owned = self.core.store().call(StoreOperation::OwnedOutgoing, owned).await;
        held.note_compared(began.elapsed());
        let Ok(mut owned) = owned else {
            held.reconcile_until(Instant::now() + self.core.settings().lease);
            return;
        };
        owned.retain(|row| row.destination == self.endpoint.id.destination);
        let mut missing = held.missing(owned);
        missing.retain(|row| !before.contains(row));
        if !missing.is_empty() {
            tracing::info!(rows = missing.len(), "giving back rows that a failed call has taken");
            let missing = missing.into_iter().map(OutgoingSettlement::Released);
            self.core.store().settle_outgoing(missing.collect()).await;
            self.endpoint.room.note_rows_in_store();
        }
    }

    /// The destination is down: what is stored is for any node that can send it, and after a
    /// while the destination is asked whether it answers.
    async fn probe(&self) {
        let stored = self.endpoint.queue.take_stored();
        self.give_back(stored, SendAttempt::NotMade).await;
        let pause = self.endpoint.circuit.next_pause();
        tokio::time::sleep(pause.min(self.endpoint.sender.longest_pause())).await;
        let empty = Batch { envelopes: Vec::new(), guarantee: Guarantee::InMemory };
        match self.endpoint.sender.send(empty).await {
            Ok(_none) => self.note_success(),
            Err(error) => {
                self.endpoint.circuit.open(error.to_string());
                tracing::debug!(endpoint = &*self.endpoint.id.name, %error, "still down");
            }
        }
    }

    /// Takes one batch to its receipts.
    async fn deliver(self: Arc<Self>, messages: Vec<PendingSend>, permit: OwnedSemaphorePermit) {
        let messages = self.without_expired(messages).await;
        if !messages.is_empty() {
            let guarantee = match self.endpoint.options.mode {
                Mode::Durable => Guarantee::Stored,
                Mode::Buffered | Mode::Inline => Guarantee::InMemory,
            };
            let envelopes = messages.iter().map(|message| Arc::clone(&message.envelope)).collect();
            let send = self.endpoint.sender.send(Batch { envelopes, guarantee });
            match self.core.lifecycle().aborting().run_until_cancelled(send).await {
                Some(Ok(receipts)) => self.settle(messages, receipts).await,
                Some(Err(error)) => {
                    let made = error.may_have_arrived();
                    self.note_failure(&error);
                    self.return_all(messages, made).await;
                }
                // The stop gives back what is stored.
                None => {
                    let in_memory = messages.into_iter().filter(|message| message.row.is_none());
                    note_lost(&self.endpoint, &in_memory.collect::<Vec<_>>(), ENDED);
                }
            }
        }
        // The circuit, if it is open now, is seen before the next batch is taken.
        drop(permit);
        self.endpoint.wake.notify_one();
    }

    async fn without_expired(&self, messages: Vec<PendingSend>) -> Vec<PendingSend> {
        let now = self.core.clock().now();
        let (expired, fresh): (Vec<_>, Vec<_>) =
            messages.into_iter().partition(|message| message.envelope.is_expired(now));
        if !expired.is_empty() {
            let count = expired.len() as u64;
            metrics::counter!(telemetry::EXPIRED, telemetry::DESTINATION => self.name())
                .increment(count);
            tracing::info!(endpoint = &*self.endpoint.id.name, count, "expired; not sent");
            let rows = expired.iter().filter_map(ownership).map(OutgoingSettlement::Discarded);
            self.core.store().settle_outgoing(rows.collect()).await;
            self.note(MessageEvent::Discarded, &expired, "its time was over");
        }
        fresh
    }

    async fn settle(&self, messages: Vec<PendingSend>, receipts: Vec<Receipt>) {
        let now = self.core.clock().now();
        let mut settlements = Vec::with_capacity(messages.len());
        let (mut deferred, mut unknown, mut refused) = (Vec::new(), Vec::new(), Vec::new());
        // Held as this node's own until they are settled.
        let mut done = Vec::with_capacity(messages.len());
        let mut why_deferred = None;
        // A transport that answers too little has not answered for the rest.
        let missing = std::iter::repeat_with(|| Receipt::unknown("there was no receipt"));
        for (message, receipt) in messages.into_iter().zip(receipts.into_iter().chain(missing)) {
            match receipt {
                Receipt::Accepted => {
                    self.endpoint.circuit.reset();
                    self.note_lag(&message.envelope, now);
                    settlements.extend(ownership(&message).map(OutgoingSettlement::Sent));
                    done.push(message);
                }
                Receipt::Refused { why } => refused.push((message, why)),
                Receipt::Deferred { why } => {
                    deferred.push(message);
                    why_deferred = Some(why);
                }
                Receipt::Unknown { why } => {
                    unknown.push(message);
                    why_deferred = Some(why);
                }
            }
        }
        self.core.store().settle_outgoing(settlements).await;
        self.note(MessageEvent::Delivered, &done, "");
        drop(done);
        for (message, why) in refused {
            self.refuse(message, &why).await;
        }
        match why_deferred {
            None => self.note_success(),
            Some(why) => {
                self.note_failure(&why);
                self.return_all(unknown, true).await;
                self.return_all(deferred, false).await;
            }
        }
    }

    /// The receiver will never take it: it becomes a dead letter here, where it can be mended.
    async fn refuse(&self, message: PendingSend, why: &str) {
        let envelope = &message.envelope;
        let id = DeadLetterId { id: envelope.id, destination: envelope.destination.clone() };
        let message_type = envelope.message_type.to_string();
        let error_message = format!("`{}` refused it: {why}", self.endpoint.id.address);
        let reason = DeadLetterReason::Refused;
        log_dead_letter(&id, &message_type, reason, &error_message);
        let kept = std::slice::from_ref(&message);
        self.note(MessageEvent::DeadLettered, kept, &error_message);
        if let Some(ownership) = ownership(&message) {
            return settle_refused(self.core.store(), &ownership, &error_message).await;
        }
        let letter = DeadLetter {
            id,
            reason,
            message_type,
            error_type: reason.as_str().to_owned(),
            error_message,
            attempts: envelope.attempts,
            body: envelope.to_bytes(),
            dead_lettered_at: self.core.clock().now(),
        };
        // However long the store takes, the next batch may leave.
        let core = Arc::clone(&self.core);
        self.core.lifecycle().spawn(async move {
            store_until_done(core.store(), letter).await;
            drop(message);
        });
    }

    /// What was not accepted: rows are for any node that claims them, and what is only in memory
    /// waits here. But of an endpoint that is not durable nothing is sent twice that may have
    /// arrived.
    async fn return_all(&self, messages: Vec<PendingSend>, may_have_arrived: bool) {
        if may_have_arrived && self.endpoint.options.mode != Mode::Durable {
            let why = "it may have arrived, or not";
            note_lost(&self.endpoint, &messages, why);
            self.note(MessageEvent::Discarded, &messages, why);
            let rows = messages.iter().filter_map(ownership).map(OutgoingSettlement::Discarded);
            return self.core.store().settle_outgoing(rows.collect()).await;
        }
        let (stored, in_memory): (Vec<_>, Vec<_>) =
            messages.into_iter().partition(|message| message.row.is_some());
        self.endpoint.queue.push_front(in_memory);
        self.give_back(stored, SendAttempt::Made).await;
    }

    async fn give_back(&self, messages: Vec<PendingSend>, attempt: SendAttempt) {
        if messages.is_empty() {
            return;
        }
        let rows = messages.iter().filter_map(ownership).map(|row| match attempt {
            SendAttempt::Made => OutgoingSettlement::Failed(row),
            SendAttempt::NotMade => OutgoingSettlement::Released(row),
        });
        self.core.store().settle_outgoing(rows.collect()).await;
        self.endpoint.room.note_rows_in_store();
    }

    /// Notifies the observers of the application.
    fn note(&self, event: MessageEvent, messages: &[PendingSend], why: &str) {
        for message in messages {
            self.core.observers().note(|| match why {
                "" => Observed::new(event, &message.envelope),
                why => Observed::new(event, &message.envelope).because(&why),
            });
        }
    }

    /// The rows of a batch that was dropped in the middle are found and given back.
    fn note_panic(&self, payload: Box<dyn Any + Send>) {
        let panic = Panic::of(payload);
        let endpoint = &*self.endpoint.id.name;
        tracing::error!(endpoint, %panic, "the relay panicked; it goes on");
        self.core.node().rows().reconcile();
    }

    fn note_success(&self) {
        if self.endpoint.circuit.close() {
            self.is_reopened.store(true, Ordering::SeqCst);
            tracing::info!(endpoint = &*self.endpoint.id.name, "the destination is back");
            self.endpoint.wake.notify_one();
        }
    }

    fn note_failure(&self, why: &dyn std::fmt::Display) {
        if self.endpoint.circuit.open(why.to_string()) {
            let (endpoint, address) = (&*self.endpoint.id.name, &self.endpoint.id.address);
            tracing::warn!(endpoint, %address, %why, "the destination is down; messages wait");
        }
    }

    /// How long it took from the send of a message until its receiver had it.
    fn note_lag(&self, envelope: &Envelope, now: SystemTime) {
        let lag = now.duration_since(envelope.sent_at).unwrap_or_default();
        metrics::histogram!(telemetry::RELAY_LAG, telemetry::DESTINATION => self.name())
            .record(lag);
    }

    fn name(&self) -> Arc<str> {
        Arc::clone(&self.endpoint.id.name)
    }
}

/// Whether the destination was tried.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum SendAttempt {
    Made,
    NotMade,
}

fn ownership(message: &PendingSend) -> Option<Ownership> {
    let (owner, _hold) = message.row.as_ref()?;
    Some(Ownership::of(&message.envelope, *owner))
}

/// Notes messages that are only in memory and are not sent again.
fn note_lost(endpoint: &Endpoint, messages: &[PendingSend], why: &str) {
    let count = messages.len();
    if count > 0 {
        metrics::counter!(telemetry::LOST, telemetry::DESTINATION => endpoint.id.name.clone())
            .increment(count as u64);
        tracing::warn!(endpoint = &*endpoint.id.name, count, why, "given up: only in memory");
    }
}
