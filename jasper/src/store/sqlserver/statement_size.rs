//! How many rows one statement takes: fewer after one that the server was too slow for.

use std::sync::atomic::{AtomicUsize, Ordering};

use super::error::{Error, Result};

/// The most rows of one statement, and of one flush that several callers share.
pub(super) const SHARED_ROWS: usize = 500;

/// By which part of it it grows with a statement that is answered.
const PART: usize = 8;

/// Half of what was too much, so that work which is tried again comes to its end, and more again
/// step by step.
#[derive(Debug)]
pub(super) struct StatementSize {
    now: AtomicUsize,
    most: usize,
}

impl StatementSize {
    /// This many rows, until that is too much.
    pub(super) fn of(most: usize) -> Self {
        Self { now: most.into(), most }
    }

    pub(super) fn rows(&self) -> usize {
        self.now.load(Ordering::Relaxed)
    }

    /// What came of a statement with this many rows.
    pub(super) fn note<T>(&self, rows: usize, answer: &Result<T>) {
        match answer {
            Ok(_) => self.was_answered(rows),
            Err(Error::Silent(_)) => self.was_too_slow(rows),
            Err(_) => {}
        }
    }

    fn was_too_slow(&self, rows: usize) {
        self.now.store((rows / 2).max(1), Ordering::Relaxed);
    }

    fn was_answered(&self, rows: usize) {
        let now = self.rows();
        if rows >= now && now < self.most {
            self.now.store((now.saturating_add(now / PART + 1)).min(self.most), Ordering::Relaxed);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_too_slow_is_halved_and_what_is_answered_grows_by_steps() {
        let size = StatementSize::of(SHARED_ROWS);
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
