//! From a claim into memory.

use std::sync::Arc;

use crate::envelope::Envelope;
use crate::runtime::core::Core;
use crate::runtime::handle::delivery::enqueue;
use crate::runtime::handle::entry::HandlerEntry;
use crate::runtime::handle::queue::{Backing, Delivery};
use crate::runtime::memory::room::MemorySlot;
use crate::runtime::storage::dead_letters::{log_dead_letter, settle_as_letter};
use crate::runtime::storage::health::Retries;
use crate::store::{
    ClaimRequest, Claimed, DeadLetterId, DeadLetterReason, MessageStore, Ownership, Settlement,
    StoreError, StoreOperation, Subscription, may_have_left,
};

/// Claims rows, and brings what it has claimed into memory.
pub(super) struct Claimer {
    pub(super) core: Arc<Core>,
    pub(super) store: Arc<dyn MessageStore>,
    /// Rows that were claimed again while this process still repeats a settlement under the same
    /// ownership: the first call succeeded, and its answer was lost. They are handled later, as the
    /// repeated settlement could otherwise settle the new run.
    pub(super) deferred: Vec<Claimed>,
}

impl Claimer {
    pub(super) const fn new(core: Arc<Core>, store: Arc<dyn MessageStore>) -> Self {
        Self { core, store, deferred: Vec::new() }
    }

    /// Claims at most `limit` rows of these subscriptions.
    pub(super) fn claim(
        &self,
        subscriptions: Vec<Subscription>,
        limit: usize,
        count_attempt: bool,
    ) -> impl Future<Output = Result<Vec<Claimed>, StoreError>> + use<> {
        let (core, store) = (Arc::clone(&self.core), Arc::clone(&self.store));
        async move {
            // What is claimed now would not begin any more.
            if core.lifecycle().is_draining() {
                return Ok(Vec::new());
            }
            let owner = core.node().owner();
            let request = ClaimRequest { owner, subscriptions, limit, count_attempt };
            let claim = store.inbox().claim(request);
            core.store().call_without_deadline(StoreOperation::Claim, claim).await
        }
    }

    /// Gives back what was deferred, once nothing else is done with it here.
    pub(super) async fn give_back_deferred(&mut self) {
        let deferred = std::mem::take(&mut self.deferred);
        let (busy, free) = deferred
            .into_iter()
            .partition(|row| self.core.node().rows().inbox().contains(&row.ownership));
        self.deferred = busy;
        for claimed in free {
            self.give_back(claimed).await;
            self.core.wakeups().pager().notify_one();
        }
    }

    /// Gives a row back: nothing is done with it here.
    pub(super) async fn give_back(&self, claimed: Claimed) {
        let attempt_began = !claimed.attempt_counted;
        let release = Settlement::Release { ownership: claimed.ownership, attempt_began };
        self.core.store().settle(release).await;
    }

    /// The handler that a row is for; none where the row cannot be read either.
    pub(super) fn handler_of(&self, claimed: &Claimed) -> Option<Arc<HandlerEntry>> {
        let envelope = claimed.envelope.as_ref().ok()?;
        let destination = &claimed.ownership.destination;
        self.core.routes().handlers().resolve(destination, &envelope.message_type).cloned()
    }

    /// Puts a message into the queue of its handler.
    pub(super) async fn admit(
        &mut self,
        claimed: Claimed,
        entry: Arc<HandlerEntry>,
        mut slot: MemorySlot,
    ) {
        // What was deferred of it before is no longer owned, or it could not have been claimed.
        self.deferred.retain(|row| {
            let (old, new) = (&row.ownership, &claimed.ownership);
            (old.id, &old.destination) != (new.id, &new.destination)
        });
        if self.core.node().rows().inbox().contains(&claimed.ownership) {
            self.deferred.push(claimed);
            return;
        }
        let Ok(envelope) = claimed.envelope else {
            return self.give_up_invalid(claimed).await;
        };
        let envelope = claimed.ownership.envelope(envelope);
        slot.weigh(envelope.bytes());
        let backing = Backing::Stored {
            owner: claimed.ownership.owner,
            attempt_counted: claimed.attempt_counted,
        };
        let Ownership { id, destination, owner, .. } = &claimed.ownership;
        let hold = self.core.node().rows().inbox().register(*id, destination, *owner);
        let queue = Arc::clone(self.core.routes().queue_of(&entry));
        let mut delivery = Delivery::new(envelope, entry, queue, backing, slot);
        delivery.interrupted_by = claimed.interrupted_by;
        delivery.guards.in_memory = Some(hold);
        enqueue(&self.core, delivery);
    }

    /// Makes an invalid message of a row that cannot be handled.
    pub(super) async fn give_up_invalid(&self, claimed: Claimed) {
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
        log_dead_letter(&letter, &message_type, reason, &error_message);
        let row = &claimed.ownership;
        let mut retries = Retries::new();
        while let Err(error) =
            settle_as_letter(self.core.store(), row, reason, reason.as_str(), &error_message).await
        {
            if !error.is_transient() {
                // It must not keep the others waiting. This node owns it and does not hold it, so
                // it is found again.
                tracing::error!(message.id = %row.id, %error, "a dead letter cannot be written");
                return;
            }
            if retries.wait(self.core.store().health(), "dead letter", &error).await.is_none() {
                return;
            }
        }
    }
}

/// The bytes of a message that was claimed; 0 of one that cannot be read.
pub(super) fn bytes(claimed: &Claimed) -> usize {
    claimed.envelope.as_ref().map_or(0, Envelope::bytes)
}

/// Whether a claim of at most `limit` rows may have left some.
pub(super) fn has_more(claimed: &[Claimed], limit: usize) -> bool {
    may_have_left(claimed.iter().map(|claimed| claimed.envelope.as_ref().ok()), limit)
}
