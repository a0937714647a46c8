//! Handled messages are deleted when their time of keeping is over.

use std::sync::Arc;
use std::time::Duration;

use super::jitter::jittered;
use crate::runtime::core::Core;
use crate::store::{MessageStore, StoreOperation};

/// The most rows of one statement.
const PAGE: usize = 1_000;

/// How often handled rows are looked through for those whose time of keeping is over.
const PURGE_PAUSE: Duration = Duration::from_secs(60);

/// Deletes handled rows whose time of keeping is over, until the application stops.
pub(crate) async fn purge(core: Arc<Core>, store: Arc<dyn MessageStore>) {
    loop {
        let pause = tokio::time::sleep(jittered(PURGE_PAUSE));
        if core.lifecycle().draining().run_until_cancelled(pause).await.is_none() {
            return;
        }
        loop {
            let purge = store.admin().purge(PAGE);
            match core.store().call(StoreOperation::Purge, purge).await {
                Ok(purged) if purged == PAGE as u64 => {}
                Ok(_) => break,
                Err(error) => {
                    tracing::warn!(%error, "handled messages could not be purged yet");
                    break;
                }
            }
        }
    }
}
