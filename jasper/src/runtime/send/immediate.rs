//! A send that waits for nothing: its message is only in memory, and there is room for it now.
//!
//! It needs no future, and so neither the memory of one nor a second look at its routes.

use std::sync::Arc;

use super::envelope::{check, envelope};
use super::hand_over::{hand_over_to_endpoint, hand_over_to_handler};
use super::origin::Origin;
use super::routed::InMemory;
use crate::error::SendError;
use crate::handler::{DeliveryOptions, OutgoingMessage};
use crate::runtime::core::Core;
use crate::runtime::memory::budget::bytes_to_send;
use crate::runtime::memory::room::MemorySlot;
use crate::runtime::routes::Destination;
use crate::transport::Mode;

/// What became of a message.
#[expect(clippy::large_enum_variant, reason = "it is matched at once")]
pub(super) enum Immediate {
    /// It is handed over, or refused.
    Done(Result<(), SendError>),
    /// Nothing: it may have to wait.
    Waits(OutgoingMessage),
}

/// Hands a message over, where it has one destination, is not stored there and finds room.
pub(super) fn try_send(core: &Arc<Core>, origin: &Origin, message: OutgoingMessage) -> Immediate {
    let DeliveryOptions { due_at, delay, deduplication_id, .. } = &message.options;
    let is_for_now = due_at.is_none() && delay.is_none() && deduplication_id.is_none();
    let is_ordinary = origin.scope().is_none()
        && !core.observers().is_observed()
        && !core.lifecycle().is_draining();
    if !is_for_now || !is_ordinary {
        return Immediate::Waits(message);
    }
    let checked = check(&message).and_then(|()| core.routes().destinations(&message));
    let place = match checked.as_deref() {
        Ok([destination]) => {
            room_now(core, *destination, &message).map(|slot| (*destination, slot))
        }
        Ok(_) | Err(_) => None,
    };
    match (checked, place) {
        (Err(error), _) => Immediate::Done(Err(error)),
        (Ok(_), None) => Immediate::Waits(message),
        (Ok(_), Some((destination, slot))) => {
            Immediate::Done(place_in(core, destination, slot, &message))
        }
    }
}

/// Room for it at its destination, where it is not stored there and there is some now.
fn room_now(
    core: &Core,
    destination: Destination<'_>,
    message: &OutgoingMessage,
) -> Option<MemorySlot> {
    if core.store().is_configured() && destination.is_stored(false) {
        return None;
    }
    let room = match destination {
        Destination::Handler(entry) => &core.routes().queue_of(entry).room,
        Destination::Endpoint(endpoint) if endpoint.options.mode == Mode::Inline => return None,
        Destination::Endpoint(endpoint) => &endpoint.room,
    };
    room.reserve_now(bytes_to_send(message))
}

fn place_in(
    core: &Arc<Core>,
    destination: Destination<'_>,
    slot: MemorySlot,
    message: &OutgoingMessage,
) -> Result<(), SendError> {
    let mut envelope = envelope(core, message, None, false)?;
    match destination {
        Destination::Handler(entry) => {
            envelope.destination = entry.address.clone();
            envelope.attempts = 1;
            let entry = Arc::clone(entry);
            hand_over_to_handler(core, InMemory { envelope, entry, slot, done: None });
        }
        Destination::Endpoint(endpoint) => {
            envelope.destination = endpoint.id.destination.clone();
            hand_over_to_endpoint(core, envelope, endpoint, slot);
        }
    }
    Ok(())
}
