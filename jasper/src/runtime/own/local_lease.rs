//! Until when this node may take for granted that its rows are its own.

use tokio::sync::watch;
use tokio::time::Instant;

/// The end of the lease by this node's own clock, which cannot be set.
///
/// Past it others may have taken its work over. Their claims would fence its writes anyway, but a
/// node whose lease is late by its own clock claims nothing and begins no run.
#[derive(Debug)]
pub(crate) struct LocalLease(watch::Sender<Instant>);

impl LocalLease {
    pub(crate) fn until(end: Instant) -> Self {
        Self(watch::Sender::new(end))
    }

    /// Trusted until then, or longer where it is already.
    pub(crate) fn extend(&self, end: Instant) {
        self.0.send_modify(|until| *until = end.max(*until));
    }

    pub(crate) fn end(&self) -> Instant {
        *self.0.borrow()
    }

    pub(crate) fn is_valid(&self) -> bool {
        Instant::now() < self.end()
    }

    /// Waits until it is given again.
    pub(crate) async fn valid(&self) {
        let mut changes = self.0.subscribe();
        while !self.is_valid() {
            // The sender lives as long as this borrow of it.
            if changes.changed().await.is_err() {
                return;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn it_ends_by_itself_and_comes_back_when_it_is_extended() {
        let second = Duration::from_secs(1);
        let local_lease = LocalLease::until(Instant::now() + second);
        assert!(local_lease.is_valid());
        tokio::time::advance(second).await;
        assert!(!local_lease.is_valid());
        let extend = async { local_lease.extend(Instant::now() + second) };
        tokio::join!(local_lease.valid(), extend);
        assert!(local_lease.is_valid());
    }
}
