//! How often a request is repeated that may be done later, and after which pauses.

use std::time::Duration;

/// The first pause, and the longest one that the service does not ask for.
const FIRST: Duration = Duration::from_millis(200);
const LONGEST: Duration = Duration::from_secs(5);
/// The longest that all pauses are together: an application waits for it at its start.
const MOST: Duration = Duration::from_secs(30);
/// How often a request is repeated whose connection has ended before its answer.
const MOST_ENDS: u32 = 2;

/// What is left of the repeats of one declaration.
#[derive(Debug)]
pub(super) struct Repeats {
    next: Duration,
    left: Duration,
    ends: u32,
}

impl Repeats {
    pub(super) fn new() -> Self {
        Self { next: FIRST, left: MOST, ends: MOST_ENDS }
    }

    /// The pause after an answer, no shorter than the service asks for; `None` where it would be
    /// too long.
    pub(super) fn pause(&mut self, asked: Option<Duration>) -> Option<Duration> {
        // Processes that have met each other here are not to meet again.
        let own = self.next.mul_f64(0.5 + fastrand::f64() / 2.0);
        let pause = asked.unwrap_or_default().max(own);
        self.left = self.left.checked_sub(pause)?;
        self.next = (self.next * 2).min(LONGEST);
        Some(pause)
    }

    /// The pause after a connection that has ended; `None` where it happened too often.
    pub(super) fn pause_after_end(&mut self) -> Option<Duration> {
        self.ends = self.ends.checked_sub(1)?;
        self.pause(None)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_grow_and_end_after_half_a_minute() {
        let mut repeats = Repeats::new();
        let mut pauses = Vec::new();
        while let Some(pause) = repeats.pause(None) {
            pauses.push(pause);
        }
        assert!(pauses[0] >= FIRST / 2 && pauses[0] <= FIRST, "{pauses:?}");
        assert!(pauses.iter().all(|pause| *pause <= LONGEST), "{pauses:?}");
        let together: Duration = pauses.iter().sum();
        assert!(together <= MOST && together >= MOST - LONGEST, "{together:?}");
    }

    #[test]
    fn what_the_service_asks_for_is_kept_and_too_much_ends_the_repeats() {
        let mut repeats = Repeats::new();
        assert_eq!(repeats.pause(Some(Duration::from_secs(9))), Some(Duration::from_secs(9)));
        assert!(repeats.pause(Some(Duration::ZERO)).is_some_and(|pause| pause >= FIRST / 2));
        assert_eq!(repeats.pause(Some(Duration::from_secs(21))), None);
    }

    #[test]
    fn a_connection_that_ends_again_and_again_is_given_up() {
        let mut repeats = Repeats::new();
        assert!(repeats.pause_after_end().is_some() && repeats.pause_after_end().is_some());
        assert_eq!(repeats.pause_after_end(), None);
    }
}
