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
pub(crate) struct Clock(Arc<ClockState>);

#[derive(Debug)]
struct ClockState {
    began: Instant,
    /// The store's time when this began, in microseconds since 1970; the smallest number where it
    /// has none of its own, or it was not read yet.
    store_began: AtomicI64,
    /// When it was read last, in microseconds since this began; negative: never.
    read_at: AtomicI64,
    last: Last,
}

const NONE: i64 = i64::MIN;

/// An answer that took longer says too little of when the clock was read: it is asked again soon.
const PROMPT: Duration = Duration::from_millis(100);

/// An answer that took no longer is exact enough for every delay.
const EXACT: Duration = Duration::from_millis(5);

/// The most questions of the first reading. The first may have waited for a connection, and then
/// the clock was read at the end of the time that the answer took.
const QUESTIONS: usize = 3;

impl Default for Clock {
    fn default() -> Self {
        Self(Arc::new(ClockState {
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
        self.read_by(|| store.nodes().now()).await
    }

    async fn read_by<E, F>(&self, ask: impl Fn() -> F) -> Result<(), E>
    where
        F: Future<Output = Result<Option<SystemTime>, E>>,
    {
        let is_known = self.0.store_began.load(Ordering::Relaxed) != NONE;
        for _ in 0..if is_known { 1 } else { QUESTIONS } {
            let asked = self.elapsed();
            let now = ask().await?;
            let answered = self.elapsed();
            if let Some(now) = now {
                self.set(to_micros(now), asked, answered);
            }
            let took = answered - asked;
            if took <= micros(PROMPT) {
                self.0.read_at.store(answered, Ordering::Relaxed);
            }
            if now.is_none() || took <= micros(EXACT) {
                break;
            }
        }
        Ok(())
    }

    /// The store's time was `now` somewhere between the question and the answer: what is known
    /// already stays where it agrees with that.
    fn set(&self, now: i64, asked: i64, answered: i64) {
        let (earliest, latest) = (now - answered, now - asked);
        let began = match self.0.store_began.load(Ordering::Relaxed) {
            NONE => earliest.midpoint(latest),
            known => known.clamp(earliest, latest),
        };
        self.0.store_began.store(began, Ordering::Relaxed);
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

    #[test]
    fn an_answer_that_took_long_changes_no_more_than_it_proves() {
        let (clock, second) = (Clock::default(), 1_000_000);
        let began = || clock.0.store_began.load(Ordering::Relaxed);
        clock.set(100 * second, 0, 20 * second);
        assert_eq!(began(), 90 * second, "in the middle, as nothing is known");
        clock.set(195 * second, 110 * second, 110 * second + 2);
        assert_eq!(began(), 85 * second);
        clock.set(205 * second, 110 * second, 130 * second);
        assert_eq!(began(), 85 * second, "that agrees with it");
        // This process has stood still, and its own clock with it.
        clock.set(500 * second, 130 * second, 140 * second);
        assert_eq!(began(), 360 * second);
    }

    #[tokio::test(start_paused = true)]
    async fn a_first_answer_that_took_long_leaves_the_clock_no_later_than_the_stores() {
        let (clock, began, first) = (Clock::default(), Instant::now(), AtomicI64::new(1_000));
        let stores = || SystemTime::UNIX_EPOCH + Duration::from_secs(7_000) + began.elapsed();
        // As where the question opens a connection: the clock is read at the end.
        let ask = || async {
            let opens = first.swap(1, Ordering::Relaxed).unsigned_abs();
            tokio::time::advance(Duration::from_millis(opens)).await;
            Ok::<_, StoreError>(Some(stores()))
        };
        clock.read_by(ask).await.unwrap();
        assert_eq!(first.load(Ordering::Relaxed), 1);
        let later = clock.now().duration_since(stores()).unwrap_or_default();
        assert!(later <= EXACT, "{later:?}");
    }

    #[tokio::test(start_paused = true)]
    async fn a_store_that_is_always_slow_is_asked_a_few_times_and_again_soon() {
        let (clock, asked) = (Clock::default(), AtomicI64::new(0));
        let ask = || async {
            asked.fetch_add(1, Ordering::Relaxed);
            tokio::time::advance(Duration::from_secs(1)).await;
            Ok::<_, StoreError>(Some(SystemTime::UNIX_EPOCH))
        };
        clock.read_by(ask).await.unwrap();
        assert_eq!(asked.load(Ordering::Relaxed), 3);
        assert_eq!(clock.0.read_at.load(Ordering::Relaxed), -1, "the next occasion asks again");
        clock.read_by(ask).await.unwrap();
        assert_eq!(asked.load(Ordering::Relaxed), 4, "once, as it is known by now");
    }

    #[tokio::test]
    async fn without_a_time_of_the_stores_own_it_is_the_machines() {
        let clock = Clock::default();
        clock.read(&MemoryStore::new()).await.unwrap();
        let differs = clock.now().duration_since(time::now()).unwrap_or_default();
        assert!(differs < Duration::from_secs(1), "{differs:?}");
    }
}
