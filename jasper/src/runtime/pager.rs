//! The pager: brings stored messages into memory as there is room: due ones, those that did not
//! fit, those that others left behind, and those that the user's own transactions wrote.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;

use super::batch::{Batch, Target};
use super::comparison::{self, Comparison};
use super::core::{Backoff, Core};
use super::queue::{Backing, Delivery, Queue};
use super::room::Slot;
use super::routes::HandlerEntry;
use super::strays::{Strays, Verdict};
use super::worker::note_burial;
use crate::envelope::Envelope;
use crate::store::{
    Begin, ClaimRequest, Claimable, Claimed, DeadLetterId, DeadLetterReason, MessageStore,
    Ownership, Settlement, StoreError, Subscription,
};

/// The most rows of one claim.
const PAGE: usize = 250;

/// Runs until the application stops.
pub(crate) async fn page(core: Arc<Core>, store: Arc<dyn MessageStore>) {
    let comparison = Comparison::within(core.settings.lease);
    let (strays, aside) = (Strays::default(), Vec::new());
    let mut pager = Pager { core, store, strays, aside, comparison };
    let stopping = pager.core.stopping.clone();
    let mut wait = Duration::ZERO;
    loop {
        let rest = pager.core.agenda.rest(wait.min(pager.comparison.rest()));
        let woken = tokio::time::timeout(rest, pager.core.pager.notified());
        if stopping.run_until_cancelled(woken).await.is_none() {
            return;
        }
        pager.core.agenda.look();
        wait = match pager.round().await {
            Ok(wait) if pager.aside.is_empty() => wait,
            Ok(wait) => wait.min(SOON),
            Err(error) => {
                tracing::warn!(%error, "the store could not be looked at; trying again");
                pager.core.settings.poll
            }
        };
        pager.core.rounds.send_modify(|rounds| *rounds += 1);
    }
}

/// How long rows that are laid aside wait before they are looked at again.
const SOON: Duration = Duration::from_millis(50);

/// Wakes the pager at growing intervals after a foreign transaction has written messages, as its
/// commit cannot be seen. Runs until the application stops.
pub(crate) async fn look(core: Arc<Core>) {
    let stopping = core.stopping.clone();
    let mut pause = None;
    loop {
        let told = core.looker.notified();
        let next = async {
            match pause {
                None => {
                    told.await;
                    FIRST_LOOK
                }
                Some(pause) => tokio::select! {
                    () = told => FIRST_LOOK,
                    () = tokio::time::sleep(pause) => pause * 2,
                },
            }
        };
        let Some(next) = stopping.run_until_cancelled(next).await else {
            return;
        };
        core.pager.notify_one();
        core.outbound.notify_one();
        // Past the ordinary poll there is nothing to add to it.
        pause = (next < core.settings.poll).then_some(next);
    }
}

/// Wakes the pager where the store tells that there may be something to claim. Runs until the
/// application stops.
pub(crate) async fn listen(core: Arc<Core>, store: Arc<dyn MessageStore>) {
    loop {
        let Some(heard) = core.stopping.run_until_cancelled(store.nodes().heard()).await else {
            return;
        };
        if let Err(error) = heard {
            tracing::debug!(%error, "no word from the store for now; the poll goes on");
            let pause = tokio::time::sleep(core.settings.poll);
            if core.stopping.run_until_cancelled(pause).await.is_none() {
                return;
            }
        }
        core.pager.notify_one();
        core.outbound.notify_one();
    }
}

/// How long after a foreign transaction has written messages they are looked for the second time.
const FIRST_LOOK: Duration = Duration::from_millis(1);

struct Pager {
    core: Arc<Core>,
    store: Arc<dyn MessageStore>,
    strays: Strays,
    /// Claimed while this process has not done with them under the same ownership: it still asks
    /// for a settlement that is done already, as the answer was lost. Were they handled now, that
    /// settlement would come in between.
    aside: Vec<Claimed>,
    comparison: Comparison,
}

