//! Rows of the inbox that this node owns and does not hold in memory: given back.

use std::time::Duration;

use tokio::time::Instant;

use super::intake::Claimer;
use crate::runtime::own::comparison::{self, PeriodicComparison};
use crate::store::{Settlement, StoreError, StoreOperation};

/// The most rows beyond those in memory that one list reads.
const PAGE: usize = 250;

/// Gives back what is missing after a failed call, and, if a comparison is due, what is missing
/// although nothing is known to have failed.
pub(super) async fn give_back(
    intake: &Claimer,
    comparison: &mut PeriodicComparison,
    is_due: bool,
) -> Result<(), StoreError> {
    after_failure(intake).await?;
    if is_due && intake.core.may_have_rows() { compare(intake, comparison).await } else { Ok(()) }
}

/// Gives back the rows that this node owns and does not hold in memory, after a call that may
/// have been carried out although it failed. Only this task claims, so no claim is on its way.
async fn after_failure(intake: &Claimer) -> Result<(), StoreError> {
    let held = &intake.core.node().rows().inbox();
    while held.start_comparison_if_due(Duration::ZERO) {
        let (limit, began) = (held.count() + PAGE, Instant::now());
        let owned = intake.store.inbox().owned(intake.core.node().owner(), limit);
        let owned = intake.core.store().call(StoreOperation::Owned, owned).await;
        held.note_compared(began.elapsed());
        let missing =
            held.missing(owned.inspect_err(|_| intake.core.node().rows().reconcile_inbox())?);
        if missing.is_empty() {
            return Ok(());
        }
        tracing::info!(rows = missing.len(), "giving back rows that a failed call has taken");
        let release = missing.into_iter().map(Settlement::release_unbegun);
        intake.core.store().settle_all(release.collect()).await;
        intake.core.wakeups().pager().notify_one();
    }
    Ok(())
}

/// Gives back rows that this node owns and does not hold, although nothing is known to have
/// failed.
async fn compare(intake: &Claimer, comparison: &mut PeriodicComparison) -> Result<(), StoreError> {
    let held = &intake.core.node().rows().inbox();
    let owned =
        intake.store.inbox().owned(intake.core.node().owner(), comparison::limit(held.count()));
    let began = Instant::now();
    let owned = intake.core.store().call(StoreOperation::Owned, owned).await;
    comparison.took(began.elapsed());
    let mut missing = held.missing(owned?);
    missing.retain(|row| !intake.deferred.iter().any(|deferred| deferred.ownership == *row));
    let missing = comparison.confirm(missing);
    if missing.is_empty() {
        return Ok(());
    }
    tracing::warn!(rows = missing.len(), "giving back rows that are not in memory");
    // It is not known how far the counted attempt has come.
    let attempt_began = true;
    let release = missing
        .into_iter()
        .map(|ownership| Settlement::Release { ownership, attempt_began })
        .collect();
    // One that is settled after all is fenced, and no fault.
    intake.core.store().call(StoreOperation::Settle, intake.store.inbox().settle(release)).await?;
    intake.core.wakeups().pager().notify_one();
    Ok(())
}
