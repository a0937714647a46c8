//! The pager: brings stored messages into memory as there is room: due ones, those that did not
//! fit, those that others left behind, and those that the user's own transactions wrote.

use std::sync::Arc;
use std::time::Duration;

use futures_util::FutureExt;
use tokio::time::Instant;

use super::pace::Pace;
use super::unhandled::{UnhandledTypes, Verdict};
use crate::envelope::Envelope;
use crate::runtime::core::Core;
use crate::runtime::handle::delivery::enqueue;
use crate::runtime::handle::entry::HandlerEntry;
use crate::runtime::handle::queue::{Backing, Delivery, Queue};
use crate::runtime::memory::room::Slot;
use crate::runtime::own::comparison::{self, Comparison};
use crate::runtime::send::batch::{Batch, KEPT};
use crate::runtime::send::dispatch::Dispatcher;
use crate::runtime::storage::dead_letters::{note_letter, settle_as_letter};
use crate::runtime::storage::health::Retries;
use crate::store::{
    ClaimRequest, Claimable, ClaimableRequest, Claimed, DeadLetterId, DeadLetterReason,
    MessageStore, Ownership, Settlement, StoreError, StoreOperation, Subscription,
    TransactionOptions, may_have_left,
};

/// The most rows of one claim.
const PAGE: usize = 250;

/// The most claims for one queue between two looks: others have their turn after them.
const CLAIMS: usize = 4;

/// How many subscriptions one look finds beside those that this node takes.
const LOOK_PAGE: usize = 200;

/// Runs until the application stops.
pub(crate) async fn page(core: Arc<Core>, store: Arc<dyn MessageStore>) {
    let stopping = core.lifecycle().stopping().clone();
    let mut pager = Pager::new(core, store);
    while stopping.run_until_cancelled(pager.rest()).await.is_some() {
        let is_look_due = pager.is_look_due();
        let wait = match pager.round(is_look_due).await {
            Ok(wait) if pager.aside.is_empty() => wait,
            Ok(wait) => wait.min(SOON),
            Err(error) => {
                tracing::warn!(%error, "the store could not be looked at; trying again");
                pager.core.settings().poll
            }
        };
        pager.next_look = Instant::now() + wait;
        if is_look_due {
            pager.core.wakeups().rounds().send_modify(|rounds| *rounds += 1);
        }
    }
}

/// How long rows that are laid aside wait before they are looked at again.
const SOON: Duration = Duration::from_millis(50);

struct Pager {
    core: Arc<Core>,
    store: Arc<dyn MessageStore>,
    takes: Arc<[Subscription]>,
    unhandled: UnhandledTypes,
    /// Claimed while this process has not done with them under the same ownership: it still asks
    /// for a settlement that is done already, as the answer was lost. Were they handled now, that
    /// settlement would come in between.
    aside: Vec<Claimed>,
    comparison: Comparison,
    pace: Pace,
    next_look: Instant,
}

impl Pager {
    fn new(core: Arc<Core>, store: Arc<dyn MessageStore>) -> Self {
        Self {
            takes: core.routes().subscriptions().collect(),
            unhandled: UnhandledTypes::default(),
            aside: Vec::new(),
            comparison: Comparison::within(core.settings().lease),
            pace: Pace::default(),
            next_look: Instant::now(),
            core,
            store,
        }
    }

    /// Waits until there may be something to do.
    ///
    /// What wakes it while the last look is not long ago is served by one look together.
    async fn rest(&mut self) {
        let mut wait = self.next_look.saturating_duration_since(Instant::now());
        if !self.core.store().is_notified() {
            // Word that was to wake it may have been lost meanwhile.
            wait = wait.min(self.pace.longest(self.core.settings().poll, false));
        }
        let wait = self.core.wakeups().agenda().rest(wait);
        let look_at = Instant::now() + wait;
        let pager = self.core.wakeups().pager();
        let woken = tokio::time::timeout(wait.min(self.comparison.rest()), pager.notified()).await;
        self.next_look = if woken.is_ok() { Instant::now() } else { look_at };
        if self.is_look_due() {
            tokio::time::sleep(self.pace.rest()).await;
            // What has come by now is seen by the look that follows.
            let _woken_again = pager.notified().now_or_never();
        }
    }

    fn is_look_due(&self) -> bool {
        self.next_look <= Instant::now()
    }