impl Pager {
    /// Claims for every queue with room, if there is anything to claim, and says how long nothing
    /// more can be expected.
    async fn round(&mut self) -> Result<Duration, StoreError> {
        let is_to_be_compared = self.comparison.is_due();
        if !self.core.trust.is_given() {
            return Ok(self.core.settings.poll);
        }
        self.give_back_aside().await;
        self.give_back_missing().await?;
        if is_to_be_compared {
            self.compare().await?;
        }
        let look = self.look().await?;
        if look.now.is_empty() {
            return Ok(self.wait_for(&look));
        }
        let mut more = false;
        let core = Arc::clone(&self.core);
        for queue in core.queues.values() {
            let waits = |takes: &&Subscription| look.now.binary_search(takes).is_ok();
            let waiting: Vec<_> = queue.takes.iter().filter(waits).cloned().collect();
            if !waiting.is_empty() {
                more |= self.fill(queue, waiting).await?;
            }
        }
        more |= self.strays(look.now).await?;
        // What is left is for a queue that is full and gives word when it has room, or waits for a
        // node that knows it.
        Ok(if more { Duration::ZERO } else { self.wait_for(&self.look().await?) })
    }

    async fn look(&self) -> Result<Claimable, StoreError> {
        self.core.call("look", self.store.inbox().look()).await
    }

    /// How long there is nothing more to do, as far as the store knows; at most one poll.
    fn wait_for(&self, look: &Claimable) -> Duration {
        let poll = self.core.settings.poll;
        look.next_due.map_or(poll, |wait| wait.min(poll))
    }

    /// Fills the memory of one queue. `true`: there is room still and there may be more.
    async fn fill(
        &mut self,
        queue: &Arc<Queue>,
        waiting: Vec<Subscription>,
    ) -> Result<bool, StoreError> {
        // Large pages: a little room is left to grow.
        let room = &queue.room;
        let slots = if room.is_roomy() { room.reserve_up_to(PAGE) } else { Vec::new() };
        if slots.is_empty() {
            queue.room.note_overflow();
            return Ok(false);
        }
        let asked = queue.room.overflow();
        let wanted = slots.len();
        let claimed =
            self.claim(waiting, wanted).await.inspect_err(|_| queue.room.note_overflow())?;
        let full = claimed.len() == wanted;
        for (claimed, slot) in claimed.into_iter().zip(slots) {
            match self.handler_of(&claimed) {
                Some(entry) => self.admit(claimed, entry, slot).await,
                None => self.bury_invalid(claimed).await,
            }
        }
        match full {
            true => queue.room.note_overflow(),
            false => queue.room.clear_overflow(asked),
        }
        Ok(full)
    }

    /// Gives back the rows that this node owns and does not hold in memory, after a call that may
    /// have been carried out although it failed. Only this task claims, so no claim is on its way.
    async fn give_back_missing(&self) -> Result<(), StoreError> {
        while self.core.held.take_doubt() {
            let limit = self.core.held.count() + PAGE;
            let owned = self.store.inbox().owned(self.core.owner(), limit);
            let missing = self.core.held.missing(self.core.call("owned", owned).await?);
            if missing.is_empty() {
                return Ok(());
            }
            tracing::info!(rows = missing.len(), "giving back rows that a failed call has taken");
            let release = missing.into_iter().map(Settlement::release_unbegun);
            self.core.settle_all(release.collect()).await;
        }
        Ok(())
    }

