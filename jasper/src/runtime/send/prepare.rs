//! From encoded messages to routed ones: each finds its destinations, its envelope and its place.

use super::envelope::envelope;
use super::placement::{
    HandlerPlacement, Joining, message_requires_storage, place_for_endpoint, place_for_handler,
    requires_storage,
};
use super::routed::{DEDUPLICATION_WINDOW, RoutedMessages};
use crate::error::SendError;
use crate::handler::{OutgoingMessage, RunScope};
use crate::runtime::core::Core;
use crate::runtime::memory::room::MemorySlot;
use crate::runtime::routes::Destination;

/// Finds destinations and places for messages. Those that are not stored take their place from
/// `slots`, or beyond the capacity of their queue.
pub(crate) fn prepare(
    core: &Core,
    messages: Vec<OutgoingMessage>,
    scope: Option<&RunScope>,
    joining: Joining,
    slots: &mut Vec<MemorySlot>,
) -> Result<RoutedMessages, SendError> {
    let mut routed = RoutedMessages::default();
    routed.to_handlers.in_memory.reserve_exact(slots.len());
    for message in messages {
        let destinations = core.routes().destinations(&message)?;
        let template = envelope(core, message, scope, joining == Joining::Run)?;
        if destinations.is_empty() && core.observers().is_observed() {
            routed.unsubscribed.push(template.clone());
        }
        let copies = std::iter::repeat_n(template, destinations.len());
        for (destination, mut envelope) in destinations.into_iter().zip(copies) {
            match destination {
                Destination::Handler(entry) => {
                    envelope.destination = entry.address.clone();
                    let requires_storage = requires_storage(&envelope, core.clock().now())
                        || joining != Joining::Nothing;
                    let is_stored = entry.is_stored(requires_storage);
                    let retention =
                        envelope.deduplication_id.is_some().then_some(DEDUPLICATION_WINDOW);
                    let how = HandlerPlacement { joining, is_stored, retention };
                    place_for_handler(core, &mut routed, envelope, entry, how, slots)?;
                }
                Destination::Endpoint(endpoint) => {
                    envelope.destination = endpoint.id.destination.clone();
                    place_for_endpoint(core, &mut routed, envelope, endpoint, joining, slots)?;
                }
            }
        }
    }
    Ok(routed)
}

/// Whether a message is stored wherever it goes, when it belongs to no transaction.
pub(crate) fn is_stored(core: &Core, message: &OutgoingMessage) -> Result<bool, SendError> {
    let destinations = core.routes().destinations(message)?;
    let requires_storage = message_requires_storage(message, core.clock().now());
    Ok(core.store().is_configured() && destinations.iter().all(|to| to.is_stored(requires_storage)))
}
