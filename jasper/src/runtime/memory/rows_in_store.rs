//! Rows that wait in the store for room in memory, and the task that fills a room with them.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use tokio::sync::Notify;

/// What is known of rows that wait in the store for room here, and what wakes their filler.
#[derive(Debug)]
pub(super) struct RowsInStore {
    /// How many rows were noted that may wait; 0 for none.
    noted: AtomicUsize,
    /// Whether the filler has not looked, as there was no room.
    is_awaited: AtomicBool,
    filler: Arc<Notify>,
}

impl RowsInStore {
    pub(super) const fn new(filler: Arc<Notify>) -> Self {
        Self { noted: AtomicUsize::new(0), is_awaited: AtomicBool::new(false), filler }
    }

    /// How many are noted so far.
    pub(super) fn noted(&self) -> usize {
        self.noted.load(Ordering::SeqCst)
    }

    pub(super) fn note(&self) {
        self.noted.fetch_add(1, Ordering::SeqCst);
    }

    /// Takes the notes back, unless more was noted since there were `asked`.
    pub(super) fn clear(&self, asked: usize) {
        // Where it fails there is something new, and the filler has been woken.
        let _ = self.noted.compare_exchange(asked, 0, Ordering::SeqCst, Ordering::SeqCst);
    }

    /// The filler is to be woken once there is room, whether or not rows are known to wait.
    pub(super) fn await_room(&self) {
        self.is_awaited.store(true, Ordering::SeqCst);
    }

    /// Whether room is of use to the filler.
    pub(super) fn wants_room(&self) -> bool {
        self.noted() > 0 || self.is_awaited.load(Ordering::SeqCst)
    }

    /// There is room.
    pub(super) fn room_is_there(&self) {
        self.is_awaited.store(false, Ordering::SeqCst);
        self.filler.notify_one();
    }

    pub(super) fn wake_filler(&self) {
        self.filler.notify_one();
    }
}
