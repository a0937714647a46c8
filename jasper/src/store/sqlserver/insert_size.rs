//! How many rows one insert takes: fewer after one that the server was too slow for.

use std::sync::atomic::{AtomicUsize, Ordering};

/// The most rows of one statement, and of one flush that several callers share.
pub(super) const SHARED_ROWS: usize = 500;

/// By which part of it it grows with an insert that is answered.
const PART: usize = 8;

/// Half of what was too much, so that an insert which is tried again comes to its end, and more
/// again step by step.
#[derive(Debug)]
pub(super) struct InsertSize(AtomicUsize);

impl Default for InsertSize {
    fn default() -> Self {
        Self(SHARED_ROWS.into())
    }
}

impl InsertSize {
    pub(super) fn rows(&self) -> usize {
        self.0.load(Ordering::Relaxed)
    }

    /// An insert of this many rows had no answer in time.
    pub(super) fn was_too_slow(&self, rows: usize) {
        self.0.store((rows / 2).max(1), Ordering::Relaxed);
    }

    /// An insert of this many rows was answered.
    pub(super) fn was_answered(&self, rows: usize) {
        let now = self.rows();
        if rows >= now && now < SHARED_ROWS {
            self.0.store((now + now / PART + 1).min(SHARED_ROWS), Ordering::Relaxed);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_too_slow_is_halved_and_what_is_answered_grows_by_steps() {
        let size = InsertSize::default();
        assert_eq!(size.rows(), SHARED_ROWS);
        size.was_too_slow(40);
        assert_eq!(size.rows(), 20);
        size.was_answered(19);
        assert_eq!(size.rows(), 20, "it was smaller than it might have been");
        size.was_answered(20);
        assert_eq!(size.rows(), 23);
        size.was_too_slow(1);
        assert_eq!(size.rows(), 1);
        for _ in 0..SHARED_ROWS {
            size.was_answered(SHARED_ROWS);
        }
        assert_eq!(size.rows(), SHARED_ROWS);
    }
}