    /// Claims for every queue with room, if there is anything to claim, and says how long nothing
    /// more can be expected.
    async fn round(&mut self, is_look_due: bool) -> Result<Duration, StoreError> {
        if self.core.settings().send_only {
            // It owns no row of the inbox, and what waits there is for others.
            return Ok(self.core.settings().poll);
        }
        let is_to_be_compared = self.comparison.is_due();
        if !self.core.node().trust().is_given() {
            return Ok(self.core.settings().poll);
        }
        self.give_back_aside().await;
        if let Err(error) = self.compare_rows(is_to_be_compared).await {
            // Messages that wait in the store do not wait for that.
            tracing::warn!(%error, "the rows of this node could not be compared with its memory");
        }
        if !is_look_due {
            return Ok(self.next_look.saturating_duration_since(Instant::now()));
        }
        self.core.wakeups().agenda().look();
        if !self.has_room() && !self.pace.is_overdue(self.core.settings().poll) {
            return Ok(self.core.settings().poll);
        }
        // A look that fails has found nothing.
        self.pace.note(false);
        let look = self.claimable().await?;
        let looked_at = Instant::now();
        let mut more = false;
        let core = Arc::clone(&self.core);
        for queue in core.routes().queues() {
            let waits = |takes: &&Subscription| look.now.binary_search(takes).is_ok();
            let waiting: Vec<_> = queue.takes.iter().filter(waits).cloned().collect();
            if !waiting.is_empty() {
                more |= self.fill(queue, waiting).await?;
            }
        }
        more |= self.unhandled(&look).await?;
        // What is left is for a queue that is full and gives word when it has room, or waits for a
        // node that knows it.
        let wait = if more { Duration::ZERO } else { self.wait_after(&look) };
        Ok(wait.saturating_sub(looked_at.elapsed()))
    }

    /// Whether any queue could take what a look finds; those that could not give word.
    fn has_room(&self) -> bool {
        let queues = self.core.routes().queues();
        let full: Vec<_> = queues.filter(|queue| !queue.room.is_roomy()).collect();
        let has_room = full.len() < self.core.routes().queues().len();
        if !has_room {
            full.into_iter().for_each(|queue| queue.room.await_room());
        }
        has_room
    }

    async fn claimable(&self) -> Result<Claimable, StoreError> {
        let (takes, after) = (Arc::clone(&self.takes), self.unhandled.after());
        let request = ClaimableRequest { takes, page: LOOK_PAGE, after };
        self.core
            .store()
            .call(StoreOperation::Claimable, self.store.inbox().claimable(request))
            .await
    }

    /// How long there is nothing more to do, as far as the store knows.
    fn wait_after(&self, look: &Claimable) -> Duration {
        let poll = self.core.settings().poll;
        let is_quiet = look.now.is_empty()
            && self.unhandled.is_empty()
            && self.aside.is_empty()
            && !self.core.node().rows().inbox().is_to_be_reconciled();
        let poll =
            if is_quiet { self.pace.longest(poll, self.core.store().is_notified()) } else { poll };
        look.next_due.map_or(poll, |wait| self.pace.until_due(wait).min(poll))
    }

    /// Fills the memory of one queue. `true`: there is room still and there may be more.
    async fn fill(
        &mut self,
        queue: &Arc<Queue>,
        waiting: Vec<Subscription>,
    ) -> Result<bool, StoreError> {
        for _ in 0..CLAIMS {
            if !self.fill_page(queue, waiting.clone()).await? {
                return Ok(false);
            }
        }
        Ok(true)
    }

    async fn fill_page(
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
        let claimed = self
            .claim(waiting, wanted, queue.claims_count)
            .await
            .inspect_err(|_| queue.room.note_overflow())?;
        let full = has_more(&claimed, wanted);
        if !claimed.is_empty() {
            self.pace.note(true);
        }
        for (claimed, slot) in claimed.into_iter().zip(slots) {
            match self.handler_of(&claimed) {
                Some(entry) => self.admit(claimed, entry, slot).await,
                None => self.give_up_invalid(claimed).await,
            }
        }
        if full {
            queue.room.note_overflow();
        } else {
            queue.room.clear_overflow(asked);
        }
        Ok(full)
    }

    async fn compare_rows(&mut self, is_due: bool) -> Result<(), StoreError> {
        self.give_back_missing().await?;
        if is_due && self.core.may_have_rows() { self.compare().await } else { Ok(()) }
    }

    /// Gives back the rows that this node owns and does not hold in memory, after a call that may
    /// have been carried out although it failed. Only this task claims, so no claim is on its way.
    async fn give_back_missing(&self) -> Result<(), StoreError> {
        let held = &self.core.node().rows().inbox();
        while held.is_to_be_compared(Duration::ZERO) {
            let (limit, began) = (held.count() + PAGE, Instant::now());
            let owned = self.store.inbox().owned(self.core.node().owner(), limit);
            let owned = self.core.store().call(StoreOperation::Owned, owned).await;
            held.note_compared(began.elapsed());
            let missing =
                held.missing(owned.inspect_err(|_| self.core.node().rows().reconcile_inbox())?);
            if missing.is_empty() {
                return Ok(());
            }
            tracing::info!(rows = missing.len(), "giving back rows that a failed call has taken");
            let release = missing.into_iter().map(Settlement::release_unbegun);
            self.core.store().settle_all(release.collect()).await;
            self.core.wakeups().pager().notify_one();
        }
        Ok(())
    }

