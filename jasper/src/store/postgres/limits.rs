//! How long the database may take to answer.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// The limit of a statement where no node has joined yet.
const USUAL: Duration = Duration::from_secs(5);

/// The shortest limit of a statement, however short the lease is.
const SHORTEST: Duration = Duration::from_millis(500);

/// The limit of what people ask for and what may read whole tables: counts, lists, purges.
pub(super) const LONG: Duration = Duration::from_secs(60);

/// How much longer than its handler may take a session may do nothing, before the server ends it.
pub(super) const RESERVE: Duration = Duration::from_secs(5);

/// The limits of the store's own statements, by the lease of the node that uses it. Clones share
/// them.
///
/// Half of a lease: a session that does not answer is given up while the lease still runs, and the
/// work goes on over another one.
#[derive(Debug, Clone)]
pub(super) struct Limits(Arc<AtomicU64>);

impl Default for Limits {
    fn default() -> Self {
        Self(Arc::new(AtomicU64::new(micros(USUAL))))
    }
}

impl Limits {
    /// A node has joined with this lease.
    pub(super) fn follow(&self, lease: Duration) {
        self.0.store(micros((lease / 2).max(SHORTEST)), Ordering::Relaxed);
    }

    /// How long one statement of the store may take, a commit too.
    pub(super) fn statement(&self) -> Duration {
        Duration::from_micros(self.0.load(Ordering::Relaxed))
    }
}

fn micros(duration: Duration) -> u64 {
    u64::try_from(duration.as_micros()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_statement_may_take_half_a_lease() {
        let limits = Limits::default();
        assert_eq!(limits.statement(), USUAL);
        limits.follow(Duration::from_secs(4));
        assert_eq!(limits.statement(), Duration::from_secs(2));
        limits.follow(Duration::from_millis(10));
        assert_eq!(limits.statement(), SHORTEST);
    }
}
