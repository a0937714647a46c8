//! The lease of this node: renewed as long as the application runs; where it was lost, the node
//! joins again.

use std::collections::VecDeque;
use std::sync::Arc;

use tokio::time::Instant;

use crate::runtime::core::Core;
use crate::store::{MessageStore, Owner, Pulse, StoreError, StoreOperation};
use crate::telemetry;

/// Renews the lease until the application ends. A node that has nothing to do finds out on the way
/// which others are gone and whether it owns rows, so that it need not ask for that.
///
/// A node whose lease was lost joins again under a new incarnation: what the old one owned is
/// recovered like the work of any node that is gone, and its late writes are fenced.
pub(crate) async fn renew(core: Arc<Core>, store: Arc<dyn MessageStore>) {
    let lease = core.settings().lease;
    let (mut pause, mut is_late) = (lease / 3, false);
    let mut earlier = Earlier::default();
    loop {
        if core
            .lifecycle()
            .aborting()
            .run_until_cancelled(tokio::time::sleep(pause))
            .await
            .is_none()
        {
            return;
        }
        pause = lease / 3;
        let (asked, owner) = (Instant::now(), core.node().owner());
        let renewal = pulse(&core, &*store, is_late);
        // Over a connection that broke without a sign there is no answer: another one has to be
        // tried while the lease lasts.
        let limit = lease / 3;
        let renewal = tokio::time::timeout(limit, renewal);
        let renewal = async { renewal.await.unwrap_or(Err(StoreError::Deadline { limit })) };
        let renewed = match core.store().call_without_deadline(StoreOperation::Renew, renewal).await
        {
            Ok(Pulse { is_renewed: true, gone, may_own }) => {
                core.node().local_lease().extend(asked + lease);
                core.node().set_may_own(may_own);
                core.node().gone().send_replace(gone);
                Ok(())
            }
            // It goes on under another number already.
            Ok(_ended) if core.node().owner() != owner => Ok(()),
            Ok(_ended) => join_again(&core, &*store, &mut earlier).await,
            Err(error) => Err(error),
        };
        is_late = renewed.is_err();
        match renewed {
            Ok(()) => with_renewal(&core, &*store, &mut earlier).await,
            Err(error) => {
                let left =
                    core.node().local_lease().end().saturating_duration_since(Instant::now());
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
        if let Err(error) =
            core.store().call_without_deadline(StoreOperation::Now, core.clock().read(store)).await
        {
            tracing::warn!(%error, "the time of the store could not be read yet");
        }
    };
    if tokio::time::timeout(core.settings().lease / 6, all).await.is_err() {
        tracing::warn!("the store takes long to answer; its time is read with the next renewal");
    }
}

async fn pulse(core: &Core, store: &dyn MessageStore, is_late: bool) -> Result<Pulse, StoreError> {
    let (owner, lease) = (core.node().owner(), core.settings().lease);
    if core.lifecycle().activity().count() == 0 && !is_late {
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
    let lost = core.node().owner();
    join_anew(core, store).await?;
    let gained = core.node().owner();
    tracing::warn!(%lost, %gained, "the lease was lost; going on as a new node");
    metrics::counter!(telemetry::FENCED, "op" => "lease").increment(1);
    earlier.add(lost);
    Ok(())
}

/// Joins under another number, and goes on under it.
pub(crate) async fn join_anew(core: &Core, store: &dyn MessageStore) -> Result<(), StoreError> {
    let asked = Instant::now();
    let lease = core.settings().lease;
    let takes = core.routes().handlers().takes();
    let join = store.nodes().join(&core.settings().service, lease, &takes);
    let node = core.store().call(StoreOperation::Join, join).await?;
    core.node().set_owner(node.owner);
    core.node().local_lease().extend(asked + lease);
    // It may have stood still.
    core.clock().forget_reading();
    core.wakeups().pager().notify_one();
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
            let note = store.nodes().note_earlier(core.node().owner(), numbers);
            core.store().call(StoreOperation::NoteEarlier, note).await?;
            self.is_to_be_noted = false;
        }
        Ok(())
    }
}
