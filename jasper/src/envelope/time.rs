//! Times are integer microseconds since 1970 in every table and on every wire.

use std::sync::atomic::{AtomicI64, Ordering};
use std::time::{Duration, SystemTime};

/// The present, cut to the microseconds that a store keeps.
pub fn now() -> SystemTime {
    from_micros(to_micros(SystemTime::now()))
}

/// The present, but later than any that this process was given before: what is sent one after the
/// other keeps that order in a store.
pub fn next() -> SystemTime {
    static LAST: Last = Last::new();
    LAST.next(now())
}

/// The last moment that was given to a message.
#[derive(Debug)]
pub(crate) struct Last(AtomicI64);

impl Last {
    pub(crate) const fn new() -> Self {
        Self(AtomicI64::new(0))
    }

    /// The present, but later than any that was given so before: what is sent one after the other
    /// keeps that order in a store.
    pub(crate) fn next(&self, now: SystemTime) -> SystemTime {
        let now = to_micros(now);
        let next = |last: i64| now.max(last.saturating_add(1));
        let last =
            self.0.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |last| Some(next(last)));
        from_micros(last.map_or(now, next))
    }
}

/// Microseconds since 1970; a time before that, or beyond the range of `i64`, is moved to the
/// nearest bound.
pub fn to_micros(time: SystemTime) -> i64 {
    match time.duration_since(SystemTime::UNIX_EPOCH) {
        Ok(since) => i64::try_from(since.as_micros()).unwrap_or(i64::MAX),
        Err(_) => 0,
    }
}

/// The time that lies this many microseconds after 1970; a negative number is taken for 0.
pub fn from_micros(micros: i64) -> SystemTime {
    let micros = u64::try_from(micros).unwrap_or(0);
    SystemTime::UNIX_EPOCH + Duration::from_micros(micros)
}

/// The moment so long after another; a sum that is too large is the latest moment that is stored.
pub fn after(time: SystemTime, duration: Duration) -> SystemTime {
    let latest = from_micros(i64::MAX);
    time.checked_add(duration).map_or(latest, |sum| sum.min(latest))
}