    /// Gives back rows that this node owns and does not hold, although nothing is known to have
    /// failed.
    async fn compare(&mut self) -> Result<(), StoreError> {
        let held = &self.core.held;
        let owned = self.store.inbox().owned(self.core.owner(), comparison::limit(held.count()));
        let began = Instant::now();
        let mut missing = held.missing(self.core.call("owned", owned).await?);
        self.comparison.took(began.elapsed());
        missing.retain(|row| !self.aside.iter().any(|aside| aside.ownership == *row));
        let missing = self.comparison.confirm(missing);
        if missing.is_empty() {
            return Ok(());
        }
        tracing::warn!(rows = missing.len(), "giving back rows that are not in memory");
        // It is not known how far the counted attempt has come.
        let ran = true;
        let release = missing.into_iter();
        let release = release.map(|ownership| Settlement::Release { ownership, ran }).collect();
        // One that is settled after all is fenced, and no fault.
        self.core.call("settle", self.store.inbox().settle(release)).await.map(|_settled| ())
    }

    /// Gives back what was laid aside, once nothing else is done with it here.
    async fn give_back_aside(&mut self) {
        let aside = std::mem::take(&mut self.aside);
        let (busy, free) = aside.into_iter().partition(|row| self.core.held.holds(&row.ownership));
        self.aside = busy;
        for claimed in free {
            self.give_back(claimed).await;
        }
    }

    /// Rows that no living node takes. One may come for which they are, after an upgrade; where
    /// none does in the time that is set for it, they become invalid messages.
    async fn strays(&mut self, waiting: Vec<Subscription>) -> Result<bool, StoreError> {
        let own: HashSet<Subscription> = self.core.routes.subscriptions().into_iter().collect();
        let not_own: Vec<_> = waiting.into_iter().filter(|s| !own.contains(s)).collect();
        if not_own.is_empty() {
            self.strays.forget_all();
            return Ok(false);
        }
        let alive = self.core.call("alive", self.store.nodes().alive()).await?;
        let keep = self.core.settings.keep_unknown;
        let strays = self.strays.among(not_own, alive, keep);
        if strays.is_empty() {
            return Ok(false);
        }
        let claimed = self.claim(strays, PAGE).await?;
        let full = claimed.len() == PAGE;
        let mut room = true;
        for stray in claimed {
            room &= self.admit_stray(stray).await;
        }
        Ok(full && room)
    }

    async fn claim(
        &self,
        subscriptions: Vec<Subscription>,
        limit: usize,
    ) -> Result<Vec<Claimed>, StoreError> {
        // What is claimed now would not begin any more.
        if self.core.stopping.is_cancelled() {
            return Ok(Vec::new());
        }
        let request = ClaimRequest { owner: self.core.owner(), subscriptions, limit };
        let claim = self.store.inbox().claim(request);
        self.core.wait("claim", claim).await
    }

    /// A stray may belong to a handler that has moved to another queue, or was renamed. `false`:
    /// that queue has no room now, and the stray waits in the store.
    async fn admit_stray(&mut self, claimed: Claimed) -> bool {
        let Some(entry) = self.handler_of(&claimed) else {
            if !self.redirect(&claimed).await {
                self.keep_or_bury(claimed).await;
            }
            return true;
        };
        let queue = self.core.queue_of(&entry);
        if let Some(slot) = queue.room.try_reserve() {
            self.admit(claimed, entry, slot).await;
            return true;
        }
        queue.room.note_overflow();
        self.give_back(claimed).await;
        false
    }

    /// A stray may be for another process, as a dead letter that is sent again is, or have come to
    /// a listener of another node that did not know it: it goes where it would go now. `false`:
    /// this application does not know where either.
    async fn redirect(&self, claimed: &Claimed) -> bool {
        let Ok(envelope) = &claimed.envelope else {
            return false;
        };
        let mut batch = Batch::default();
        if let Some(endpoint) = self.core.routes.endpoint_of(&claimed.ownership.destination) {
            let target = Target::Endpoint(Arc::clone(endpoint));
            batch.add_unowned(envelope.clone(), target);
        } else if claimed.ownership.destination.is_received() {
            for entry in self.core.routes.handlers_of(&envelope.message_type) {
                let destination = entry.address.clone();
                let envelope = Envelope { destination, attempts: 0, ..envelope.clone() };
                batch.add_unowned(envelope, Target::Handler(Arc::clone(entry)));
            }
        }
        if batch.placed.is_empty() {
            return false;
        }
        let begin = self.core.call("begin", self.store.begin(Begin::of("redirect")));
        let redirected = async {
            let transaction = begin.await?;
            self.core.commit(transaction, batch, Some(claimed.ownership.clone())).await
        };
        if let Err(error) = redirected.await {
            // It is this node's own and in nobody's memory, and found so.
            tracing::warn!(%error, "a message could not be sent on yet");
        }
        true
    }

