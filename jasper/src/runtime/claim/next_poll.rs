//! When the pager looks next, so that what is stored for later wakes it only where that is sooner.

use std::sync::atomic::{AtomicI64, Ordering};
use std::time::{Duration, SystemTime};

use crate::envelope::time;
use crate::runtime::clock::Clock;

/// The pager's next look, and the soonest of what was stored since its last. Each side writes its
/// own and then reads the other's, so that one of them sees both.
#[derive(Debug)]
pub(crate) struct NextPoll {
    /// In microseconds since 1970; the smallest number while the pager is at work.
    next_look: AtomicI64,
    soonest: AtomicI64,
    clock: Clock,
}

impl NextPoll {
    pub(crate) fn new(clock: Clock) -> Self {
        Self { next_look: AtomicI64::new(i64::MIN), soonest: AtomicI64::new(i64::MAX), clock }
    }

    /// Notes a message that is stored for later. `true`: the pager rests for too long, and has to
    /// be woken.
    pub(crate) fn note(&self, due_at: SystemTime) -> bool {
        let due_at = time::to_micros(due_at);
        self.soonest.fetch_min(due_at, Ordering::SeqCst);
        due_at < self.next_look.load(Ordering::SeqCst)
    }

    /// The pager is about to look, and sees all that was noted before.
    pub(crate) fn start_poll(&self) {
        self.next_look.store(i64::MIN, Ordering::SeqCst);
        self.soonest.store(i64::MAX, Ordering::SeqCst);
    }

    /// How long the pager may rest, which would rest for `wait`.
    pub(crate) fn remaining_pause(&self, wait: Duration) -> Duration {
        let now = self.clock.now();
        let until = time::after(now, wait);
        self.next_look.store(time::to_micros(until), Ordering::SeqCst);
        let soonest = time::from_micros(self.soonest.load(Ordering::SeqCst));
        soonest.min(until).duration_since(now).unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MINUTE: Duration = Duration::from_secs(60);

    #[test]
    fn the_pager_is_woken_for_what_is_due_before_it_looks() {
        let next_poll = NextPoll::new(Clock::default());
        next_poll.start_poll();
        assert_eq!(next_poll.remaining_pause(MINUTE), MINUTE);
        assert!(next_poll.note(SystemTime::now()));
        assert!(!next_poll.note(SystemTime::now() + 2 * MINUTE));
    }

    #[test]
    fn it_rests_no_longer_than_what_was_noted_while_it_looked_allows() {
        let next_poll = NextPoll::new(Clock::default());
        next_poll.start_poll();
        assert!(!next_poll.note(SystemTime::now() + MINUTE), "it is awake");
        assert!(next_poll.remaining_pause(2 * MINUTE) <= MINUTE);
        next_poll.start_poll();
        assert_eq!(next_poll.remaining_pause(2 * MINUTE), 2 * MINUTE, "seen by the look");
    }
}
