//! What takes long is done rarely.

use std::time::{Duration, Instant};

use parking_lot::{Mutex, MutexGuard};

/// At most a hundredth of the time is spent with it.
const SHARE: u32 = 100;

/// What takes less is done whenever it is asked for.
const SHORT: Duration = Duration::from_millis(10);

const LONGEST_PAUSE: Duration = Duration::from_secs(60);

/// When the next time may be.
#[derive(Debug, Default)]
pub(super) struct QueryPace(Mutex<Option<Instant>>);

impl QueryPace {
    pub(super) fn is_due(&self) -> bool {
        self.next().is_none_or(|next| next <= Instant::now())
    }

    pub(super) fn took(&self, cost: Duration) {
        let pause = (cost * SHARE).min(LONGEST_PAUSE);
        *self.next() = (cost > SHORT).then(|| Instant::now() + pause);
    }

    fn next(&self) -> MutexGuard<'_, Option<Instant>> {
        self.0.lock()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_takes_long_is_due_later() {
        let pace = QueryPace::default();
        assert!(pace.is_due());
        pace.took(SHORT);
        assert!(pace.is_due());
        pace.took(SHORT * 2);
        assert!(!pace.is_due());
    }
}
