//! Wakes the pager: at notifications of the store, and after transactions whose commit this process
//! does not see.

use std::sync::Arc;
use std::time::Duration;

use crate::runtime::core::Core;
use crate::store::MessageStore;

/// Wakes the pager at growing intervals after a foreign transaction has written messages, as its
/// commit cannot be seen. Runs until the application stops.
pub(crate) async fn look(core: Arc<Core>) {
    let stopping = core.lifecycle().draining().clone();
    let mut pause = None;
    loop {
        let notified = core.wakeups().enlisted().notified();
        let next = async {
            match pause {
                None => {
                    notified.await;
                    FIRST_LOOK
                }
                Some(pause) => tokio::select! {
                    () = notified => FIRST_LOOK,
                    () = tokio::time::sleep(pause) => pause * 2,
                },
            }
        };
        let Some(next) = stopping.run_until_cancelled(next).await else {
            return;
        };
        core.wakeups().wake_all();
        // Past the ordinary poll there is nothing to add to it.
        pause = (next < core.settings().poll).then_some(next);
    }
}

/// Wakes the pager where the store notifies that there may be something to claim. Runs until the
/// application stops.
pub(crate) async fn listen(core: Arc<Core>, store: Arc<dyn MessageStore>) {
    loop {
        let Some(notified) = core
            .lifecycle()
            .draining()
            .run_until_cancelled(store.nodes().wait_for_notification())
            .await
        else {
            return;
        };
        if let Err(error) = notified {
            tracing::debug!(%error, "the store does not notify for now; polls go on");
            let pause = tokio::time::sleep(core.settings().poll);
            if core.lifecycle().draining().run_until_cancelled(pause).await.is_none() {
                return;
            }
        }
        core.wakeups().wake_all();
    }
}

/// How long after a foreign transaction has written messages they are looked for the second time.
const FIRST_LOOK: Duration = Duration::from_millis(1);
