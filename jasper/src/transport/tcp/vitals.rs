//! When something came from the other side of a connection last, and when this side last spoke.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use tokio::time::Instant;

/// Two moments, in nanoseconds since the connection began, which many tasks set.
#[derive(Debug)]
pub(super) struct Vitals {
    began: Instant,
    last_received: AtomicU64,
    last_sent: AtomicU64,
}

impl Vitals {
    pub(super) fn new() -> Self {
        Self {
            began: Instant::now(),
            last_received: AtomicU64::new(0),
            last_sent: AtomicU64::new(0),
        }
    }

    pub(super) fn received(&self) {
        self.last_received.store(self.now(), Ordering::Relaxed);
    }

    pub(super) fn sent(&self) {
        self.last_sent.store(self.now(), Ordering::Relaxed);
    }

    pub(super) fn last_received(&self) -> Instant {
        self.moment(&self.last_received)
    }

    pub(super) fn last_sent(&self) -> Instant {
        self.moment(&self.last_sent)
    }

    fn now(&self) -> u64 {
        u64::try_from(self.began.elapsed().as_nanos()).unwrap_or(u64::MAX)
    }

    fn moment(&self, at: &AtomicU64) -> Instant {
        self.began + Duration::from_nanos(at.load(Ordering::Relaxed))
    }
}
