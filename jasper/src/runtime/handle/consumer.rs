//! The loop of one local queue: takes messages from memory and starts a worker for each.

use std::sync::Arc;

use tokio::sync::OwnedSemaphorePermit;

use super::delivery::enqueue;
use super::queue::{Backing, Delivery, Queue, QueueReceiver};
use super::worker::Worker;
use crate::runtime::core::Core;
use crate::store::{Ownership, Settlement};

/// Runs until the application ends. Once it stops, stored messages that have not begun are given
/// back, and those that are only in memory are still handled.
pub(crate) async fn consume(core: Arc<Core>, queue: Arc<Queue>, mut waiting: QueueReceiver) {
    let ending = core.lifecycle().aborting().clone();
    while let Some(Some(delivery)) = ending.run_until_cancelled(waiting.next()).await {
        match permit(&core, &queue, &delivery).await {
            Some(permit) => {
                let worker = Worker::new(Arc::clone(&core), delivery, permit);
                core.lifecycle().spawn(worker.run());
            }
            None => give_back(&core, delivery, &mut waiting).await,
        }
    }
}

/// A place in the queue's parallelism; `None` for a message that is not to begin any more.
async fn permit(core: &Core, queue: &Queue, delivery: &Delivery) -> Option<OwnedSemaphorePermit> {
    let last_call = match delivery.backing {
        Backing::Stored { .. } => core.lifecycle().draining(),
        Backing::Memory => core.lifecycle().aborting(),
    };
    let permit = Arc::clone(&queue.running).acquire_owned();
    // Biased towards the cancellation: a free place must not start a message after the stop.
    last_call.run_until_cancelled(permit).await?.ok()
}

/// Gives back what is not to begin any more, with all that waits behind it and is stored, in one
/// call.
async fn give_back(core: &Core, first: Delivery, behind: &mut QueueReceiver) {
    let mut settlements = Vec::new();
    let mut waiting = vec![first];
    waiting.extend(std::iter::from_fn(|| behind.try_next()));
    let mut in_memory = Vec::new();
    for delivery in waiting {
        match delivery.backing {
            Backing::Stored { owner, attempt_counted } => settlements.push(Settlement::Release {
                ownership: Ownership::of(&delivery.envelope, owner),
                // A first attempt was counted in advance and is taken back; a later one is not
                // counted yet.
                attempt_began: !attempt_counted,
            }),
            Backing::Memory => in_memory.push(delivery),
        }
    }
    core.store().settle_all(settlements).await;
    for delivery in in_memory {
        enqueue(core, delivery);
    }
}
