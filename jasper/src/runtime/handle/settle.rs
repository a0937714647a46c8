//! What becomes of a message in the store, and of the sender who waits for it.

use crate::runtime::core::Core;
use crate::runtime::handle::queue::{Backing, Delivery};
use crate::runtime::storage::dead_letters::{
    Outcome, log_dead_letter, settle_as_letter, store_until_done,
};
use crate::runtime::storage::health::Retries;
use crate::store::{DeadLetter, DeadLetterId, DeadLetterReason, Settlement};
use crate::transport::Receipt;

/// It is handled.
pub(super) async fn handled(core: &Core, delivery: &mut Delivery) {
    if let Some(owner) = delivery.owner() {
        core.store().settle(Settlement::Handled(delivery.ownership(owner))).await;
    }
    delivery.note_done(Receipt::Accepted);
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
