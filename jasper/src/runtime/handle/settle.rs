//! What becomes of a message in the store, and of the sender who waits for it.

use std::sync::Arc;

use crate::runtime::core::Core;
use crate::runtime::handle::queue::{Backing, Delivery};
use crate::runtime::observation::{MessageEvent, Observed};
use crate::runtime::storage::dead_letters::{
    Outcome, log_dead_letter, settle_as_letter, store_until_done,
};
use crate::runtime::storage::health::Retries;
use crate::store::{
    DeadLetter, DeadLetterId, DeadLetterReason, Settlement, StoreError, StoreOperation,
};
use crate::transport::Receipt;

/// It is handled.
pub(super) async fn handled(core: &Core, delivery: &mut Delivery) {
    if let Some(owner) = delivery.owner() {
        core.store().settle(Settlement::Handled(delivery.ownership(owner))).await;
    }
    delivery.note_done(Receipt::Accepted);
}

/// Its handler has succeeded: it is settled together with others, soon.
pub(super) fn handled_soon(core: &Arc<Core>, delivery: Delivery) {
    if core.handled().push(delivery) {
        core.lifecycle().spawn(settle_handled(Arc::clone(core)));
    }
}

/// Settles until nothing waits.
async fn settle_handled(core: Arc<Core>) {
    while let Some(batch) = core.handled().next() {
        handled_together(&core, batch).await;
    }
}

/// Settles all of these, however long the store is away.
async fn handled_together(core: &Arc<Core>, batch: Vec<Delivery>) {
    let rows = || {
        let owned = batch.iter().filter_map(|delivery| {
            let owner = delivery.owner()?;
            Some(Settlement::Handled(delivery.ownership(owner)))
        });
        owned.collect::<Vec<_>>()
    };
    let mut retries = Retries::new();
    while let Err(error) = core.store().settle_once(rows()).await {
        if concerns_one(&error) {
            // The others must not fail with it, nor wait for it.
            for delivery in batch {
                core.lifecycle().spawn(handled_alone(Arc::clone(core), delivery));
            }
            return;
        }
        if retries.wait(core.store().health(), StoreOperation::Settle, &error).await.is_none() {
            return;
        }
    }
    batch.into_iter().for_each(|delivery| note_handled(core, delivery));
}

/// Whether one row of several may be what a call has failed at.
const fn concerns_one(error: &StoreError) -> bool {
    matches!(error, StoreError::Busy { .. }) || !error.is_transient()
}

async fn handled_alone(core: Arc<Core>, mut delivery: Delivery) {
    handled(&core, &mut delivery).await;
    note_handled(&core, delivery);
}

fn note_handled(core: &Core, mut delivery: Delivery) {
    delivery.note_done(Receipt::Accepted);
    let finished = MessageEvent::ExecutionFinished;
    core.observers().note(|| Observed::new(finished, &delivery.envelope));
}

/// Gives the message back where not its handler but the end of the application or of the lease
/// keeps it from being handled here: that costs it no attempt.
pub(super) async fn give_back(core: &Core, delivery: &Delivery) {
    match delivery.backing {
        Backing::Stored { owner, attempt_counted } => {
            let (ownership, attempt_began) = (delivery.ownership(owner), !attempt_counted);
            core.store().settle(Settlement::Release { ownership, attempt_began }).await;
        }
        Backing::Memory => {
            let id = delivery.envelope.id;
            tracing::warn!(message.id = %id, "lost: it was only in memory at the stop");
        }
    }
}

/// It becomes a dead letter, however long the store takes to keep it. Where there is no store, one
/// that is settled at the end of its handler is refused: its broker, or its sender, keeps it.
pub(super) async fn as_letter(
    core: &Core,
    delivery: &mut Delivery,
    reason: DeadLetterReason,
    error_type: &str,
    error_message: &str,
) {
    let envelope = &delivery.envelope;
    let id = DeadLetterId { id: envelope.id, destination: envelope.destination.clone() };
    let message_type = envelope.message_type.to_string();
    log_dead_letter(&id, &message_type, reason, error_message);
    if let Some(owner) = delivery.owner() {
        let (store, ownership) = (core.store(), delivery.ownership(owner));
        let mut retries = Retries::new();
        while let Err(error) =
            settle_as_letter(store, &ownership, reason, error_type, error_message).await
        {
            if retries.wait(store.health(), "dead letter", &error).await.is_none() {
                return;
            }
        }
        return;
    }
    let letter = DeadLetter {
        id,
        reason,
        message_type,
        error_type: error_type.to_owned(),
        error_message: error_message.to_owned(),
        attempts: envelope.attempts,
        body: envelope.to_bytes(),
        dead_lettered_at: core.clock().now(),
    };
    match store_until_done(core.store(), letter).await {
        Outcome::Stored => delivery.note_done(Receipt::Accepted),
        Outcome::NoStore => {
            let why = format!("the handler gave it up ({reason}): {error_message}");
            delivery.note_done(Receipt::refused(why));
        }
        Outcome::Ending => {}
    }
}
