//! Putting messages into their queues, now or at a later time.

use std::sync::Arc;
use std::time::SystemTime;

use super::queue::Delivery;
use crate::runtime::core::Core;

/// Puts a message into its queue once it is due.
pub(crate) fn deliver(core: &Arc<Core>, delivery: Delivery) {
    match delivery.envelope.due_at {
        Some(due_at) if due_at > core.clock().now() => deliver_at(core, delivery, due_at),
        _ => enqueue(core, delivery),
    }
}

/// Puts a message into its queue.
pub(crate) fn enqueue(core: &Core, mut delivery: Delivery) {
    delivery.guards.active = Some(core.lifecycle().activity().start());
    let queue = Arc::clone(&delivery.queue);
    if let Err(id) = queue.push(delivery) {
        tracing::warn!(message.id = %id, "not handled before the stop");
    }
}

/// Puts a message that is only in memory into its queue at a later time. Until then it keeps its
/// place there: it takes as much memory as any other.
pub(crate) fn deliver_at(core: &Arc<Core>, mut delivery: Delivery, due_at: SystemTime) {
    delivery.guards.active = None;
    let task = Arc::clone(core);
    core.lifecycle().spawn(async move {
        let wait = due_at.duration_since(task.clock().now()).unwrap_or_default();
        let sleep = tokio::time::sleep(wait);
        match task.lifecycle().draining().run_until_cancelled(sleep).await {
            Some(()) => enqueue(&task, delivery),
            None => {
                let id = delivery.envelope.id;
                tracing::warn!(message.id = %id, "lost: it waited in memory at the stop");
            }
        }
    });
}
