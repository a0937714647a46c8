//! Where a message waits: in the store, in memory, or with its sender.

use std::sync::Arc;
use std::time::SystemTime;

use super::batch::Place;
use super::dispatch::Joining;
use crate::envelope::Envelope;
use crate::error::SendError;
use crate::runtime::core::Core;
use crate::runtime::memory::room::{Room, Slot};
use crate::runtime::outbound::Endpoint;
use crate::runtime::routes::HandlerEntry;
use crate::transport::Mode;

impl Core {
    /// The place of a message for a handler of this application, which waits in the store if it
    /// `is_stored`.
    pub(crate) fn place(
        &self,
        envelope: &mut Envelope,
        entry: &HandlerEntry,
        is_stored: bool,
        room: &mut Vec<Slot>,
    ) -> Result<Place, SendError> {
        let queue = self.queue_of(entry);
        if self.store.is_none() || !is_stored {
            if envelope.deduplication_id.is_some() {
                return Err(SendError::NeedsStore {
                    what: "a deduplication key on a buffered queue",
                });
            }
            envelope.attempts = 1;
            let slot = take_slot(room, &queue.room);
            let beyond = || queue.room.reserve_beyond(envelope.bytes());
            return Ok(Place::Memory(slot.unwrap_or_else(beyond)));
        }
        if is_for_later(envelope, self.clock.now()) {
            return Ok(Place::StoredForLater);
        }
        if !entry.runs_here {
            return Ok(Place::StoredAnywhere);
        }
        match queue.room.try_reserve_in_turn(envelope.bytes()) {
            Some(slot) if self.may_own() => {
                // The only attempt of a message is counted when it begins: counted before, a crash
                // would take it from a message that never ran.
                envelope.attempts = u32::from(entry.policy.attempts() > 1);
                let owner = self.owner();
                let hold = self.held.hold(envelope.id, &envelope.destination, owner);
                Ok(Place::StoredHere(slot, owner, hold))
            }
            _ => Ok(Place::StoredAnywhere),
        }
    }

    /// The place of a message for another process. One for later travels at once, and waits there.
    pub(crate) fn place_outside(
        &self,
        envelope: &Envelope,
        endpoint: &Endpoint,
        joining: Joining,
        room: &mut Vec<Slot>,
    ) -> Result<Place, SendError> {
        let in_transaction = joining != Joining::Nothing;
        if self.store.is_none() || !endpoint.is_stored(in_transaction) {
            if endpoint.options.mode == Mode::Inline && !in_transaction {
                return Ok(Place::Inline);
            }
            let slot = take_slot(room, &endpoint.room);
            let beyond = || endpoint.reserve_beyond(envelope.bytes());
            return slot.map_or_else(beyond, Ok).map(Place::Memory);
        }
        match endpoint.room.try_reserve_in_turn(envelope.bytes()) {
            Some(slot) if self.may_own() && !endpoint.circuit.is_open() => {
                let owner = self.owner();
                let hold = endpoint.held.hold(envelope.id, &envelope.destination, owner);
                Ok(Place::StoredHere(slot, owner, hold))
            }
            _ => Ok(Place::StoredAnywhere),
        }
    }

    /// Whether what is stored now may be stored as this node's own.
    fn may_own(&self) -> bool {
        !self.stopping.is_cancelled() && self.trust.is_given()
    }
}

/// Whether a message for a handler is stored by what it is itself.
pub(crate) fn is_by_nature(envelope: &Envelope, now: SystemTime) -> bool {
    is_for_later(envelope, now) || envelope.deduplication_id.is_some()
}

pub(crate) fn is_for_later(envelope: &Envelope, now: SystemTime) -> bool {
    envelope.due_at.is_some_and(|due_at| due_at > now)
}

fn take_slot(room: &mut Vec<Slot>, wanted: &Arc<Room>) -> Option<Slot> {
    let taken = room.iter().position(|slot| slot.is_in(wanted))?;
    Some(room.swap_remove(taken))
}
