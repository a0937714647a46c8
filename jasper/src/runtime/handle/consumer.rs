//! The loop of one local queue: starts workers for the messages that wait in memory.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::sync::OwnedSemaphorePermit;
use tokio::task::coop::consume_budget;

use super::queue::{Backing, Delivery, Queue};
use super::worker::Worker;
use crate::runtime::core::Core;
use crate::store::{Ownership, Settlement};

/// For how long a worker goes on to the next message. Then its place is for whatever has waited
/// longest: a request waits for a place too.
const TURN: Duration = Duration::from_millis(1);

/// Runs until the application ends. Once it stops, stored messages that have not begun are given
/// back, and those that are only in memory are still handled.
pub(crate) async fn consume(core: Arc<Core>, queue: Arc<Queue>) {
    let _closed_at_the_end = ClosesAtTheEnd(&queue);
    let draining = core.lifecycle().draining();
    draining.run_until_cancelled(start_workers(&core, &queue)).await;
    empty(&core, &queue).await;
}

/// Starts a worker where a message waits and there is a place in the queue's parallelism.
async fn start_workers(core: &Arc<Core>, queue: &Arc<Queue>) {
    loop {
        queue.waiting().arrival().await;
        let Some(permit) = queue.place().await else {
            return;
        };
        // A worker that is done with its message may have taken it meanwhile.
        if let Some(delivery) = queue.waiting().take() {
            let worker = work(Arc::clone(core), Arc::clone(queue), delivery, permit);
            core.lifecycle().spawn(worker);
        }
    }
}

/// Takes a message through its attempts, and then the next, as long as one waits and there is a
/// place for it: a task for each would cost more than a handler that does little.
async fn work(
    core: Arc<Core>,
    queue: Arc<Queue>,
    delivery: Delivery,
    permit: OwnedSemaphorePermit,
) {
    let began = Instant::now();
    let (mut delivery, mut permit) = (delivery, permit);
    loop {
        let left = Worker::new(&core, delivery, permit).run().await;
        // Other tasks have their turn; after it the stop is seen, so that nothing begins behind it.
        consume_budget().await;
        if core.lifecycle().is_draining() || began.elapsed() > TURN {
            return;
        }
        let Some(place) = left.or_else(|| queue.try_place()) else {
            return;
        };
        let Some(next) = queue.waiting().take() else {
            return;
        };
        (delivery, permit) = (next, place);
    }
}

/// After the stop: gives back what is stored, and handles the rest.
async fn empty(core: &Arc<Core>, queue: &Arc<Queue>) {
    let aborting = core.lifecycle().aborting();
    while aborting.run_until_cancelled(queue.waiting().arrival()).await.is_some() {
        for delivery in give_back(core, queue.waiting().take_all()).await {
            let Some(Some(permit)) = aborting.run_until_cancelled(queue.place()).await else {
                return;
            };
            core.lifecycle().spawn(work(Arc::clone(core), Arc::clone(queue), delivery, permit));
        }
    }
}

/// Gives back what is not to begin any more, in one call. Answers what is only in memory.
async fn give_back(core: &Core, waiting: VecDeque<Delivery>) -> Vec<Delivery> {
    let (mut settlements, mut in_memory) = (Vec::new(), Vec::new());
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
    in_memory
}

/// Closes a queue with its loop, however that ends.
struct ClosesAtTheEnd<'a>(&'a Queue);

impl Drop for ClosesAtTheEnd<'_> {
    fn drop(&mut self) {
        self.0.waiting().close();
    }
}
