//! The bytes of the messages in one room.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

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
    /// That first one was refused them: none that came later takes any before it.
    is_short: AtomicBool,
}

impl RoomBytes {
    pub(super) fn of(budget: &Arc<Budget>) -> Self {
        Self {
            budget: Arc::clone(budget),
            weighed: AtomicUsize::new(0),
            bytes: AtomicUsize::new(0),
            usual: AtomicUsize::new(0),
            turn: Semaphore::new(1),
            is_short: AtomicBool::new(false),
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
        if let Some(weight) = self.take_now(bytes) {
            return weight;
        }
        // The semaphore is never closed, so this is never an error.
        let _turn = self.turn.acquire().await;
        let mut short = None;
        loop {
            let mut freed = std::pin::pin!(self.budget.freed().notified());
            // Woken by what is given back from here on.
            freed.as_mut().enable();
            if let Some(weight) = self.try_take(bytes) {
                return weight;
            }
            short.get_or_insert_with(|| Short::of(&self.is_short));
            freed.await;
        }
    }

    /// Takes bytes if there are some now, and no caller was refused any that still waits. One that
    /// merely waits for its turn keeps none from taking them: were each to queue up behind it, all
    /// would take turns from then on, with a change of tasks for each message.
    pub(super) fn take_now(&self, bytes: usize) -> Option<Weight> {
        if self.is_short.load(Ordering::SeqCst) { None } else { self.try_take(bytes) }
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

/// Noted for as long as a caller waits for bytes, also where it is dropped.
struct Short<'a>(&'a AtomicBool);

impl<'a> Short<'a> {
    fn of(is_short: &'a AtomicBool) -> Self {
        is_short.store(true, Ordering::SeqCst);
        Self(is_short)
    }
}

impl Drop for Short<'_> {
    fn drop(&mut self) {
        self.0.store(false, Ordering::SeqCst);
    }
}