    /// Gives back rows that this node owns and does not hold, although nothing is known to have
    /// failed.
    async fn compare(&mut self) -> Result<(), StoreError> {
        let held = &self.core.node().rows().inbox();
        let owned =
            self.store.inbox().owned(self.core.node().owner(), comparison::limit(held.count()));
        let began = Instant::now();
        let owned = self.core.store().call(StoreOperation::Owned, owned).await;
        self.comparison.took(began.elapsed());
        let mut missing = held.missing(owned?);
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
        self.core.store().call(StoreOperation::Settle, self.store.inbox().settle(release)).await?;
        self.core.wakeups().pager().notify_one();
        Ok(())
    }

    /// Gives back what was laid aside, once nothing else is done with it here.
    async fn give_back_aside(&mut self) {
        let aside = std::mem::take(&mut self.aside);
        let (busy, free) = aside
            .into_iter()
            .partition(|row| self.core.node().rows().inbox().holds(&row.ownership));
        self.aside = busy;
        for claimed in free {
            self.give_back(claimed).await;
            self.core.wakeups().pager().notify_one();
        }
    }

    /// Rows that no living node takes. One may come for which they are, after an upgrade; where
    /// none does in the time that is set for it, they become invalid messages.
    async fn unhandled(&mut self, look: &Claimable) -> Result<bool, StoreError> {
        let others = look.now.iter().filter(|waits| !self.takes.contains(waits));
        let others: Vec<_> = others.cloned().collect();
        let claimed = self.claim_unhandled(others).await;
        self.unhandled.turn(look.rest.clone());
        let (claimed, mut room) = (claimed?, true);
        let full = has_more(&claimed, PAGE);
        if !claimed.is_empty() {
            self.pace.note(true);
        }
        for unhandled in claimed {
            room &= self.admit_unhandled(unhandled).await;
        }
        Ok(full && room)
    }

    async fn claim_unhandled(
        &mut self,
        others: Vec<Subscription>,
    ) -> Result<Vec<Claimed>, StoreError> {
        if others.is_empty() {
            return Ok(Vec::new());
        }
        let alive =
            self.core.store().call(StoreOperation::Alive, self.store.nodes().alive()).await?;
        let keep = self.core.settings().keep_unknown;
        let unhandled = self.unhandled.among(others, alive, keep);
        if unhandled.is_empty() {
            return Ok(Vec::new());
        }
        // Its handler, if there is one, may have a single attempt.
        self.claim(unhandled, PAGE, false).await
    }

    async fn claim(
        &self,
        subscriptions: Vec<Subscription>,
        limit: usize,
        counts_attempt: bool,
    ) -> Result<Vec<Claimed>, StoreError> {
        // What is claimed now would not begin any more.
        if self.core.lifecycle().is_stopping() {
            return Ok(Vec::new());
        }
        let owner = self.core.node().owner();
        let request = ClaimRequest { owner, subscriptions, limit, counts_attempt };
        let claim = self.store.inbox().claim(request);
        self.core.store().wait(StoreOperation::Claim, claim).await
    }

    /// An unhandled message may belong to a handler that has moved to another queue, or was
    /// renamed. `false`: that queue has no room now, and the message waits in the store.
    async fn admit_unhandled(&mut self, claimed: Claimed) -> bool {
        let Some(entry) = self.handler_of(&claimed).filter(|entry| entry.runs_here) else {
            if !self.redirect(&claimed).await {
                self.keep_or_give_up(claimed).await;
            }
            return true;
        };
        let queue = self.core.routes().queue_of(&entry);
        let bytes = claimed.envelope.as_ref().map_or(0, Envelope::bytes);
        if let Some(slot) = queue.room.try_reserve(bytes) {
            self.admit(claimed, entry, slot).await;
            return true;
        }
        queue.room.note_overflow();
        self.give_back(claimed).await;
        false
    }

