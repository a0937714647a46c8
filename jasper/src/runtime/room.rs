//! Bounded memory for messages, with word to whoever fills it from the store when there is room
//! again.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use tokio::sync::{Notify, Semaphore, SemaphorePermit};

/// Room for the messages of one queue or one endpoint.
#[derive(Debug)]
pub(crate) struct Room {
    slots: Semaphore,
    capacity: usize,
    /// How many rows were noted that may wait in the store for room here; 0 for none.
    overflow: AtomicUsize,
    /// Whether the filler has not looked, as there was no room.
    is_awaited: AtomicBool,
    /// Who fills it from the store.
    filler: Arc<Notify>,
}

impl Room {
    pub(crate) fn new(capacity: usize, filler: Arc<Notify>) -> Arc<Self> {
        let (overflow, is_awaited) = (AtomicUsize::new(0), AtomicBool::new(false));
        let slots = Semaphore::new(capacity);
        Arc::new(Self { slots, capacity, overflow, is_awaited, filler })
    }

    /// Room for one message, if there is any now.
    pub(crate) fn try_reserve(self: &Arc<Self>) -> Option<Slot> {
        self.slots.try_acquire().ok()?.forget();
        Some(Slot::new(self, true))
    }

    /// Room for a message that is about to be stored, unless others wait in the store that are
    /// older: were it to go before them, a backlog would last as long as senders are busy.
    pub(crate) fn try_reserve_in_turn(self: &Arc<Self>) -> Option<Slot> {
        match self.has_overflowed() {
            true => None,
            false => self.try_reserve(),
        }
    }

    /// Room for one message, as soon as there is some.
    pub(crate) async fn reserve(self: &Arc<Self>) -> Slot {
        // The semaphore is never closed, so this is never an error.
        let counted = self.slots.acquire().await.map(SemaphorePermit::forget).is_ok();
        Slot::new(self, counted)
    }

    /// Room for at most `limit` messages.
    pub(crate) fn reserve_up_to(self: &Arc<Self>, limit: usize) -> Vec<Slot> {
        std::iter::from_fn(|| self.try_reserve()).take(limit).collect()
    }

    /// Room beyond the capacity, for a message that a running handler returns to a queue that is
    /// not stored: were the handler to wait, a full queue that feeds itself would stand still
    /// for ever.
    pub(crate) fn reserve_beyond(self: &Arc<Self>) -> Slot {
        self.try_reserve().unwrap_or_else(|| Slot::new(self, false))
    }

    /// Whether rows may wait in the store for room here.
    pub(crate) fn has_overflowed(&self) -> bool {
        self.overflow() > 0
    }

    /// What is noted so far, for [`clear_overflow`](Self::clear_overflow).
    pub(crate) fn overflow(&self) -> usize {
        self.overflow.load(Ordering::SeqCst)
    }

    /// Notes that a row was stored which did not fit into memory.
    pub(crate) fn note_overflow(&self) {
        self.overflow.fetch_add(1, Ordering::SeqCst);
        if self.is_roomy() {
            self.filler.notify_one();
        }
    }

    /// Takes the notes back, after the store was asked and had nothing more; unless more was noted
    /// since `asked`. Until then what is sent goes behind what the store had.
    pub(crate) fn clear_overflow(&self, asked: usize) {
        // Where it fails there is something new, and the filler has been told.
        let _ = self.overflow.compare_exchange(asked, 0, Ordering::SeqCst, Ordering::SeqCst);
    }

    /// Wakes the filler once there is room, whether or not rows are known to wait.
    pub(crate) fn await_room(&self) {
        self.is_awaited.store(true, Ordering::SeqCst);
        if self.is_roomy() {
            self.filler.notify_one();
        }
    }

    /// There may be room again: wakes the filler where that is of use.
    fn note_room(&self) {
        let is_wanted = self.has_overflowed() || self.is_awaited.load(Ordering::SeqCst);
        if is_wanted && self.is_roomy() {
            self.is_awaited.store(false, Ordering::SeqCst);
            self.filler.notify_one();
        }
    }

    /// Half of the memory is free: worth a look into the store.
    pub(crate) fn is_roomy(&self) -> bool {
        self.slots.available_permits() * 2 >= self.capacity
    }
}

/// Room for one message; given back when it is dropped.
#[derive(Debug)]
pub(crate) struct Slot {
    room: Arc<Room>,
    counted: bool,
    /// Not given back before it is dropped.
    is_kept: bool,
}

impl Slot {
    fn new(room: &Arc<Room>, counted: bool) -> Self {
        Self { room: Arc::clone(room), counted, is_kept: false }
    }

    /// Whether it is room of this.
    pub(crate) fn is_in(&self, room: &Arc<Room>) -> bool {
        Arc::ptr_eq(&self.room, room)
    }

    /// Takes room for as long as it lives, wherever the message waits.
    pub(crate) const fn keep(&mut self) {
        self.is_kept = true;
    }

    /// Gives the room back, while the message waits elsewhere.
    pub(crate) fn give_back(&mut self) {
        if !self.is_kept && std::mem::take(&mut self.counted) {
            self.room.slots.add_permits(1);
        }
    }
}

impl Drop for Slot {
    fn drop(&mut self) {
        self.is_kept = false;
        self.give_back();
        self.room.note_room();
    }
}
