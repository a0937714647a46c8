//! Decides where a message is held until it is handled or sent: in the store, in memory, or with
//! its sender.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use super::routed::{InMemory, RoutedMessages, due_later};
use crate::envelope::Envelope;
use crate::error::SendError;
use crate::handler::{DeliveryOptions, OutgoingMessage};
use crate::runtime::core::Core;
use crate::runtime::handle::entry::HandlerEntry;
use crate::runtime::memory::room::{MemorySlot, Room};
use crate::runtime::outbound::endpoint::Endpoint;
use crate::transport::Mode;

/// What a message is part of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Joining {
    /// Nothing: it is accepted by itself.
    Nothing,
    /// The transaction in which its handler's run commits.
    Run,
    /// A transaction of the user's own, whose commit this process does not see: nothing that joins
    /// it is this node's own or only in memory.
    User,
}

/// How a message for a handler is to be placed.
#[derive(Debug, Clone, Copy)]
pub(crate) struct HandlerPlacement {
    pub(crate) joining: Joining,
    /// Whether it is stored, where there is a store.
    pub(crate) is_stored: bool,
    /// For how long its id stays known after it is handled.
    pub(crate) retention: Option<Duration>,
}

/// Places a message for a handler of this application.
///
/// One that is only in memory takes its place from `slots`, or beyond the capacity of its queue.
pub(crate) fn place_for_handler(
    core: &Core,
    routed: &mut RoutedMessages,
    mut envelope: Envelope,
    entry: &Arc<HandlerEntry>,
    how: HandlerPlacement,
    slots: &mut Vec<MemorySlot>,
) -> Result<(), SendError> {
    let HandlerPlacement { joining, is_stored, retention } = how;
    let (to, entry, now) = (&mut routed.to_handlers, Arc::clone(entry), core.clock().now());
    let queue = core.routes().queue_of(&entry);
    if !core.store().is_configured() || !is_stored {
        if envelope.deduplication_id.is_some() {
            return Err(SendError::NeedsStore { what: "a deduplication key on a buffered queue" });
        }
        if joining == Joining::User {
            return Err(foreign());
        }
        envelope.attempts = 1;
        let slot = take_slot(slots, &queue.room);
        let slot = slot.unwrap_or_else(|| queue.room.reserve_beyond(envelope.bytes()));
        to.in_memory.push(InMemory { envelope, entry, slot, done: None });
        return Ok(());
    }
    let may_own = joining != Joining::User
        && entry.runs_here
        && due_later(&envelope, now).is_none()
        && may_own(core);
    let slot = may_own.then(|| queue.room.try_reserve_in_turn(envelope.bytes())).flatten();
    match slot {
        Some(slot) => {
            // The only attempt of a message is counted when it begins: counted before, a crash
            // would take it from a message that never ran.
            envelope.attempts = u32::from(entry.policy.attempts() > 1);
            let owner = core.node().owner();
            let hold =
                core.node().rows().inbox().register(envelope.id, &envelope.destination, owner);
            to.push_owned(envelope, entry, (owner, slot, hold), retention);
        }
        None => to.push_unowned(envelope, entry, now, retention),
    }
    Ok(())
}

/// Places a message for another process. One for later travels at once, and waits there.
pub(crate) fn place_for_endpoint(
    core: &Core,
    routed: &mut RoutedMessages,
    envelope: Envelope,
    endpoint: &Arc<Endpoint>,
    joining: Joining,
    slots: &mut Vec<MemorySlot>,
) -> Result<(), SendError> {
    let (to, endpoint) = (&mut routed.to_endpoints, Arc::clone(endpoint));
    let in_transaction = joining != Joining::Nothing;
    if !core.store().is_configured() || !endpoint.is_stored(in_transaction) {
        if joining == Joining::User {
            return Err(foreign());
        }
        if endpoint.options.mode == Mode::Inline && !in_transaction {
            to.inline.push((envelope, endpoint));
            return Ok(());
        }
        let slot = match take_slot(slots, &endpoint.room) {
            Some(slot) => slot,
            None => endpoint.reserve_beyond(envelope.bytes())?,
        };
        to.in_memory.push((envelope, endpoint, slot));
        return Ok(());
    }
    let may_own = joining != Joining::User && may_own(core) && !endpoint.circuit.is_open();
    let slot = may_own.then(|| endpoint.room.try_reserve_in_turn(envelope.bytes())).flatten();
    match slot {
        Some(slot) => {
            let owner = core.node().owner();
            let hold = endpoint.rows.register(envelope.id, &envelope.destination, owner);
            to.push_owned(envelope, endpoint, (owner, slot, hold));
        }
        None => to.push_unowned(envelope, endpoint),
    }
    Ok(())
}

/// Whether a message for a handler is stored by what it is itself.
pub(crate) fn requires_storage(envelope: &Envelope, now: SystemTime) -> bool {
    due_later(envelope, now).is_some() || envelope.deduplication_id.is_some()
}

/// The same, before the message has an envelope.
pub(crate) fn message_requires_storage(message: &OutgoingMessage, now: SystemTime) -> bool {
    let DeliveryOptions { due_at, delay, deduplication_id, .. } = &message.options;
    let is_due_later = match due_at {
        Some(due_at) => *due_at > now,
        None => delay.is_some_and(|delay| !delay.is_zero()),
    };
    is_due_later || deduplication_id.is_some()
}

/// Whether what is stored now may be stored as this node's own.
fn may_own(core: &Core) -> bool {
    !core.lifecycle().is_draining() && core.node().local_lease().is_valid()
}

const fn foreign() -> SendError {
    SendError::NeedsStore { what: "a message of a transaction to a buffered queue or endpoint" }
}

fn take_slot(slots: &mut Vec<MemorySlot>, room: &Arc<Room>) -> Option<MemorySlot> {
    let taken = slots.iter().position(|slot| slot.is_in(room))?;
    Some(slots.swap_remove(taken))
}