    /// An unhandled message may be for another process, as a dead letter that is sent again is, or
    /// have come to a listener of another node that did not know it: it goes where it would go
    /// now. `false`: this application does not know where either.
    async fn redirect(&self, claimed: &Claimed) -> bool {
        let Ok(envelope) = &claimed.envelope else {
            return false;
        };
        let (mut batch, now) = (Batch::default(), self.core.clock().now());
        let own;
        if let Some(endpoint) = self.core.routes().endpoint_of(&claimed.ownership.destination) {
            batch.to_endpoints.push_unowned(envelope.clone(), Arc::clone(endpoint));
        } else {
            let entries = if claimed.ownership.destination.is_received() {
                self.core.routes().handlers_of(&envelope.message_type)
            } else {
                // It does not run here: for a process where it does.
                own = self.handler_of(claimed);
                own.as_slice()
            };
            for entry in entries {
                let destination = entry.address.clone();
                let envelope = Envelope { destination, attempts: 0, ..envelope.clone() };
                batch.to_handlers.push_unowned(envelope, Arc::clone(entry), now, Some(KEPT));
            }
        }
        if batch.is_empty() {
            return false;
        }
        let begin = self
            .core
            .store()
            .call(StoreOperation::Begin, self.store.begin(TransactionOptions::of("redirect")));
        let redirected = async {
            let transaction = begin.await?;
            let handled = Some(claimed.ownership.clone());
            Dispatcher::of(&self.core).commit(transaction, batch, handled).await
        };
        if let Err(error) = redirected.await {
            // It is this node's own and in nobody's memory, and found so.
            tracing::warn!(%error, "a message could not be sent on yet");
        }
        true
    }

    /// A message that no node knows waits for its time. One that cannot be read has no time to wait
    /// for.
    async fn keep_or_give_up(&mut self, claimed: Claimed) {
        if let Ok(envelope) = &claimed.envelope
            && claimed.ownership.destination.is_valid()
        {
            let unhandled = Subscription {
                destination: claimed.ownership.destination.clone(),
                message_type: envelope.message_type.to_string(),
            };
            if self.unhandled.found(unhandled, self.core.settings().keep_unknown) == Verdict::Wait {
                return self.give_back(claimed).await;
            }
        }
        self.give_up_invalid(claimed).await;
    }

    async fn give_back(&self, claimed: Claimed) {
        let ran = !claimed.first_attempt;
        let release = Settlement::Release { ownership: claimed.ownership, ran };
        self.core.store().settle(release).await;
    }

    /// The handler that a row is for; none where the row cannot be read either.
    fn handler_of(&self, claimed: &Claimed) -> Option<Arc<HandlerEntry>> {
        let envelope = claimed.envelope.as_ref().ok()?;
        let destination = &claimed.ownership.destination;
        self.core.routes().resolve(destination, &envelope.message_type).cloned()
    }

    async fn admit(&mut self, claimed: Claimed, entry: Arc<HandlerEntry>, mut slot: Slot) {
        // What was laid aside of it before is no longer owned, or it could not have been claimed.
        self.aside.retain(|row| {
            let (old, new) = (&row.ownership, &claimed.ownership);
            (old.id, &old.destination) != (new.id, &new.destination)
        });
        if self.core.node().rows().inbox().holds(&claimed.ownership) {
            self.aside.push(claimed);
            return;
        }
        let Ok(envelope) = claimed.envelope else {
            return self.give_up_invalid(claimed).await;
        };
        let envelope = claimed.ownership.envelope(envelope);
        slot.weigh(envelope.bytes());
        let backing =
            Backing::Stored { owner: claimed.ownership.owner, counted: claimed.first_attempt };
        let Ownership { id, destination, owner, .. } = &claimed.ownership;
        let hold = Some(self.core.node().rows().inbox().hold(*id, destination, *owner));
        let queue = Arc::clone(self.core.routes().queue_of(&entry));
        let interrupted_by = claimed.interrupted_by;
        let delivery = Delivery::new(envelope, entry, queue, backing, slot);
        enqueue(&self.core, Delivery { interrupted_by, _hold: hold, ..delivery });
    }

    async fn give_up_invalid(&self, claimed: Claimed) {
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
        note_letter(&letter, &message_type, reason, &error_message);
        let row = &claimed.ownership;
        let mut retries = Retries::new();
        while let Err(error) =
            settle_as_letter(self.core.store(), row, reason, reason.as_str(), &error_message).await
        {
            if !error.is_transient() {
                // It must not keep the others waiting. It is in no memory, and found so.
                tracing::error!(message.id = %row.id, %error, "a dead letter cannot be written");
                return;
            }
            if retries.wait(self.core.store().health(), "dead letter", &error).await.is_none() {
                return;
            }
        }
    }
}

/// Whether a claim of at most `limit` rows may have left some.
fn has_more(claimed: &[Claimed], limit: usize) -> bool {
    may_have_left(claimed.iter().map(|claimed| claimed.envelope.as_ref().ok()), limit)
}
