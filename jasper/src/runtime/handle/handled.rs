//! Messages whose handlers have succeeded and whose rows are still to be settled. They are settled
//! together, and a worker does not wait for that: to keep a task for each would cost more than a
//! handler that does little.

use std::collections::VecDeque;

use parking_lot::Mutex;

use super::queue::Delivery;

/// The most messages of one call.
const MOST: usize = 250;

/// How many calls may be on their way at once: the store does one while the next is made.
const AT_ONCE: usize = 2;

/// Those of all queues, in the order in which their handlers ended.
#[derive(Debug, Default)]
pub(crate) struct HandledMessages(Mutex<State>);

#[derive(Debug, Default)]
struct State {
    waiting: VecDeque<Delivery>,
    settling: usize,
}

impl HandledMessages {
    /// `true`: the caller is to start a task that settles what waits.
    pub(super) fn push(&self, delivery: Delivery) -> bool {
        let mut state = self.0.lock();
        state.waiting.push_back(delivery);
        let starts = state.settling < AT_ONCE;
        state.settling += usize::from(starts);
        starts
    }

    /// The messages of the next call. `None`: nothing waits, and the task that asked ends.
    pub(super) fn next(&self) -> Option<Vec<Delivery>> {
        let mut state = self.0.lock();
        if state.waiting.is_empty() {
            state.settling -= 1;
            return None;
        }
        let most = state.waiting.len().min(MOST);
        Some(state.waiting.drain(..most).collect())
    }
}
