//! A watchdog for the lease, on a thread of its own: a handler that blocks the application's only
//! thread keeps the ordinary renewal from running, and must not cost the node its lease.

use std::sync::Arc;
use std::thread;

use tokio::runtime;
use tokio::time::{Instant, sleep, timeout};

use crate::runtime::core::Core;
use crate::store::MessageStore;

/// Starts the watchdog, which ends with the application.
pub(crate) fn start(core: &Arc<Core>, store: Arc<dyn MessageStore>) {
    let core = Arc::clone(core);
    let started = thread::Builder::new().name("jasper-lease".to_owned()).spawn(move || {
        match runtime::Builder::new_current_thread().enable_all().build() {
            Ok(runtime) => runtime.block_on(watch(&core, &*store)),
            Err(error) => tracing::warn!(%error, "the lease has no watchdog"),
        }
    });
    if let Err(error) = started {
        tracing::warn!(%error, "the lease has no watchdog");
    }
}

/// Renews the lease where half of it has passed since the last renewal, for as long as a handler
/// may take: what blocks the runtime for longer will not end, and others take the work over.
async fn watch(core: &Core, store: &dyn MessageStore) {
    let lease = core.settings().lease;
    let patience =
        core.routes().handlers().all().map(|entry| entry.timeout).max().unwrap_or_default();
    let (mut own_end, mut late_since) = (None, None);
    while core.lifecycle().aborting().run_until_cancelled(sleep(lease / 6)).await.is_some() {
        let (end, asked) = (core.node().local_lease().end(), Instant::now());
        if own_end != Some(end) {
            late_since = None;
        }
        let left = end.saturating_duration_since(asked);
        if left > lease / 2 || late_since.is_some_and(|since| asked - since > patience + lease) {
            continue;
        }
        let renewal = timeout(lease / 3, store.nodes().renew(core.node().owner(), lease));
        match core.lifecycle().aborting().run_until_cancelled(renewal).await {
            Some(Ok(Ok(true))) => {
                tracing::debug!(?left, "the renewal was late; the watchdog has renewed the lease");
                core.node().local_lease().extend(asked + lease);
                own_end = Some(asked + lease);
                late_since = late_since.or(Some(asked));
            }
            // The ordinary renewal finds out too, and does what follows from it.
            Some(result) => tracing::debug!(?left, ?result, "the watchdog could not renew"),
            None => return,
        }
    }
}
