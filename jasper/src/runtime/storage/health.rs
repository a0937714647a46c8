//! Whether the store is well, and how long to wait where it is not.

use std::fmt;
use std::pin::pin;
use std::sync::atomic::{AtomicBool, Ordering};

use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;

use crate::runtime::backoff::Backoff;

/// Whether the store is well, as far as its calls show it.
#[derive(Debug)]
pub(crate) struct Health {
    /// Whether a call has failed since the last one that showed that it is well.
    is_failing: AtomicBool,
    /// Notified when it is well again.
    recovered: Notify,
    /// Ends all waiting.
    ending: CancellationToken,
}

impl Health {
    pub(super) fn new(ending: CancellationToken) -> Self {
        Self { is_failing: AtomicBool::new(false), recovered: Notify::new(), ending }
    }

    pub(super) fn note_failure(&self) {
        self.is_failing.store(true, Ordering::Release);
    }

    pub(super) fn note_success(&self) {
        // Written only where it changes, as each call of the store comes here.
        if self.is_failing.load(Ordering::Acquire) {
            self.is_failing.store(false, Ordering::Release);
            self.recovered.notify_waiters();
        }
    }
}

/// The tries of one caller whose call of the store has failed.
#[derive(Debug)]
pub(crate) struct Retries(Backoff);

impl Retries {
    pub(crate) const fn new() -> Self {
        Self(Backoff::new())
    }

    /// Waits before the next try, until another call shows that the store is well, if that is
    /// sooner. `None`: the application ends, and there is none.
    pub(crate) async fn wait(
        &mut self,
        health: &Health,
        what: impl fmt::Display,
        error: &impl fmt::Display,
    ) -> Option<()> {
        let pause = self.0.next();
        let retry_in = pause;
        tracing::warn!(operation = %what, %error, ?retry_in, "the store failed; nothing is lost");
        let mut recovered = pin!(health.recovered.notified());
        recovered.as_mut().enable();
        let pause = async {
            tokio::time::sleep(Backoff::FIRST).await;
            tokio::select! {
                () = tokio::time::sleep(pause - Backoff::FIRST) => {}
                () = recovered => {}
            }
        };
        health.ending.run_until_cancelled(pause).await
    }
}
