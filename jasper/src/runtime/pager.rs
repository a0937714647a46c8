//! The pager: brings stored messages into memory as there is room: due ones, those that did not
//! fit, those that others left behind, and those that the user's own transactions wrote.

use std::sync::Arc;
use std::time::Duration;

use super::core::Core;
use super::queue::{Backing, Delivery, Queue, Slot};
use super::routes::HandlerEntry;
use super::worker::note_burial;
use crate::store::{
    ClaimRequest, Claimed, DeadLetterId, DeadLetterReason, MessageStore, Settlement, StoreError,
    Subscription,
};

/// The most rows of one claim.
const PAGE: usize = 250;

/// Runs until the application stops.
pub(crate) async fn page(core: Arc<Core>, store: Arc<dyn MessageStore>) {
    let pager = Pager { core, store };
    let stopping = pager.core.stopping.clone();
    let mut wait = Duration::ZERO;
    loop {
        let woken = tokio::time::timeout(wait, pager.core.pager.notified());
        if stopping.run_until_cancelled(woken).await.is_none() {
            return;
        }
        wait = match pager.round().await {
            Ok(wait) => wait,
            Err(error) => {
                tracing::warn!(%error, "the store could not be looked at; trying again");
                pager.core.settings.poll
            }
        };
        pager.core.rounds.send_modify(|rounds| *rounds += 1);
    }
}

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
        // Past the ordinary poll there is nothing to add to it.
        pause = (next < core.settings.poll).then_some(next);
    }
}

/// How long after a foreign transaction has written messages they are looked for the second time.
const FIRST_LOOK: Duration = Duration::from_millis(1);

struct Pager {
    core: Arc<Core>,
    store: Arc<dyn MessageStore>,
}

impl Pager {
    /// Claims for every queue with room, if there is anything to claim, and says how long nothing
    /// more can be expected.
    async fn round(&self) -> Result<Duration, StoreError> {
        let wait = self.claimable_in().await?;
        if !wait.is_zero() {
            return Ok(wait);
        }
        let mut more = false;
        for queue in self.core.queues.values() {
            more |= self.fill(queue).await?;
        }
        more |= self.strays().await?;
        if more {
            return Ok(Duration::ZERO);
        }
        let wait = self.claimable_in().await?;
        // What is left now is for a queue that is full, and gives word when it has room.
        Ok(if wait.is_zero() { self.core.settings.poll } else { wait })
    }

    /// How long there will be nothing to claim, as far as the store knows; at most one poll.
    async fn claimable_in(&self) -> Result<Duration, StoreError> {
        let poll = self.core.settings.poll;
        let next = self.store.inbox().next_claimable();
        let next = self.core.call("next_claimable", next).await?;
        Ok(next.map_or(poll, |wait| wait.min(poll)))
    }

    /// Fills the memory of one queue. `true`: there is room still and there may be more.
    async fn fill(&self, queue: &Arc<Queue>) -> Result<bool, StoreError> {
        let slots = queue.reserve_up_to(PAGE);
        if slots.is_empty() {
            queue.note_overflow();
            return Ok(false);
        }
        queue.clear_overflow();
        let wanted = slots.len();
        let claimed = self
            .claim(queue.takes.clone(), false, wanted)
            .await
            .inspect_err(|_| queue.note_overflow())?;
        let full = claimed.len() == wanted;
        for (claimed, slot) in claimed.into_iter().zip(slots) {
            match self.handler_of(&claimed) {
                Some(entry) => self.admit(claimed, entry, slot).await,
                None => self.bury_invalid(claimed).await,
            }
        }
        if full {
            queue.note_overflow();
        }
        Ok(full)
    }

    /// Rows for destinations that no handler of this application has. Another node may have it, so
    /// they are only looked at where there is no other.
    async fn strays(&self) -> Result<bool, StoreError> {
        let alive = self.store.nodes().alive();
        let own = self.core.owner();
        if self.core.call("alive", alive).await?.into_iter().any(|node| node.owner != own) {
            return Ok(false);
        }
        let known = self.core.routes.subscriptions();
        let strays = self.claim(known, true, PAGE).await?;
        let full = strays.len() == PAGE;
        let mut room = true;
        for stray in strays {
            room &= self.admit_stray(stray).await;
        }
        Ok(full && room)
    }

    async fn claim(
        &self,
        subscriptions: Vec<Subscription>,
        except: bool,
        limit: usize,
    ) -> Result<Vec<Claimed>, StoreError> {
        let request = ClaimRequest { owner: self.core.owner(), subscriptions, except, limit };
        let claim = self.store.inbox().claim(request);
        self.core.wait("claim", claim).await
    }

    /// A stray may belong to a handler that has moved to another queue, or was renamed. `false`:
    /// that queue has no room now, and the stray waits in the store.
    async fn admit_stray(&self, claimed: Claimed) -> bool {
        let Some(entry) = self.handler_of(&claimed) else {
            self.bury_invalid(claimed).await;
            return true;
        };
        let queue = self.core.queue_of(&entry);
        if let Some(slot) = queue.try_reserve() {
            self.admit(claimed, entry, slot).await;
            return true;
        }
        queue.note_overflow();
        let ran = !claimed.first_attempt;
        let release = Settlement::Release { ownership: claimed.ownership, ran };
        self.core.settle(release).await;
        false
    }

    /// The handler that a row is for; none where the row cannot be read either.
    fn handler_of(&self, claimed: &Claimed) -> Option<Arc<HandlerEntry>> {
        let envelope = claimed.envelope.as_ref().ok()?;
        let destination = &claimed.ownership.destination;
        self.core.routes.resolve(destination, &envelope.message_type).cloned()
    }

    async fn admit(&self, claimed: Claimed, entry: Arc<HandlerEntry>, slot: Slot) {
        let Ok(envelope) = claimed.envelope else {
            return self.bury_invalid(claimed).await;
        };
        let backing =
            Backing::Stored { owner: claimed.ownership.owner, counted: claimed.first_attempt };
        self.core.enqueue(Delivery { envelope, entry, backing, slot, active: None });
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
        let settlement = Settlement::Bury {
            ownership: claimed.ownership,
            reason,
            error_type: reason.as_str().to_owned(),
            error_message,
        };
        self.core.settle(settlement).await;
    }
}
