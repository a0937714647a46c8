//! How often the pager looks into the store.

use std::time::Duration;

use tokio::time::Instant;

/// The least time between a look that has found nothing and the next one. Each further one that
/// finds nothing doubles it, up to a limit.
const FLOOR: Duration = Duration::from_millis(4);

/// How often it is doubled for what wakes the pager.
const WOKEN: u32 = 3;

/// How often it is doubled for what the pager itself waits for, such as a row that is due and that
/// another transaction has locked.
const OWN: u32 = 7;

/// After so long without a look the next one comes at once.
const QUIET: Duration = Duration::from_secs(1);

/// The longest time between looks that nothing has given cause to, where the store says when rows
/// become claimable.
const LONGEST_WITH_NOTIFICATIONS: Duration = Duration::from_secs(15);

/// The same where it does not.
const LONGEST_WITHOUT_NOTIFICATIONS: Duration = Duration::from_secs(3);

/// A store that takes longer to list the rows of a node walks over dead ones.
pub(crate) const LONG: Duration = Duration::from_millis(100);

/// How long a node waits after such a list: `times` as long as it took, where that was long.
pub(crate) fn pause_after(cost: Duration, times: u32, longest: Duration) -> Duration {
    if cost > LONG { (cost * times).min(longest) } else { Duration::ZERO }
}

/// The pace of looks: at once after one that has found something, slower after others.
#[derive(Debug, Default)]
pub(crate) struct PollPace {
    last: Option<Instant>,
    /// How many looks in a row have found nothing.
    in_vain: u32,
}

impl PollPace {
    /// A look has found something to claim, or nothing.
    pub(crate) fn note(&mut self, has_found: bool) {
        self.in_vain = if has_found { 0 } else { self.in_vain.saturating_add(1) };
        self.last = Some(Instant::now());
    }

    /// Whether the last look has found something.
    pub(crate) const fn has_found(&self) -> bool {
        self.in_vain == 0
    }

    /// How long the next look has to wait.
    pub(crate) fn remaining_pause(&self) -> Duration {
        let (Some(last), Some(pause)) = (self.last, self.pause(WOKEN)) else {
            return Duration::ZERO;
        };
        let is_quiet = last.elapsed() > QUIET;
        let pause = if is_quiet { Duration::ZERO } else { pause };
        pause.saturating_sub(last.elapsed())
    }

    /// How long the pager waits for a row that is due after `wait`. One that is due already has
    /// been left by the last look, and stays so while another transaction keeps it locked.
    pub(crate) fn until_due(&self, wait: Duration) -> Duration {
        if wait.is_zero() { self.pause(OWN).unwrap_or_default() } else { wait }
    }

    /// Whether there was no look for so long.
    pub(crate) fn is_overdue(&self, pause: Duration) -> bool {
        self.last.is_none_or(|last| last.elapsed() >= pause)
    }

    /// How long the store may be left alone where it was found to be empty, given how often it is
    /// looked at else. It grows, so that a store in use is looked at as often as else.
    pub(crate) fn longest(&self, poll: Duration, is_notified: bool) -> Duration {
        if is_notified {
            poll.max(LONGEST_WITH_NOTIFICATIONS.min(poll * 15))
        } else {
            let grown = poll.mul_f64(1.0 + f64::from(self.in_vain.min(4)) / 2.0);
            poll.max(grown.min(LONGEST_WITHOUT_NOTIFICATIONS))
        }
    }

    /// `None`: the last look has found something.
    fn pause(&self, most: u32) -> Option<Duration> {
        let doubled = self.in_vain.checked_sub(1)?.min(most);
        Some(FLOOR * 2_u32.pow(doubled))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn looks_in_vain_slow_down_and_one_that_finds_something_is_followed_at_once() {
        let mut pace = PollPace::default();
        assert_eq!(pace.remaining_pause(), Duration::ZERO);
        pace.note(false);
        assert_eq!(pace.remaining_pause(), FLOOR);
        for _ in 0..100 {
            pace.note(false);
        }
        assert_eq!(pace.remaining_pause(), FLOOR * 8);
        assert_eq!(pace.until_due(Duration::ZERO), FLOOR * 128);
        assert_eq!(pace.until_due(FLOOR), FLOOR);
        tokio::time::advance(FLOOR * 8).await;
        assert_eq!(pace.remaining_pause(), Duration::ZERO);
        pace.note(true);
        assert_eq!((pace.remaining_pause(), pace.until_due(Duration::ZERO)), Default::default());
    }

    #[tokio::test(start_paused = true)]
    async fn after_a_quiet_time_the_next_look_comes_at_once() {
        let mut pace = PollPace::default();
        pace.note(false);
        assert!(!pace.is_overdue(QUIET));
        tokio::time::advance(QUIET * 2).await;
        assert_eq!(pace.remaining_pause(), Duration::ZERO);
        assert!(pace.is_overdue(QUIET));
    }

    #[test]
    fn the_longest_wait_is_never_shorter_than_the_poll() {
        let mut pace = PollPace::default();
        let second = Duration::from_secs(1);
        assert_eq!(pace.longest(second, false), second);
        for _ in 0..9 {
            pace.note(false);
        }
        assert_eq!(pace.longest(second, false), LONGEST_WITHOUT_NOTIFICATIONS);
        assert_eq!(pace.longest(second, true), LONGEST_WITH_NOTIFICATIONS);
        assert_eq!(pace.longest(second * 60, true), second * 60);
        assert_eq!(pace.longest(second / 100, false), second * 3 / 100);
    }
}
