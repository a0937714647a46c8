//! When the other side of a connection was last heard, and when this side last spoke.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use tokio::time::Instant;

/// Two moments, in nanoseconds since the connection began, which many tasks set.
#[derive(Debug)]
pub(super) struct Vitals {
    began: Instant,
    heard: AtomicU64,
    spoke: AtomicU64,
}

impl Vitals {
    pub(super) fn new() -> Self {
        Self { began: Instant::now(), heard: AtomicU64::new(0), spoke: AtomicU64::new(0) }
    }

    pub(super) fn hear(&self) {
        self.heard.store(self.now(), Ordering::Relaxed);
    }

    pub(super) fn speak(&self) {
        self.spoke.store(self.now(), Ordering::Relaxed);
    }

    pub(super) fn wait_for_notification(&self) -> Instant {
        self.moment(&self.heard)
    }

    pub(super) fn spoke(&self) -> Instant {
        self.moment(&self.spoke)
    }

    fn now(&self) -> u64 {
        u64::try_from(self.began.elapsed().as_nanos()).unwrap_or(u64::MAX)
    }

    fn moment(&self, at: &AtomicU64) -> Instant {
        self.began + Duration::from_nanos(at.load(Ordering::Relaxed))
    }
}
