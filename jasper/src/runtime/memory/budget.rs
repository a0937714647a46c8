//! How many bytes of messages this process holds in memory, over all queues and endpoints.

use std::fmt;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Weak};

use parking_lot::{Mutex, MutexGuard};
use tokio::sync::Notify;

use crate::envelope::bytes_with;
use crate::handler::OutgoingMessage;
use crate::telemetry;

/// About how many bytes a message takes that has no envelope yet.
pub(crate) fn bytes_to_send(message: &OutgoingMessage) -> usize {
    bytes_with(&message.options.headers, message.payload.len())
}

/// The bytes that all queues and endpoints of a process may hold together.
///
/// One of them may hold as much as is left free for the others: half of all where it is alone. So
/// one that stands still leaves room for the rest.
#[derive(Debug)]
pub(crate) struct Budget {
    limit: usize,
    /// May be more than the limit: what must not wait is counted all the same.
    used: AtomicUsize,
    /// Notified at each release.
    freed: Notify,
    /// A room is not filled from the store for want of bytes.
    is_wanted: AtomicBool,
    rooms: Mutex<Vec<Weak<dyn AwaitsBytes>>>,
}

/// What has been refused bytes, and is called when some are given back.
pub(crate) trait AwaitsBytes: fmt::Debug + Send + Sync {
    /// There may be bytes now.
    fn bytes_freed(&self);
}

impl Budget {
    pub(crate) fn new(limit: usize) -> Arc<Self> {
        Arc::new(Self {
            limit,
            used: AtomicUsize::new(0),
            freed: Notify::new(),
            is_wanted: AtomicBool::new(false),
            rooms: Mutex::default(),
        })
    }

    /// Rooms that are woken when there are bytes again which they have been refused.
    pub(crate) fn add_room(&self, room: Weak<dyn AwaitsBytes>) {
        self.rooms().push(room);
    }

    pub(crate) fn free(&self) -> usize {
        self.limit.saturating_sub(self.used.load(Ordering::SeqCst))
    }

    /// Takes `bytes` for a room that holds `held`, unless it would then hold more than is left
    /// free.
    pub(crate) fn try_take(self: &Arc<Self>, held: usize, bytes: usize) -> Option<Weight> {
        let taken = |used: usize| {
            let used = used.saturating_add(bytes);
            (held.saturating_add(bytes) <= self.limit.saturating_sub(used)).then_some(used)
        };
        self.used.fetch_update(Ordering::SeqCst, Ordering::SeqCst, taken).ok()?;
        Some(self.taken(bytes))
    }

    /// Takes bytes whether there are any or not, for one that must not wait.
    pub(crate) fn take_beyond(self: &Arc<Self>, bytes: usize) -> Weight {
        self.used.fetch_add(bytes, Ordering::SeqCst);
        self.taken(bytes)
    }

    /// Notified at the next release.
    pub(crate) const fn freed(&self) -> &Notify {
        &self.freed
    }

    /// Notes that a room is to be woken when there are bytes.
    pub(crate) fn note_wanted(&self) {
        self.is_wanted.store(true, Ordering::SeqCst);
    }

    fn taken(self: &Arc<Self>, bytes: usize) -> Weight {
        metrics::gauge!(telemetry::MEMORY_USAGE).increment(bytes as f64);
        Weight { budget: Arc::clone(self), bytes }
    }

    fn release(&self, bytes: usize) {
        if bytes == 0 {
            return;
        }
        self.used.fetch_sub(bytes, Ordering::SeqCst);
        metrics::gauge!(telemetry::MEMORY_USAGE).decrement(bytes as f64);
        self.freed.notify_waiters();
    }

    /// Tells the rooms for which there are bytes again.
    pub(crate) fn wake_rooms(&self) {
        if self.is_wanted.load(Ordering::SeqCst) && self.is_wanted.swap(false, Ordering::SeqCst) {
            // One that is refused again is noted again.
            let rooms: Vec<_> = self.rooms().iter().filter_map(Weak::upgrade).collect();
            rooms.iter().for_each(|room| room.bytes_freed());
        }
    }

    fn rooms(&self) -> MutexGuard<'_, Vec<Weak<dyn AwaitsBytes>>> {
        self.rooms.lock()
    }
}

/// Bytes that are taken from the budget; given back when it is dropped.
#[derive(Debug)]
pub(crate) struct Weight {
    budget: Arc<Budget>,
    bytes: usize,
}

impl Weight {
    pub(crate) const fn bytes(&self) -> usize {
        self.bytes
    }

    /// Takes part of it away, as a weight of its own.
    pub(crate) fn split(&mut self, bytes: usize) -> Self {
        let bytes = bytes.min(self.bytes);
        self.bytes -= bytes;
        Self { budget: Arc::clone(&self.budget), bytes }
    }

    /// Makes it what is known by now.
    pub(crate) fn set(&mut self, bytes: usize) {
        if bytes > self.bytes {
            let mut more = self.budget.take_beyond(bytes - self.bytes);
            self.bytes += std::mem::take(&mut more.bytes);
        } else {
            drop(self.split(self.bytes - bytes));
        }
    }
}

impl Drop for Weight {
    fn drop(&mut self) {
        self.budget.release(self.bytes);
    }
}
