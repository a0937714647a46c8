//! What wakes the tasks that look into the store.

use std::sync::Arc;

use tokio::sync::{Notify, watch};

use super::next_poll::NextPoll;
use crate::runtime::clock::Clock;

/// What wakes the tasks that look into the store.
#[derive(Debug)]
pub(crate) struct Wakeups {
    pager: Notify,
    room: Arc<Notify>,
    outbox: Arc<Notify>,
    enlisted: Notify,
    next_poll: NextPoll,
    rounds: watch::Sender<u64>,
}

impl Wakeups {
    /// `room` is notified by the queues.
    pub(crate) fn new(room: Arc<Notify>, outbox: Arc<Notify>, clock: Clock) -> Self {
        Self {
            pager: Notify::new(),
            room,
            outbox,
            enlisted: Notify::new(),
            next_poll: NextPoll::new(clock),
            rounds: watch::Sender::new(0),
        }
    }

    /// Wakes the pager: something in the inbox may be ready for memory.
    pub(crate) const fn pager(&self) -> &Notify {
        &self.pager
    }

    /// Wakes it too: a queue for which rows may wait has room.
    pub(crate) fn room(&self) -> &Notify {
        &self.room
    }

    /// Wakes the task that looks for rows of the outbox.
    pub(crate) const fn outbox(&self) -> &Arc<Notify> {
        &self.outbox
    }

    /// Wakes both.
    pub(crate) fn wake_all(&self) {
        self.pager.notify_one();
        self.outbox.notify_one();
    }

    /// Rows may soon be visible that a transaction of the application's own wrote.
    pub(crate) const fn enlisted(&self) -> &Notify {
        &self.enlisted
    }

    /// When the pager looks next.
    pub(crate) const fn next_poll(&self) -> &NextPoll {
        &self.next_poll
    }

    /// Counts the rounds of the pager, for those who wait for one.
    pub(crate) const fn rounds(&self) -> &watch::Sender<u64> {
        &self.rounds
    }
}
