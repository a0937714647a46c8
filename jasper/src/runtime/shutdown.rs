//! The orderly stop, and the signals that ask for it.

use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::{FusedFuture, FutureExt};

use super::core::Core;
use super::inbound::listeners::Listeners;
use super::own::recovery;
use super::storage::tries::in_some_tries;
use crate::error::Error;
use crate::store::{MessageStore, Owner, Settlement, StoreError, StoreOperation};

/// How long answers may take to leave after all handlers have ended.
const LAST_ANSWERS: Duration = Duration::from_secs(2);

/// How long a stop takes after the drain time-out, whatever a network or a server does.
const LAST: Duration = Duration::from_millis(4_500);

/// Waits for SIGTERM or Ctrl-C.
pub(super) async fn signal() -> std::io::Result<()> {
    #[cfg(unix)]
    {
        use tokio::signal::unix::{SignalKind, signal};
        let mut terminate = signal(SignalKind::terminate())?;
        tokio::select! {
            interrupted = tokio::signal::ctrl_c() => interrupted,
            _ = terminate.recv() => Ok(()),
        }
    }
    #[cfg(not(unix))]
    tokio::signal::ctrl_c().await
}

/// Begins no new work, drains what runs, ends the rest, and gives back what is owned.
pub(super) async fn stop(core: &Arc<Core>, listeners: &Listeners) -> Result<(), Error> {
    core.lifecycle().stop();
    // What a listener has received may have to be handled before it can be answered.
    let mut listening = pin!(listeners.stop().fuse());
    let drained = async {
        listening.as_mut().await;
        core.lifecycle().activity().idle().await;
    };
    let drained = tokio::time::timeout(core.settings().timeouts.drain, drained).await;
    if drained.is_err() {
        let running = core.lifecycle().activity().count();
        tracing::warn!(running, "the drain time-out has passed; ending what still runs");
    }
    core.lifecycle().end();
    let last = async {
        if !listening.is_terminated() {
            // A peer that does not take its answers is not waited for; to give up closes all.
            let closed = tokio::time::timeout(LAST_ANSWERS, listening).await;
            if closed.is_err() {
                tracing::warn!("a listener did not close in time; its connections are dropped");
            }
        }
        core.lifecycle().tasks().close();
        core.lifecycle().tasks().wait().await;
        // What is not given back waits for the end of a lease.
        in_some_tries(|| give_back(core)).await
    };
    match tokio::time::timeout(LAST, last).await {
        Ok(given_back) => given_back?,
        Err(_elapsed) => {
            tracing::warn!("the store did not answer in time; others take over what is left");
            return Err(Error::Store(StoreError::Deadline { limit: LAST }));
        }
    }
    tracing::info!("stopped");
    Ok(())
}

/// Leaves the store, and gives back what this node still owns.
async fn give_back(core: &Core) -> Result<(), StoreError> {
    let Some(store) = core.store().get_arc() else {
        return Ok(());
    };
    let owner = core.node().owner();
    core.store().call(StoreOperation::Leave, store.nodes().leave(owner)).await?;
    give_back_unbegun(core, &**store, owner).await?;
    for left in [recovery::MessageTable::Incoming, recovery::MessageTable::Outgoing] {
        recovery::release_all(core, &**store, owner, left).await?;
    }
    core.store().call(StoreOperation::Forget, store.nodes().forget(owner)).await
}

/// The most rows that are given back at once.
const PAGE: usize = 1_000;

/// Gives back what was claimed too late to begin, without an attempt. Runs that were cut short have
/// given their rows back themselves.
async fn give_back_unbegun(
    core: &Core,
    store: &dyn MessageStore,
    owner: Owner,
) -> Result<(), StoreError> {
    loop {
        let owned =
            core.store().call(StoreOperation::Owned, store.inbox().owned(owner, PAGE)).await?;
        let is_last = owned.len() < PAGE;
        let release = owned.into_iter().map(Settlement::release_unbegun);
        let settled = core.store().settle_all(release.collect()).await;
        if is_last || settled.is_none() {
            return Ok(());
        }
    }
}
