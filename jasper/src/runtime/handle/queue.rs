//! A local queue: bounded memory, and its own parallelism.

use std::sync::Arc;

use tokio::sync::{Notify, OwnedSemaphorePermit, Semaphore, oneshot};

use super::entry::HandlerEntry;
use super::waiting::WaitingMessages;
use crate::envelope::{Envelope, MessageId};
use crate::runtime::memory::activity::Active;
use crate::runtime::memory::budget::Budget;
use crate::runtime::memory::room::{MemorySlot, Room};
use crate::runtime::own::rows_in_memory::InMemoryGuard;
use crate::store::{Owner, Ownership, Subscription};
use crate::transport::Receipt;

/// One message in memory, on its way to its handler.
#[derive(Debug)]
pub(crate) struct Delivery {
    pub(crate) envelope: Envelope,
    pub(crate) entry: Arc<HandlerEntry>,
    pub(crate) backing: Backing,
    /// The owners from which its row was taken over.
    pub(crate) interrupted_by: Vec<Owner>,
    pub(crate) queue: Arc<Queue>,
    pub(crate) guards: Guards,
    /// Of a message that is settled at the end of its handler. Dropped where that does not come.
    pub(crate) done: Option<oneshot::Sender<Receipt>>,
}

impl Delivery {
    /// A message that has just come into memory.
    pub(crate) const fn new(
        envelope: Envelope,
        entry: Arc<HandlerEntry>,
        queue: Arc<Queue>,
        backing: Backing,
        slot: MemorySlot,
    ) -> Self {
        Self {
            envelope,
            entry,
            backing,
            interrupted_by: Vec::new(),
            queue,
            guards: Guards { _slot: slot, in_memory: None, active: None },
            done: None,
        }
    }

    /// The owner of its row; none of a message that is in memory only.
    pub(crate) const fn owner(&self) -> Option<Owner> {
        match self.backing {
            Backing::Stored { owner, .. } => Some(owner),
            Backing::Memory => None,
        }
    }

    /// What a write on its row compares.
    pub(crate) fn ownership(&self, owner: Owner) -> Ownership {
        Ownership::of(&self.envelope, owner)
    }

    /// How many of its attempts have failed or may have: not those that were cut short with the
    /// lease of their node.
    pub(crate) fn failures(&self) -> u32 {
        let cut_short = u32::try_from(self.interrupted_by.len()).unwrap_or(u32::MAX);
        self.envelope.attempts.saturating_sub(cut_short)
    }

    /// Its handler will not run again. The receipt is for a listener that waits for that.
    pub(crate) fn note_done(&mut self, receipt: Receipt) {
        if let Some(done) = self.done.take() {
            // The listener may have ended.
            let _ = done.send(receipt);
        }
    }
}

/// What a message in memory keeps for as long as it is there.
#[derive(Debug)]
pub(crate) struct Guards {
    _slot: MemorySlot,
    /// Of a message that is stored.
    pub(crate) in_memory: Option<InMemoryGuard>,
    /// While it counts as being in work, which a message that waits for a time does not.
    pub(crate) active: Option<Active>,
}

/// What stands behind a message in memory.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Backing {
    /// Nothing: a crash loses it.
    Memory,
    /// A row of the inbox, owned as this incarnation.
    Stored {
        owner: Owner,
        /// Whether the coming attempt is already counted in the row.
        attempt_counted: bool,
    },
}

/// A local queue of this process.
#[derive(Debug)]
pub(crate) struct Queue {
    /// What those of its handlers take that run here.
    pub(crate) takes: Vec<Subscription>,
    /// Whether a claim counts the first attempt: not where a handler has no other.
    pub(crate) count_attempt: bool,
    /// How many of its handlers run at once.
    running: Arc<Semaphore>,
    /// How many of its messages are in memory.
    pub(crate) room: Arc<Room>,
    waiting: WaitingMessages<Delivery>,
}

impl Queue {
    pub(crate) fn new(
        takes: Vec<Subscription>,
        concurrency: usize,
        capacity: usize,
        budget: &Arc<Budget>,
        pager: Arc<Notify>,
    ) -> Self {
        let running = Arc::new(Semaphore::new(concurrency));
        let room = Room::new(capacity, budget, pager);
        Self { takes, count_attempt: true, running, room, waiting: WaitingMessages::new() }
    }

    /// Puts a message behind those that wait. What was taken over from a node that is gone goes
    /// before all else: it has waited for the end of a lease, while the others may have come just
    /// now.
    ///
    /// `Err`: the id of a message that comes too late, as the application has ended.
    pub(crate) fn push(&self, delivery: Delivery) -> Result<(), MessageId> {
        let is_taken_over = !delivery.interrupted_by.is_empty();
        self.waiting.push(delivery, is_taken_over).map_err(|late| late.envelope.id)
    }

    /// The messages that wait for a worker.
    pub(super) const fn waiting(&self) -> &WaitingMessages<Delivery> {
        &self.waiting
    }

    /// A place in the queue's parallelism, as soon as there is one.
    pub(super) async fn place(&self) -> Option<OwnedSemaphorePermit> {
        // The semaphore is never closed, so there is always one in the end.
        Arc::clone(&self.running).acquire_owned().await.ok()
    }

    /// The same, if there is one now.
    pub(super) fn try_place(&self) -> Option<OwnedSemaphorePermit> {
        Arc::clone(&self.running).try_acquire_owned().ok()
    }
}
