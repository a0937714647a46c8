//! Assertions that print the whole story when they fail.

use super::tracked::Tracked;
use crate::message::Message;
use crate::runtime::MessageEvent;

impl Tracked {
    /// Asserts that `count` messages of this type were [sent](Self::sent), and returns them.
    ///
    /// # Panics
    /// There were more or fewer.
    #[track_caller]
    pub fn assert_sent<M: Message>(&self, count: usize) -> Vec<M> {
        self.counted("sent", count, self.sent())
    }

    /// Asserts that `count` messages of this type were [scheduled](Self::scheduled), and returns
    /// them.
    ///
    /// # Panics
    /// There were more or fewer.
    #[track_caller]
    pub fn assert_scheduled<M: Message>(&self, count: usize) -> Vec<M> {
        self.counted("scheduled", count, self.scheduled())
    }

    /// Asserts that `count` messages of this type were [received](Self::received), and returns
    /// them.
    ///
    /// # Panics
    /// There were more or fewer.
    #[track_caller]
    pub fn assert_received<M: Message>(&self, count: usize) -> Vec<M> {
        self.counted("received", count, self.received())
    }

    /// Asserts that `count` messages of this type were [handled](Self::handled), and returns them.
    ///
    /// # Panics
    /// There were more or fewer.
    #[track_caller]
    pub fn assert_handled<M: Message>(&self, count: usize) -> Vec<M> {
        self.counted("handled", count, self.handled())
    }

    /// Asserts that `count` runs over messages of this type [failed](Self::failed), and returns
    /// the messages.
    ///
    /// # Panics
    /// There were more or fewer.
    #[track_caller]
    pub fn assert_failed<M: Message>(&self, count: usize) -> Vec<M> {
        self.counted("failed", count, self.failed())
    }

    /// Asserts that `count` messages of this type were [dead-lettered](Self::dead_lettered), and
    /// returns them.
    ///
    /// # Panics
    /// There were more or fewer.
    #[track_caller]
    pub fn assert_dead_lettered<M: Message>(&self, count: usize) -> Vec<M> {
        self.counted("dead-lettered", count, self.dead_lettered())
    }

    /// Asserts that no run has failed, and that no message was dead-lettered, dropped, or had no
    /// handler. An event without a subscriber is no failure.
    ///
    /// # Panics
    /// There was a failure.
    #[track_caller]
    pub fn assert_no_failures(&self) -> &Self {
        use MessageEvent::{DeadLettered, Discarded, ExecutionFailed, NoHandler};
        let failures = [ExecutionFailed, DeadLettered, Discarded, NoHandler];
        let failed = self.events().iter().filter(|event| failures.contains(&event.event)).count();
        assert!(failed == 0, "{failed} failures, where there should be none\n{self}");
        self
    }

    #[track_caller]
    fn counted<M: Message>(&self, what: &str, count: usize, found: Vec<M>) -> Vec<M> {
        let (of, is) = (M::TYPE, found.len());
        assert!(is == count, "{is} of `{of}` {what}, where there should be {count}\n{self}");
        found
    }
}
