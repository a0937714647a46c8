//! The life of this process as a node: its lease, and the work of nodes that are gone.

use std::collections::VecDeque;
use std::collections::hash_map::RandomState;
use std::hash::{BuildHasher, Hasher};
use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;

use crate::runtime::core::Core;
use crate::store::{Gone, MessageStore, Owner, Pulse, StoreError};
use crate::telemetry;

/// The most rows that one statement takes from an owner that is gone.
const RELEASE_PAGE: usize = 1_000;

/// Renews the lease until the application ends. A node that has nothing to do learns on the way
/// which others are gone and whether it owns rows, so that it need not ask for that.
///
/// A node whose lease was lost joins again under a new incarnation: what the old one owned is
/// recovered like the work of any node that is gone, and its late writes are fenced.
pub(crate) async fn renew(core: Arc<Core>, store: Arc<dyn MessageStore>) {
    let lease = core.settings.lease;
    let (mut pause, mut is_late) = (lease / 3, false);
    let mut earlier = Earlier::default();
    loop {
        if core.ending.run_until_cancelled(tokio::time::sleep(pause)).await.is_none() {
            return;
        }
        pause = lease / 3;
        let asked = Instant::now();
        let renewal = pulse(&core, &*store, is_late);
        // Over a connection that broke without a sign there is no answer: another one has to be
        // tried while the lease lasts.
        let limit = lease / 3;
        let renewal = tokio::time::timeout(limit, renewal);
        let renewal = async { renewal.await.unwrap_or(Err(StoreError::Deadline { limit })) };
        let renewed = match core.wait("renew", renewal).await {
            Ok(Pulse { is_renewed: true, gone, may_own }) => {
                core.trust.extend(asked + lease);
                core.set_may_own(may_own);
                core.gone.send_replace(gone);
                Ok(())
            }
            Ok(_ended) => join_again(&core, &*store, &mut earlier).await,
            Err(error) => Err(error),
        };
        is_late = renewed.is_err();
        match renewed {
            Ok(()) => with_renewal(&core, &*store, &mut earlier).await,
            Err(error) => {
                let left = core.trust.end().saturating_duration_since(Instant::now());
                tracing::warn!(%error, ?left, "the lease could not be renewed");
                pause = lease / 12;
            }
        }
    }
}

/// What a node does with each renewal of its lease. It is tried again with the next one where it
/// fails, and takes no longer than the next one can wait for it.
async fn with_renewal(core: &Core, store: &dyn MessageStore, earlier: &mut Earlier) {
    let all = async {
        if let Err(error) = earlier.note(core, store).await {
            tracing::warn!(%error, "the earlier numbers of this node could not be noted yet");
        }
        if let Err(error) = core.wait("now", core.clock.read(store)).await {
            tracing::warn!(%error, "the time of the store could not be read yet");
        }
    };
    if tokio::time::timeout(core.settings.lease / 6, all).await.is_err() {
        tracing::warn!("the store takes long to answer; its time is read with the next renewal");
    }
}

async fn pulse(core: &Core, store: &dyn MessageStore, is_late: bool) -> Result<Pulse, StoreError> {
    let (owner, lease) = (core.owner(), core.settings.lease);
    if core.activity.count() == 0 && !is_late {
        return store.nodes().pulse(owner, lease).await;
    }
    // Under load, and after a failure, nothing else is to keep the renewal waiting.
    let is_renewed = store.nodes().renew(owner, lease).await?;
    Ok(Pulse { is_renewed, gone: None, may_own: true })
}

/// Goes on as another incarnation. A node that was asleep or cut off has lost its lease for good.
async fn join_again(
    core: &Core,
    store: &dyn MessageStore,
    earlier: &mut Earlier,
) -> Result<(), StoreError> {
    let asked = Instant::now();
    let lease = core.settings.lease;
    let takes = core.routes.takes();
    let join = store.nodes().join(&core.settings.service, lease, &takes);
    let node = core.call("join", join).await?;
    let (lost, gained) = (core.owner(), node.owner);
    tracing::warn!(%lost, %gained, "the lease was lost; going on as a new node");
    core.set_owner(node.owner);
    core.trust.extend(asked + lease);
    // It may have stood still.
    core.clock.forget_reading();
    metrics::counter!(telemetry::FENCED, "op" => "lease").increment(1);
    core.pager.notify_one();
    earlier.add(lost);
    Ok(())
}

/// The numbers that this process had and has lost.
#[derive(Default)]
struct Earlier {
    numbers: VecDeque<Owner>,
    is_to_be_noted: bool,
}

impl Earlier {
    /// The most that are noted. Messages that older ones had have long come to their end.
    const MOST: usize = 100;

    fn add(&mut self, lost: Owner) {
        self.numbers.truncate(Self::MOST - 1);
        self.numbers.push_front(lost);
        self.is_to_be_noted = true;
    }

