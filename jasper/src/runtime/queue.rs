//! A local queue: bounded memory, its own parallelism, and word to the pager when there is room
//! again.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};
use tokio::sync::{Notify, Semaphore, SemaphorePermit};

use super::activity::Active;
use super::held::Hold;
use super::routes::HandlerEntry;
use crate::envelope::{Envelope, MessageId};
use crate::store::{Owner, Subscription};

/// One message in memory, on its way to its handler.
#[derive(Debug)]
pub(crate) struct Delivery {
    pub(crate) envelope: Envelope,
    pub(crate) entry: Arc<HandlerEntry>,
    pub(crate) backing: Backing,
    pub(crate) slot: Slot,
    /// Set for a message that is stored.
    pub(crate) _hold: Option<Hold>,
    /// Set while it counts as being in work, which a message that waits for a time does not.
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
        counted: bool,
    },
}

/// A local queue of this process.
#[derive(Debug)]
pub(crate) struct Queue {
    /// What the handlers on it take.
    pub(crate) takes: Vec<Subscription>,
    /// How many of its handlers run at once.
    pub(crate) running: Arc<Semaphore>,
    slots: Semaphore,
    capacity: usize,
    sender: UnboundedSender<Delivery>,
    /// Whether rows may wait in the store for room here.
    overflowed: AtomicBool,
    pager: Arc<Notify>,
}

impl Queue {
    pub(crate) fn new(
        takes: Vec<Subscription>,
        concurrency: usize,
        capacity: usize,
        pager: Arc<Notify>,
    ) -> (Self, UnboundedReceiver<Delivery>) {
        let (sender, receiver) = unbounded_channel();
        let queue = Self {
            takes,
            running: Arc::new(Semaphore::new(concurrency)),
            slots: Semaphore::new(capacity),
            capacity,
            sender,
            overflowed: AtomicBool::new(false),
            pager,
        };
        (queue, receiver)
    }

    /// Room for one message, if there is any now.
    pub(crate) fn try_reserve(self: &Arc<Self>) -> Option<Slot> {
        self.slots.try_acquire().ok()?.forget();
        Some(Slot { queue: Arc::clone(self), counted: true })
    }

    /// Room for a message that is about to be stored, unless others wait in the store that are
    /// older: were it to go before them, a backlog would last as long as senders are busy.
    pub(crate) fn try_reserve_in_turn(self: &Arc<Self>) -> Option<Slot> {
        match self.overflowed.load(Ordering::Acquire) {
            true => None,
            false => self.try_reserve(),
        }
    }

    /// Room for one message, as soon as there is some.
    pub(crate) async fn reserve(self: &Arc<Self>) -> Slot {
        // The semaphore is never closed, so this is never an error.
        let counted = self.slots.acquire().await.map(SemaphorePermit::forget).is_ok();
        Slot { queue: Arc::clone(self), counted }
    }

    /// Room for at most `limit` messages.
    pub(crate) fn reserve_up_to(self: &Arc<Self>, limit: usize) -> Vec<Slot> {
        std::iter::from_fn(|| self.try_reserve()).take(limit).collect()
    }

    /// Room beyond the capacity, for a message that a running handler returns to a queue that is
    /// not stored: were the handler to wait, a full queue that feeds itself would stand still
    /// for ever.
    pub(crate) fn reserve_beyond(self: &Arc<Self>) -> Slot {
        self.try_reserve().unwrap_or_else(|| Slot { queue: Arc::clone(self), counted: false })
    }

    /// Notes that a row was stored which did not fit into memory.
    pub(crate) fn note_overflow(&self) {
        self.overflowed.store(true, Ordering::Release);
        if self.has_room() {
            self.pager.notify_one();
        }
    }

    /// Takes the note back before the store is asked, so that an overflow meanwhile is not missed.
    pub(crate) fn clear_overflow(&self) {
        self.overflowed.store(false, Ordering::Release);
    }

    /// Half of the memory is free: worth a look into the store.
    pub(crate) fn has_room(&self) -> bool {
        self.slots.available_permits() * 2 >= self.capacity
    }

    /// `Err`: the id of a message that comes too late, as the application has ended.
    pub(crate) fn push(&self, delivery: Delivery) -> Result<(), MessageId> {
        let sent = self.sender.send(delivery);
        sent.map_err(|refused| refused.0.envelope.id)
    }
}

/// Room for one message in the memory of a queue; given back when it is dropped.
#[derive(Debug)]
pub(crate) struct Slot {
    queue: Arc<Queue>,
    counted: bool,
}

impl Slot {
    pub(crate) const fn queue(&self) -> &Arc<Queue> {
        &self.queue
    }
}

impl Slot {
    /// Gives the room back, while the message waits elsewhere.
    pub(crate) fn give_back(&mut self) {
        if std::mem::take(&mut self.counted) {
            self.queue.slots.add_permits(1);
        }
    }
}

impl Drop for Slot {
    fn drop(&mut self) {
        self.give_back();
        if self.queue.overflowed.load(Ordering::Acquire) && self.queue.has_room() {
            self.queue.pager.notify_one();
        }
    }
}
