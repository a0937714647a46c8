//! How long the database may take to answer.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

#[cfg(any(feature = "mysql", feature = "sqlserver"))]
use tokio::time::timeout;

use super::number::micros;
#[cfg(any(feature = "mysql", feature = "sqlserver"))]
use crate::store::StoreError;

/// The limit of a statement where no node has joined yet.
const USUAL: Duration = Duration::from_secs(5);

/// The limits of the store's own statements, by the lease of the node that uses it. Clones share
/// them.
///
/// Half of a lease: a session that does not answer is given up while the lease still runs, and the
/// work goes on over another one.
#[derive(Debug, Clone)]
pub(crate) struct StatementLimits {
    now: Arc<AtomicU64>,
    shortest: Duration,
    longest: Duration,
}

impl StatementLimits {
    /// Between these two, however long the lease is.
    pub(crate) fn between(shortest: Duration, longest: Duration) -> Self {
        let limits = Self { now: Arc::default(), shortest, longest };
        limits.set(USUAL);
        limits
    }

    /// A node has joined with this lease.
    pub(crate) fn follow(&self, lease: Duration) {
        self.set((lease / 2).clamp(self.shortest, self.longest));
    }

    /// How long one statement of the store may take, a commit too.
    pub(crate) fn statement(&self) -> Duration {
        Duration::from_micros(self.now.load(Ordering::Relaxed))
    }

    fn set(&self, limit: Duration) {
        let limit = u64::try_from(micros(limit)).unwrap_or(u64::MAX);
        self.now.store(limit, Ordering::Relaxed);
    }
}

/// The answer, if it comes within the limit.
#[cfg(any(feature = "mysql", feature = "sqlserver"))]
pub(crate) async fn within<T>(
    limit: Duration,
    answer: impl Future<Output = T>,
) -> Result<T, StoreError> {
    timeout(limit, answer).await.map_err(|_elapsed| StoreError::Deadline { limit })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_statement_may_take_half_a_lease() {
        let limits = StatementLimits::between(Duration::from_millis(500), Duration::from_secs(20));
        assert_eq!(limits.statement(), USUAL);
        let half_of = |lease| {
            limits.follow(lease);
            limits.statement()
        };
        assert_eq!(half_of(Duration::from_secs(4)), Duration::from_secs(2));
        assert_eq!(half_of(Duration::from_millis(10)), Duration::from_millis(500));
        assert_eq!(half_of(Duration::from_secs(90)), Duration::from_secs(20));
    }
}
