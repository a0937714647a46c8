//! The bytes of the messages in one room.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use tokio::sync::Semaphore;

use super::budget::{Budget, Weight};

/// What a message is taken for, in bytes, before it is known how large they are.
const GUESS: usize = 64 * 1024;

/// The bytes of one room, taken from the budget of the process.
///
/// Where it holds nothing, one message passes whatever it weighs and whatever others hold: so each
/// queue and each endpoint goes on.
#[derive(Debug)]
pub(super) struct RoomBytes {
    budget: Arc<Budget>,
    /// How many messages have their bytes, and how many bytes.
    weighed: AtomicUsize,
    bytes: AtomicUsize,
    /// What messages weighed lately; 0 where that is not known.
    usual: AtomicUsize,
    /// Of the callers that wait for bytes, only the first one tries to take them.
    turn: Semaphore,
}

impl RoomBytes {
    pub(super) fn of(budget: &Arc<Budget>) -> Self {
        Self {
            budget: Arc::clone(budget),
            weighed: AtomicUsize::new(0),
            bytes: AtomicUsize::new(0),
            usual: AtomicUsize::new(0),
            turn: Semaphore::new(1),
        }
    }

    pub(super) const fn budget(&self) -> &Arc<Budget> {
        &self.budget
    }

    pub(super) fn try_take(&self, bytes: usize) -> Option<Weight> {
        if self.is_empty() {
            return Some(self.budget.take_beyond(bytes));
        }
        self.budget.try_take(self.bytes.load(Ordering::SeqCst), bytes)
    }

    /// Takes bytes as soon as there are some. A caller that waits has none, so
    /// that two of them never wait for each other.
    pub(super) async fn take(&self, bytes: usize) -> Weight {
        // The semaphore is never closed, so this is never an error.
        let _turn = self.turn.acquire().await;
        loop {
            let mut freed = std::pin::pin!(self.budget.freed().notified());
            // Woken by what is given back from here on.
            freed.as_mut().enable();
            if let Some(weight) = self.try_take(bytes) {
                return weight;
            }
            freed.await;
        }
    }

    /// Whether a caller waits for bytes.
    pub(super) fn are_waited_for(&self) -> bool {
        self.turn.available_permits() == 0
    }

    /// Notes the bytes of one more message.
    pub(super) fn counted(&self, weight: Weight) -> Weight {
        self.weighed.fetch_add(1, Ordering::SeqCst);
        self.bytes.fetch_add(weight.bytes(), Ordering::SeqCst);
        weight
    }

    /// The message has other bytes than it was taken for.
    pub(super) fn correct(&self, weight: &mut Weight, bytes: usize) {
        self.bytes.fetch_add(bytes, Ordering::SeqCst);
        self.bytes.fetch_sub(weight.bytes(), Ordering::SeqCst);
        weight.set(bytes);
    }

    pub(super) fn give_back(&self, weight: Weight) {
        // First the room, which may be empty when callers that wait for bytes are woken.
        self.bytes.fetch_sub(weight.bytes(), Ordering::SeqCst);
        self.weighed.fetch_sub(1, Ordering::SeqCst);
        drop(weight);
    }

    /// Half of the bytes that the room may take are free.
    pub(super) fn is_half_free(&self) -> bool {
        if self.has_half() {
            return true;
        }
        self.budget.note_wanted();
        // Unless they came in between, when it was not noted yet.
        self.has_half()
    }

    fn has_half(&self) -> bool {
        let (free, bytes) = (self.budget.free(), self.bytes.load(Ordering::SeqCst));
        let next = self.expected();
        self.is_empty() || bytes.saturating_add(next) <= free.saturating_sub(next) / 2
    }

    /// How many bytes the next message is taken for.
    pub(super) fn expected(&self) -> usize {
        match self.usual.load(Ordering::Relaxed) {
            0 => GUESS,
            usual => usual,
        }
    }

    /// Whether it is known how large messages are here.
    pub(super) fn are_known(&self) -> bool {
        self.usual.load(Ordering::Relaxed) > 0
    }

    /// Follows larger messages at once, and smaller ones slowly.
    pub(super) fn note_usual(&self, bytes: usize) {
        let usual = self.usual.load(Ordering::Relaxed);
        let next =
            if bytes >= usual { usual.midpoint(bytes) } else { usual - (usual - bytes) / 16 };
        self.usual.store(if usual == 0 { bytes } else { next }, Ordering::Relaxed);
    }

    fn is_empty(&self) -> bool {
        self.weighed.load(Ordering::SeqCst) == 0
    }
}
