//! Recovery: the messages that dead nodes owned are made claimable.

use std::sync::Arc;
use std::time::Duration;

use super::jitter::jittered;
use crate::runtime::core::Core;
use crate::store::{Gone, MessageStore, Owner, StoreError, StoreOperation};
use crate::telemetry;

/// The most rows that one statement takes from an owner that is gone.
const RELEASE_PAGE: usize = 1_000;

/// What a node that is gone may have left.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum MessageTable {
    /// Messages for handlers.
    Incoming,
    /// Messages on their way to others.
    Outgoing,
}

impl MessageTable {
    /// Makes a page of it claimable, in a transaction of its own.
    async fn release(
        self,
        core: &Core,
        store: &dyn MessageStore,
        owner: Owner,
    ) -> Result<u64, StoreError> {
        let (operation, release) = match self {
            Self::Incoming => (StoreOperation::Release, store.inbox().release(owner, RELEASE_PAGE)),
            Self::Outgoing => {
                (StoreOperation::ReleaseOutgoing, store.outbox().release(owner, RELEASE_PAGE))
            }
        };
        core.store().call(operation, release).await
    }
}

/// Recovers what nodes that are gone have left, at once, then with each renewal and whenever the
/// lease of another node ends, until the application stops. Needs no leader: the rows of one owner
/// may be released by several nodes at once.
pub(crate) async fn recover(core: Arc<Core>, store: Arc<dyn MessageStore>, table: MessageTable) {
    let mut renewals = core.node().gone().subscribe();
    let mut gone = None;
    loop {
        let next_end = recover_once(&core, &*store, table, gone).await.unwrap_or_else(|error| {
            tracing::warn!(%error, "the work of nodes that are gone could not be recovered yet");
            None
        });
        // Where renewals fail, it goes on by itself. A node at work looks more often: one query
        // more costs it little, and the messages of a lost node are late already.
        let lease = core.settings().lease;
        let limit = if core.lifecycle().activity().count() > 0 { lease / 6 } else { lease * 2 / 3 };
        let limit = until_look(next_end, jittered(limit));
        let renewal = tokio::time::timeout(limit, renewals.changed());
        gone = match core.lifecycle().draining().run_until_cancelled(renewal).await {
            Some(Ok(_renewed)) => renewals.borrow_and_update().clone(),
            Some(Err(_elapsed)) => None,
            None => return,
        };
    }
}

/// How long a node waits before it looks again: no longer than until the next lease ends, with a
/// little grace for one that is renewed in the last moment. Leases that are renewed in time always
/// have longer to run than a node waits, so that they cost no look.
fn until_look(next_end: Option<Duration>, usual: Duration) -> Duration {
    next_end.map_or(usual, |left| usual.min(left.saturating_add(jittered(AFTER_END))))
}

/// So long after the end of a lease another node ends it.
const AFTER_END: Duration = Duration::from_millis(100);

/// Says when the next lease ends.
async fn recover_once(
    core: &Core,
    store: &dyn MessageStore,
    table: MessageTable,
    gone: Option<Gone>,
) -> Result<Option<Duration>, StoreError> {
    let gone = match gone {
        Some(gone) => gone,
        None => {
            core.store()
                .call(StoreOperation::Expired, store.nodes().expired(Some(core.node().owner())))
                .await?
        }
    };
    let mut recovered = Ok(gone.next_end);
    for owner in gone.owners {
        // Not this node's own number: the renewal notices the lost lease and joins anew. Nor an
        // earlier number of this process under which messages are in memory: their runs may still
        // commit, or release their rows without an attempt.
        if owner == core.node().owner() || core.node().rows().has_rows_of(owner) {
            continue;
        }
        // Where the rows of one owner cannot be released, those of the others are.
        let one = recover_from(core, store, owner, table).await;
        recovered = recovered.and_then(|next_end| one.map(|()| next_end));
    }
    recovered
}

async fn recover_from(
    core: &Core,
    store: &dyn MessageStore,
    owner: Owner,
    table: MessageTable,
) -> Result<(), StoreError> {
    let released = release_all(core, store, owner, table).await?;
    if released > 0 {
        tracing::info!(%owner, released, ?table, "recovered the work of a node that is gone");
        metrics::counter!(telemetry::RECOVERED).increment(released);
    }
    // Stays until nothing of it is left.
    core.store().call(StoreOperation::Forget, store.nodes().forget(owner)).await
}

/// Makes all rows of an owner claimable, page by page.
pub(crate) async fn release_all(
    core: &Core,
    store: &dyn MessageStore,
    owner: Owner,
    table: MessageTable,
) -> Result<u64, StoreError> {
    let mut total = 0;
    loop {
        let released = table.release(core, store, owner).await?;
        total += released;
        if released > 0 {
            match table {
                MessageTable::Incoming => core.wakeups().pager().notify_one(),
                MessageTable::Outgoing => core.wakeups().outbox().notify_one(),
            }
        }
        if released < RELEASE_PAGE as u64 {
            return Ok(total);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LEASE: Duration = Duration::from_secs(10);

    #[test]
    fn a_lease_that_is_not_renewed_in_time_is_looked_at_right_after_its_end() {
        let usual = jittered(LEASE / 6);
        for left in [Duration::ZERO, LEASE / 100, LEASE / 20] {
            let wait = until_look(Some(left), usual);
            assert!(wait > left && wait < left + AFTER_END * 2, "{wait:?}");
        }
    }

    #[test]
    fn leases_that_are_renewed_in_time_cost_no_look() {
        let usual = (0..100).map(|_| jittered(LEASE / 6));
        for usual in usual {
            // Each is renewed with a third of it gone.
            assert_eq!(until_look(Some(LEASE * 2 / 3), usual), usual);
            assert_eq!(until_look(None, usual), usual);
        }
    }
}
