//! Back pressure: a send from outside of handlers waits until there is room for what is not stored.

use std::sync::Arc;

use super::placement::asks_for_store;
use crate::error::SendError;
use crate::handler::OutgoingMessage;
use crate::runtime::core::Core;
use crate::runtime::memory::budget::bytes_to_send;
use crate::runtime::memory::room::{MemorySlot, Room};
use crate::runtime::outbound::endpoint::Endpoint;
use crate::runtime::routes::Destination;

/// Waits for room in memory for the messages that are not stored.
pub(crate) async fn take_room(
    core: &Core,
    messages: &[OutgoingMessage],
) -> Result<Vec<MemorySlot>, SendError> {
    let (mut wanted, mut bytes, now) = (Vec::new(), 0, core.clock().now());
    for message in messages {
        let must_be = asks_for_store(message, now);
        let is_stored = |to: &Destination<'_>| core.store().is_there() && to.is_stored(must_be);
        let before = wanted.len();
        let destinations = core.routes().destinations(message)?.into_iter();
        wanted.extend(destinations.filter(|to| !is_stored(to)));
        if wanted.len() > before {
            bytes += bytes_to_send(message);
        }
    }
    // In one order for all, so that of two that wait none holds what the other waits for.
    wanted.sort_by_key(|destination| Arc::as_ptr(room_of(core, *destination)));
    // The second for a queue finds room beyond its capacity, or both might never.
    wanted.dedup_by_key(|destination| Arc::as_ptr(room_of(core, *destination)));
    let taken = async {
        let mut room = Vec::with_capacity(wanted.len());
        for destination in &wanted {
            room.push(match destination {
                Destination::Handler(entry) => core.routes().queue_of(entry).room.reserve().await,
                Destination::Endpoint(endpoint) => endpoint.reserve().await?,
            });
        }
        // Only then the bytes, for the same reason.
        let weighed = MemorySlot::weigh_all(&mut room, bytes);
        match first_endpoint(&wanted) {
            Some(endpoint) => endpoint.unless_down(weighed).await?,
            None => weighed.await,
        }
        Ok(room)
    };
    let stopping = core.lifecycle().stopping();
    stopping.run_until_cancelled(taken).await.unwrap_or(Err(SendError::Stopping))
}

fn first_endpoint<'a>(wanted: &[Destination<'a>]) -> Option<&'a Arc<Endpoint>> {
    wanted.iter().find_map(|destination| match destination {
        Destination::Endpoint(endpoint) => Some(*endpoint),
        Destination::Handler(_) => None,
    })
}

fn room_of<'a>(core: &'a Core, destination: Destination<'a>) -> &'a Arc<Room> {
    match destination {
        Destination::Handler(entry) => &core.routes().queue_of(entry).room,
        Destination::Endpoint(endpoint) => &endpoint.room,
    }
}
