//! The time of the broker, which follows tokio's clock and so stands still where a test pauses it.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use tokio::time::Instant;

/// From the year 1 to the Unix epoch, in milliseconds.
const DOT_NET_EPOCH_MS: i64 = 62_135_596_800_000;
/// Hundreds of nanoseconds in a millisecond.
const TICKS_PER_MS: i64 = 10_000;

/// Turns tokio's instants into milliseconds since the Unix epoch.
#[derive(Debug, Clone, Copy)]
pub(super) struct Clock {
    start: Instant,
    start_ms: i64,
}

impl Clock {
    pub(super) fn new() -> Self {
        let since_epoch = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        Self { start: Instant::now(), start_ms: millis(since_epoch) }
    }

    /// Milliseconds since the Unix epoch.
    pub(super) fn now(&self) -> i64 {
        self.start_ms + millis(self.start.elapsed())
    }

    /// When this time of the clock comes; at once where it has passed.
    pub(super) fn instant(&self, at_ms: i64) -> Instant {
        let wait = u64::try_from(at_ms - self.now()).unwrap_or(0);
        // A far time counts as a day: the caller looks again then.
        Instant::now() + Duration::from_millis(wait.min(86_400_000))
    }
}

/// The whole milliseconds of a span.
pub(super) fn millis(span: Duration) -> i64 {
    i64::try_from(span.as_millis()).unwrap_or(i64::MAX)
}

/// The form in which a session says how long it is locked.
pub(super) fn ticks(at_ms: i64) -> i64 {
    (at_ms + DOT_NET_EPOCH_MS).saturating_mul(TICKS_PER_MS)
}