    /// Tells the other nodes that this process lives on, once after each change.
    async fn note(&mut self, core: &Core, store: &dyn MessageStore) -> Result<(), StoreError> {
        if self.is_to_be_noted {
            let numbers = self.numbers.make_contiguous();
            let note = store.nodes().note_earlier(core.owner(), numbers);
            core.call("note_earlier", note).await?;
            self.is_to_be_noted = false;
        }
        Ok(())
    }
}

/// What a node that is gone may have left.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Left {
    /// Messages for handlers.
    Incoming,
    /// Messages on their way to others.
    Outgoing,
}

impl Left {
    /// Makes a page of it claimable, in a transaction of its own.
    async fn release(
        self,
        core: &Core,
        store: &dyn MessageStore,
        owner: Owner,
    ) -> Result<u64, StoreError> {
        let release = match self {
            Self::Incoming => store.inbox().release(owner, RELEASE_PAGE),
            Self::Outgoing => store.outbox().release(owner, RELEASE_PAGE),
        };
        core.call("release", release).await
    }
}

/// Recovers what nodes that are gone have left, at once, then with each renewal and whenever the
/// lease of another node ends, until the application stops. Needs no leader: the rows of one owner
/// may be released by several nodes at once.
pub(crate) async fn recover(core: Arc<Core>, store: Arc<dyn MessageStore>, left: Left) {
    let mut renewals = core.gone.subscribe();
    let mut gone = None;
    loop {
        let next_end = recover_once(&core, &*store, left, gone).await.unwrap_or_else(|error| {
            tracing::warn!(%error, "the work of nodes that are gone could not be recovered yet");
            None
        });
        // Where renewals fail, it goes on by itself. A node at work looks more often: one question
        // more is nothing to it, and what a lost node held is waited for.
        let lease = core.settings.lease;
        let limit = if core.activity.count() > 0 { lease / 6 } else { lease * 2 / 3 };
        let limit = until_look(next_end, jittered(limit));
        let renewal = tokio::time::timeout(limit, renewals.changed());
        gone = match core.stopping.run_until_cancelled(renewal).await {
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
    left: Left,
    gone: Option<Gone>,
) -> Result<Option<Duration>, StoreError> {
    let gone = match gone {
        Some(gone) => gone,
        None => core.call("expired", store.nodes().expired(Some(core.owner()))).await?,
    };
    let mut recovered = Ok(gone.next_end);
    for owner in gone.owners {
        // What another node has ended of this one: the renewal finds out, and goes on as a new
        // node. And an earlier incarnation of this node: its runs may still commit, or give their
        // rows back without an attempt.
        if owner == core.owner() || core.is_held_under(owner) {
            continue;
        }
        // One owner whose rows cannot be released keeps no other one's waiting.
        let one = recover_from(core, store, owner, left).await;
        recovered = recovered.and_then(|next_end| one.map(|()| next_end));
    }
    recovered
}

async fn recover_from(
    core: &Core,
    store: &dyn MessageStore,
    owner: Owner,
    left: Left,
) -> Result<(), StoreError> {
    let released = release_all(core, store, owner, left).await?;
    if released > 0 {
        tracing::info!(%owner, released, ?left, "recovered the work of a node that is gone");
        metrics::counter!(telemetry::RECOVERED).increment(released);
    }
    // Stays until nothing of it is left.
    core.call("forget", store.nodes().forget(owner)).await
}

/// Makes all rows of an owner claimable, page by page.
pub(crate) async fn release_all(
    core: &Core,
    store: &dyn MessageStore,
    owner: Owner,
    left: Left,
) -> Result<u64, StoreError> {
    let mut total = 0;
    loop {
        let released = left.release(core, store, owner).await?;
        total += released;
        if released > 0 {
            match left {
                Left::Incoming => core.pager.notify_one(),
                Left::Outgoing => core.outbound.notify_one(),
            }
        }
        if released < RELEASE_PAGE as u64 {
            return Ok(total);
        }
    }
}

/// About this long: nodes that were started together are not to ask together for ever.
pub(crate) fn jittered(pause: Duration) -> Duration {
    // Each state hashes with keys of its own.
    let random = RandomState::new().build_hasher().finish() as u32;
    pause.mul_f64(0.75 + f64::from(random) / f64::from(u32::MAX) / 2.0)
}

/// How often handled rows are looked through for those whose time of keeping is over.
const PURGE_PAUSE: Duration = Duration::from_secs(60);

/// Deletes handled rows whose time of keeping is over, until the application stops.
pub(crate) async fn purge(core: Arc<Core>, store: Arc<dyn MessageStore>) {
    loop {
        let pause = tokio::time::sleep(jittered(PURGE_PAUSE));
        if core.stopping.run_until_cancelled(pause).await.is_none() {
            return;
        }
        loop {
            let purge = store.admin().purge(RELEASE_PAGE);
            match core.call("purge", purge).await {
                Ok(purged) if purged == RELEASE_PAGE as u64 => {}
                Ok(_) => break,
                Err(error) => {
                    tracing::warn!(%error, "handled messages could not be purged yet");
                    break;
                }
            }
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
