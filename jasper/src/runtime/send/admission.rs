//! Back pressure: a send from outside of handlers waits until there is room for what is not stored.

use std::sync::Arc;

use super::placement::message_requires_storage;
use crate::error::SendError;
use crate::handler::OutgoingMessage;
use crate::runtime::core::Core;
use crate::runtime::memory::budget::bytes_to_send;
use crate::runtime::memory::room::{MemorySlot, Room};
use crate::runtime::outbound::endpoint::Endpoint;
use crate::runtime::routes::{Destination, Destinations};

/// Waits for room in memory for the messages that are not stored.
pub(crate) async fn take_room(
    core: &Core,
    messages: &[OutgoingMessage],
) -> Result<Vec<MemorySlot>, SendError> {
    let (mut wanted, mut bytes, now) = (Destinations::new(), 0, core.clock().now());
    for message in messages {
        let requires_storage = message_requires_storage(message, now);
        let is_stored =
            |to: &Destination<'_>| core.store().is_configured() && to.is_stored(requires_storage);
        let before = wanted.len();
        let destinations = core.routes().destinations(message)?.into_iter();
        wanted.extend(destinations.filter(|to| !is_stored(to)));
        if wanted.len() > before {
            bytes += bytes_to_send(message);
        }
    }
    // All senders reserve in the same order, so that two of them never wait for each other.
    wanted.sort_by_key(|destination| Arc::as_ptr(room_of(core, *destination)));
    // One slot for each queue. Further messages to the same queue exceed its capacity: a sender
    // that waits for a second slot while it has the first could wait for itself.
    wanted.dedup_by_key(|destination| Arc::as_ptr(room_of(core, *destination)));
    let taken = async {
        let mut slots = Vec::with_capacity(wanted.len());
        for destination in &wanted {
            slots.push(match destination {
                Destination::Handler(entry) => core.routes().queue_of(entry).room.reserve().await,
                Destination::Endpoint(endpoint) => endpoint.reserve().await?,
            });
        }
        // The bytes come last, for the same reason.
        let weighed = MemorySlot::weigh_all(&mut slots, bytes);
        match first_endpoint(&wanted) {
            Some(endpoint) => endpoint.unless_down(weighed).await?,
            None => weighed.await,
        }
        Ok(slots)
    };
    let stopping = core.lifecycle().draining();
    stopping.run_until_cancelled(taken).await.unwrap_or(Err(SendError::Stopping))
}

/// Waits for room in memory for one message of this size at one destination.
pub(super) async fn room_at(
    core: &Core,
    destination: Destination<'_>,
    bytes: usize,
) -> Result<MemorySlot, SendError> {
    let taken = async {
        let mut slot = room_of(core, destination).reserve().await;
        MemorySlot::weigh_all(std::slice::from_mut(&mut slot), bytes).await;
        slot
    };
    let taken = async {
        match destination {
            Destination::Handler(_) => Ok(taken.await),
            Destination::Endpoint(endpoint) => endpoint.unless_down(taken).await,
        }
    };
    let stopping = core.lifecycle().draining();
    stopping.run_until_cancelled(taken).await.unwrap_or(Err(SendError::Stopping))
}

fn first_endpoint<'a>(wanted: &[Destination<'a>]) -> Option<&'a Arc<Endpoint>> {
    wanted.iter().find_map(|destination| match destination {
        Destination::Endpoint(endpoint) => Some(*endpoint),
        Destination::Handler(_) => None,
    })
}

pub(super) fn room_of<'a>(core: &'a Core, destination: Destination<'a>) -> &'a Arc<Room> {
    match destination {
        Destination::Handler(entry) => &core.routes().queue_of(entry).room,
        Destination::Endpoint(endpoint) => &endpoint.room,
    }
}