    /// A stray that nobody knows waits for its time. One that cannot be read has no time to wait
    /// for.
    async fn keep_or_bury(&mut self, claimed: Claimed) {
        if let Ok(envelope) = &claimed.envelope
            && claimed.ownership.destination.is_valid()
        {
            let stray = Subscription {
                destination: claimed.ownership.destination.clone(),
                message_type: envelope.message_type.to_string(),
            };
            if self.strays.found(stray, self.core.settings.keep_unknown) == Verdict::Wait {
                return self.give_back(claimed).await;
            }
        }
        self.bury_invalid(claimed).await;
    }

    async fn give_back(&self, claimed: Claimed) {
        let ran = !claimed.first_attempt;
        let release = Settlement::Release { ownership: claimed.ownership, ran };
        self.core.settle(release).await;
    }

    /// The handler that a row is for; none where the row cannot be read either.
    fn handler_of(&self, claimed: &Claimed) -> Option<Arc<HandlerEntry>> {
        let envelope = claimed.envelope.as_ref().ok()?;
        let destination = &claimed.ownership.destination;
        self.core.routes.resolve(destination, &envelope.message_type).cloned()
    }

    async fn admit(&mut self, claimed: Claimed, entry: Arc<HandlerEntry>, slot: Slot) {
        // What was laid aside of it before is no longer owned, or it could not have been claimed.
        self.aside.retain(|row| {
            let (old, new) = (&row.ownership, &claimed.ownership);
            (old.id, &old.destination) != (new.id, &new.destination)
        });
        if self.core.held.holds(&claimed.ownership) {
            self.aside.push(claimed);
            return;
        }
        let Ok(envelope) = claimed.envelope else {
            return self.bury_invalid(claimed).await;
        };
        let envelope = claimed.ownership.envelope(envelope);
        let backing =
            Backing::Stored { owner: claimed.ownership.owner, counted: claimed.first_attempt };
        let Ownership { id, destination, owner, .. } = &claimed.ownership;
        let hold = Some(self.core.held.hold(*id, destination, *owner));
        let queue = Arc::clone(self.core.queue_of(&entry));
        let delivery = Delivery {
            envelope,
            entry,
            backing,
            queue,
            slot,
            _hold: hold,
            active: None,
            done: None,
        };
        self.core.enqueue(delivery);
    }

    async fn bury_invalid(&self, claimed: Claimed) {
        let (reason, message_type, error_message) = match &claimed.envelope {
            Err(error) => (DeadLetterReason::Undecodable, String::new(), error.to_string()),
            Ok(envelope) => (
                DeadLetterReason::UnknownType,
                envelope.message_type.to_string(),
                format!(
                    "no handler of this application takes `{}` at `{}`",
                    envelope.message_type, claimed.ownership.destination
                ),
            ),
        };
        let letter = DeadLetterId {
            id: claimed.ownership.id,
            destination: claimed.ownership.destination.clone(),
        };
        note_burial(&letter, &message_type, reason, &error_message);
        let row = &claimed.ownership;
        let mut backoff = Backoff::new();
        while let Err(error) =
            self.core.make_letter(row, reason, reason.as_str(), &error_message).await
        {
            if !error.is_transient() {
                // It must not keep the others waiting. It is in no memory, and found so.
                tracing::error!(message.id = %row.id, %error, "a dead letter cannot be written");
                return;
            }
            if backoff.wait(&self.core, "bury", &error).await.is_none() {
                return;
            }
        }
    }
}
