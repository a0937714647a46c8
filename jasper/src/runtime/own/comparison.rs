//! The regular comparison of what this node owns in the store with what it holds in memory: a row
//! that it owns and does not hold is given back, even where no call has failed.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;

use crate::runtime::claim::pace::pause_after;
use crate::runtime::core::Core;
use crate::store::{MessageStore, OutgoingSettlement, Ownership, StoreError, StoreOperation};

/// The most rows beyond those in memory that one comparison reads.
const PAGE: usize = 250;

/// Comparisons take at most a fiftieth of the time.
const SHARE: u32 = 50;

const LONGEST_PAUSE: Duration = Duration::from_secs(60);

/// When the next comparison is due, and what the last one has missed.
///
/// A row may be settled between the moment at which the store lists it and the moment at which the
/// memory is looked at. So it is missing only if it was so in two comparisons, under the same
/// ownership.
#[derive(Debug)]
pub(crate) struct PeriodicComparison {
    pause: Duration,
    next: Instant,
    suspects: HashSet<Ownership>,
}

impl PeriodicComparison {
    /// One in every third of a lease, so that a row is given back within a lease.
    pub(crate) fn within(lease: Duration) -> Self {
        let pause = lease / 3;
        Self { pause, next: Instant::now() + pause, suspects: HashSet::new() }
    }

    /// How long until the next one.
    pub(crate) fn remaining_pause(&self) -> Duration {
        self.next.saturating_duration_since(Instant::now())
    }

    /// Whether it is time, and if so, when it will be the next time.
    pub(crate) fn is_due(&mut self) -> bool {
        let is_due = self.remaining_pause().is_zero();
        if is_due {
            self.next = Instant::now() + self.pause;
        }
        is_due
    }

    /// The store has taken so long to list the rows: where dead rows make that dear, the next
    /// comparison is later.
    pub(crate) fn took(&mut self, cost: Duration) {
        let pause = pause_after(cost, SHARE, LONGEST_PAUSE);
        self.next = self.next.max(Instant::now() + pause);
    }

    /// Those that were missing the last time, too.
    pub(crate) fn confirm(&mut self, missing: Vec<Ownership>) -> Vec<Ownership> {
        let before = std::mem::take(&mut self.suspects);
        let (confirmed, suspects): (Vec<_>, Vec<_>) =
            missing.into_iter().partition(|row| before.contains(row));
        self.suspects.extend(suspects);
        confirmed
    }
}

/// The most rows that a comparison has to read, given how many are in memory.
pub(crate) const fn limit(held: usize) -> usize {
    held.saturating_add(PAGE)
}

/// Compares the rows of the outbox until the application stops.
pub(crate) async fn compare_outbox(core: Arc<Core>, store: Arc<dyn MessageStore>) {
    if core.routes().endpoints().remote().next().is_none() {
        return;
    }
    let mut comparison = PeriodicComparison::within(core.settings().lease);
    loop {
        let rest = tokio::time::sleep(comparison.remaining_pause());
        if core.lifecycle().draining().run_until_cancelled(rest).await.is_none() {
            return;
        }
        if !comparison.is_due() || !core.node().local_lease().is_valid() || !core.may_have_rows() {
            continue;
        }
        if let Err(error) = compare(&core, &*store, &mut comparison).await {
            tracing::warn!(%error, "the outbox could not be compared with the memory yet");
        }
    }
}

async fn compare(
    core: &Core,
    store: &dyn MessageStore,
    comparison: &mut PeriodicComparison,
) -> Result<(), StoreError> {
    let held: usize =
        core.routes().endpoints().remote().map(|endpoint| endpoint.rows.count()).sum();
    let owned = store.outbox().owned(core.node().owner(), limit(held));
    let began = Instant::now();
    let owned = core.store().call(StoreOperation::OwnedOutgoing, owned).await;
    comparison.took(began.elapsed());
    let mut missing = owned?;
    missing.retain(|row| match core.routes().endpoints().of_destination(&row.destination) {
        // What its relay is about to claim is in the store sooner than in memory.
        Some(endpoint) => !endpoint.rows.is_claiming() && !endpoint.rows.contains(row),
        None => true,
    });
    let missing = comparison.confirm(missing);
    if missing.is_empty() {
        return Ok(());
    }
    tracing::warn!(rows = missing.len(), "giving back outgoing rows that are not in memory");
    let release = missing.into_iter().map(OutgoingSettlement::Released).collect();
    core.store().call(StoreOperation::SettleOutgoing, store.outbox().settle(release)).await?;
    core.wakeups().outbox().notify_one();
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::envelope::{Address, MessageId};
    use crate::runtime::claim::pace::LONG;
    use crate::store::Owner;

    const LEASE: Duration = Duration::from_secs(9);

    fn row(attempts: u32) -> Ownership {
        let (destination, owner) = (Address::local("queue", "handler"), Owner::new(1));
        Ownership { id: MessageId::of_bytes(b"row"), destination, owner, attempts }
    }

    #[tokio::test(start_paused = true)]
    async fn there_is_one_in_every_third_of_a_lease() {
        let mut comparison = PeriodicComparison::within(LEASE);
        for _ in 0..3 {
            assert!(!comparison.is_due());
            assert_eq!(comparison.remaining_pause(), LEASE / 3);
            tokio::time::advance(LEASE / 3).await;
            assert!(comparison.is_due());
        }
    }

    #[tokio::test(start_paused = true)]
    async fn what_takes_long_is_done_rarely() {
        let mut comparison = PeriodicComparison::within(LEASE);
        comparison.took(LONG);
        assert_eq!(comparison.remaining_pause(), LEASE / 3);
        comparison.took(Duration::from_secs(1));
        assert_eq!(comparison.remaining_pause(), Duration::from_secs(50));
    }

    #[tokio::test]
    async fn a_row_is_missing_if_it_was_so_twice_in_a_row_and_unchanged() {
        let mut comparison = PeriodicComparison::within(LEASE);
        assert_eq!(comparison.confirm(vec![row(1)]), []);
        assert_eq!(comparison.confirm(vec![row(2)]), [], "it has been settled in between");
        assert_eq!(comparison.confirm(vec![]), []);
        assert_eq!(comparison.confirm(vec![row(2)]), []);
        assert_eq!(comparison.confirm(vec![row(2)]), [row(2)]);
        assert_eq!(comparison.confirm(vec![]), []);
    }
}
