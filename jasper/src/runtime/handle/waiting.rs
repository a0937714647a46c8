//! The messages that wait in a local queue for a worker.

use std::collections::VecDeque;
use std::fmt;

use parking_lot::Mutex;
use tokio::sync::Notify;

/// The messages that wait in a local queue: its loop waits for them, and each of its workers takes
/// the next when it is done with one.
pub(super) struct WaitingMessages<T> {
    lists: Mutex<Lists<T>>,
    arrived: Notify,
}

struct Lists<T> {
    first: VecDeque<T>,
    others: VecDeque<T>,
    is_closed: bool,
}

impl<T> WaitingMessages<T> {
    pub(super) const fn new() -> Self {
        let lists =
            Mutex::new(Lists { first: VecDeque::new(), others: VecDeque::new(), is_closed: false });
        Self { lists, arrived: Notify::const_new() }
    }

    /// Puts a message behind those that wait, or before all that are not `first`.
    ///
    /// `Err`: the message, as none is taken in any more.
    pub(super) fn push(&self, message: T, first: bool) -> Result<(), T> {
        let mut lists = self.lists.lock();
        if lists.is_closed {
            return Err(message);
        }
        let list = if first { &mut lists.first } else { &mut lists.others };
        list.push_back(message);
        drop(lists);
        self.arrived.notify_one();
        Ok(())
    }

    /// The next one, if there is one.
    pub(super) fn take(&self) -> Option<T> {
        self.lists.lock().pop()
    }

    /// All of them, in their order.
    pub(super) fn take_all(&self) -> VecDeque<T> {
        let mut lists = self.lists.lock();
        let mut all = std::mem::take(&mut lists.first);
        all.append(&mut lists.others);
        all
    }

    /// Returns once there is one, for the one loop of the queue. Cancel safe: nothing is taken.
    pub(super) async fn arrival(&self) {
        while self.is_empty() {
            // One that came since then is noted.
            self.arrived.notified().await;
        }
    }

    /// From now on nothing is taken in; what waits is dropped.
    pub(super) fn close(&self) {
        self.lists.lock().is_closed = true;
        drop(self.take_all());
    }

    fn is_empty(&self) -> bool {
        self.lists.lock().is_empty()
    }
}

impl<T> Lists<T> {
    fn pop(&mut self) -> Option<T> {
        self.first.pop_front().or_else(|| self.others.pop_front())
    }

    fn is_empty(&self) -> bool {
        self.first.is_empty() && self.others.is_empty()
    }
}

impl<T> fmt::Debug for WaitingMessages<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // A message knows its queue: to show the messages would not end.
        f.debug_struct("WaitingMessages").finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use futures_util::FutureExt;

    use super::*;

    #[test]
    fn those_that_go_first_go_before_the_others_and_each_in_its_order() {
        let waiting = WaitingMessages::new();
        for (message, first) in [(1, false), (2, true), (3, false), (4, true)] {
            waiting.push(message, first).unwrap();
        }
        assert_eq!(waiting.take(), Some(2));
        assert_eq!(waiting.take_all(), [4, 1, 3]);
        assert_eq!(waiting.take(), None);
    }

    #[test]
    fn an_arrival_is_seen_whether_it_comes_before_the_wait_or_after_and_not_twice() {
        let waiting = WaitingMessages::new();
        waiting.push(1, false).unwrap();
        assert!(waiting.arrival().now_or_never().is_some());
        waiting.take();
        assert!(waiting.arrival().now_or_never().is_none(), "another took it");
        let mut arrival = std::pin::pin!(waiting.arrival());
        assert!(arrival.as_mut().now_or_never().is_none());
        waiting.push(2, false).unwrap();
        assert!(arrival.now_or_never().is_some());
    }

    #[test]
    fn a_closed_queue_gives_a_message_back_and_drops_what_waits() {
        let (waiting, message) = (WaitingMessages::new(), Arc::new(()));
        waiting.push(Arc::clone(&message), false).unwrap();
        waiting.close();
        assert_eq!(Arc::strong_count(&message), 1);
        assert!(waiting.push(Arc::clone(&message), true).is_err());
        assert!(waiting.arrival().now_or_never().is_none());
    }
}
