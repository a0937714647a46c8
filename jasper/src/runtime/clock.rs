//! The time by which messages are due and expire: the database's, where it has one of its own, so
//! that the clocks of the machines need not agree.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::{Duration, SystemTime};

use tokio::time::Instant;

use crate::envelope::time::{self, Last, from_micros, to_micros};
use crate::store::{MessageStore, StoreError};

/// How long one reading of the database's clock is good for: two clocks that run differ by less
/// than a millisecond after it.
const READ_EVERY: Duration = Duration::from_secs(60);

/// The present in the store's time. Clones are one clock.
#[derive(Debug, Clone)]
pub(crate) struct Clock(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    began: Instant,
    /// The store's time when this began, in microseconds since 1970; the smallest number where it
    /// has none of its own, or it was not read yet.
    store_began: AtomicI64,
    /// When it was read last, in microseconds since this began; negative: never.
    read_at: AtomicI64,
    last: Last,
}

const NONE: i64 = i64::MIN;

impl Default for Clock {
    fn default() -> Self {
        Self(Arc::new(Inner {
            began: Instant::now(),
            store_began: AtomicI64::new(NONE),
            read_at: AtomicI64::new(-1),
            last: Last::new(),
        }))
    }
}

impl Clock {
    /// The present.
    pub(crate) fn now(&self) -> SystemTime {
        match self.0.store_began.load(Ordering::Relaxed) {
            NONE => time::now(),
            began => from_micros(began.saturating_add(self.elapsed())),
        }
    }

    /// The present, but later than any that was given so before.
    pub(crate) fn next(&self) -> SystemTime {
        self.0.last.next(self.now())
    }

    /// Asks the store for its time, unless that was done a short while ago.
    ///
    /// # Errors
    /// The store does not answer; the clock goes on as before.
    pub(crate) async fn read(&self, store: &dyn MessageStore) -> Result<(), StoreError> {
        let read_at = self.0.read_at.load(Ordering::Relaxed);
        if read_at >= 0 && self.elapsed() - read_at < micros(READ_EVERY) {
            return Ok(());
        }
        let asked = self.elapsed();
        if let Some(now) = store.nodes().now().await? {
            // It was read somewhere between the question and the answer.
            let read = asked.midpoint(self.elapsed());
            self.0.store_began.store(to_micros(now) - read, Ordering::Relaxed);
        }
        self.0.read_at.store(self.elapsed(), Ordering::Relaxed);
        Ok(())
    }

    /// Has the store asked at the next occasion: this process may have stood still.
    pub(crate) fn forget_reading(&self) {
        self.0.read_at.store(-1, Ordering::Relaxed);
    }

    /// Microseconds since this began, by a clock that is never set.
    fn elapsed(&self) -> i64 {
        micros(self.0.began.elapsed())
    }
}

fn micros(duration: Duration) -> i64 {
    i64::try_from(duration.as_micros()).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::memory::MemoryStore;

    #[test]
    fn what_is_given_one_after_the_other_differs() {
        let clock = Clock::default();
        let given: Vec<_> = (0..1_000).map(|_| clock.next()).collect();
        assert!(given.is_sorted_by(|before, after| before < after));
        assert!(clock.now().duration_since(given[0]).unwrap() < Duration::from_secs(60));
    }

    #[tokio::test]
    async fn without_a_time_of_the_stores_own_it_is_the_machines() {
        let clock = Clock::default();
        clock.read(&MemoryStore::new()).await.unwrap();
        let differs = clock.now().duration_since(time::now()).unwrap_or_default();
        assert!(differs < Duration::from_secs(1), "{differs:?}");
    }
}
