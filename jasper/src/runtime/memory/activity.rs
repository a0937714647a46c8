//! How much is going on: what is accepted and not yet done with.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use tokio::sync::Notify;

/// Counts the messages that this process holds in memory.
#[derive(Debug, Clone, Default)]
pub(crate) struct Activity(Arc<Counters>);

#[derive(Debug, Default)]
struct Counters {
    count: AtomicUsize,
    idle: Notify,
    busy: Notify,
}

/// One message in memory, until it is dropped.
#[derive(Debug)]
pub(crate) struct Active(Arc<Counters>);

impl Activity {
    pub(crate) fn start(&self) -> Active {
        if self.0.count.fetch_add(1, Ordering::AcqRel) == 0 {
            self.0.busy.notify_waiters();
        }
        Active(Arc::clone(&self.0))
    }

    pub(crate) fn count(&self) -> usize {
        self.0.count.load(Ordering::Acquire)
    }

    /// Waits until something comes into memory.
    pub(crate) async fn busy(&self) {
        self.0.busy.notified().await;
    }

    /// Waits until nothing is in memory.
    pub(crate) async fn idle(&self) {
        loop {
            let mut idle = std::pin::pin!(self.0.idle.notified());
            idle.as_mut().enable();
            if self.count() == 0 {
                return;
            }
            idle.await;
        }
    }
}

impl Drop for Active {
    fn drop(&mut self) {
        if self.0.count.fetch_sub(1, Ordering::AcqRel) == 1 {
            self.0.idle.notify_waiters();
        }
    }
}
