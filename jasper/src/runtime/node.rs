//! The life of this process as a node: its lease, and the work of nodes that are gone.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;

use super::core::Core;
use crate::store::{MessageStore, Owner, StoreError};
use crate::telemetry;

/// The most rows that one statement takes from an owner that is gone.
const RELEASE_PAGE: usize = 1_000;

/// Renews the lease, and does nothing else, until the application ends.
///
/// A node whose lease was lost joins again under a new incarnation: what the old one owned is
/// recovered like the work of any node that is gone, and its late writes are fenced.
pub(crate) async fn renew(core: Arc<Core>, store: Arc<dyn MessageStore>) {
    let lease = core.settings.lease;
    let mut trusted_until = Instant::now() + lease;
    loop {
        let pause = tokio::time::sleep(lease / 3);
        if core.ending.run_until_cancelled(pause).await.is_none() {
            return;
        }
        let asked = Instant::now();
        let renewal = store.nodes().renew(core.owner(), lease);
        match core.call("renew", renewal).await {
            Ok(true) => trusted_until = asked + lease,
            Ok(false) => rejoin(&core, &*store, &mut trusted_until).await,
            Err(error) => {
                let left = trusted_until.saturating_duration_since(Instant::now());
                tracing::warn!(%error, ?left, "the lease could not be renewed");
            }
        }
    }
}

async fn rejoin(core: &Core, store: &dyn MessageStore, trusted_until: &mut Instant) {
    let asked = Instant::now();
    let lease = core.settings.lease;
    let takes = core.routes.subscriptions();
    let join = store.nodes().join(&core.settings.service, lease, &takes);
    match core.call("join", join).await {
        Ok(node) => {
            let (lost, gained) = (core.owner(), node.owner);
            tracing::warn!(%lost, %gained, "the lease was lost; going on as a new node");
            core.set_owner(node.owner);
            *trusted_until = asked + lease;
        }
        Err(error) => tracing::warn!(%error, "the lease was lost, and joining again failed"),
    }
}

/// Recovers what nodes that are gone have left, at once and then as often as a lease can run out,
/// until the application stops. Needs no leader: the rows of one owner may be released by several
/// nodes at once.
pub(crate) async fn recover(core: Arc<Core>, store: Arc<dyn MessageStore>) {
    loop {
        if let Err(error) = recover_once(&core, &*store).await {
            tracing::warn!(%error, "the work of nodes that are gone could not be recovered yet");
        }
        let pause = tokio::time::sleep(core.settings.lease / 2);
        if core.stopping.run_until_cancelled(pause).await.is_none() {
            return;
        }
    }
}

async fn recover_once(core: &Core, store: &dyn MessageStore) -> Result<(), StoreError> {
    for owner in core.call("expired", store.nodes().expired()).await? {
        if owner == core.owner() {
            // Late, not gone: the renewal finds out, and goes on as a new node.
            continue;
        }
        let released = release_all(core, store, owner).await?;
        if released > 0 {
            tracing::info!(%owner, released, "recovered the work of a node that is gone");
            metrics::counter!(telemetry::RECOVERED).increment(released);
            core.pager.notify_one();
        }
        core.call("forget", store.nodes().forget(owner)).await?;
    }
    Ok(())
}

/// Makes all rows of an owner claimable, page by page, each page in a transaction of its own.
pub(crate) async fn release_all(
    core: &Core,
    store: &dyn MessageStore,
    owner: Owner,
) -> Result<u64, StoreError> {
    let mut total = 0;
    loop {
        let incoming = store.inbox().release(owner, RELEASE_PAGE);
        let incoming = core.call("release", incoming).await?;
        let outgoing = store.outbox().release(owner, RELEASE_PAGE);
        let outgoing = core.call("release", outgoing).await?;
        total += incoming + outgoing;
        let page = RELEASE_PAGE as u64;
        if incoming < page && outgoing < page {
            return Ok(total);
        }
    }
}

/// How often handled rows are looked through for those whose time of keeping is over.
const PURGE_PAUSE: Duration = Duration::from_secs(60);

/// Deletes handled rows whose time of keeping is over, until the application stops.
pub(crate) async fn purge(core: Arc<Core>, store: Arc<dyn MessageStore>) {
    loop {
        let pause = tokio::time::sleep(PURGE_PAUSE);
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
