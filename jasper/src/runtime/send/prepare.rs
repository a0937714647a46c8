//! From encoded messages to routed ones: each finds its destinations, its envelope and its place.

use super::envelope::envelope;
use super::placement::{
    ForHandler, Joining, asks_for_store, must_be_stored, to_endpoint, to_handler,
};
use super::routed::{KEPT, RoutedMessages};
use crate::error::SendError;
use crate::handler::{OutgoingMessage, RunScope};
use crate::runtime::core::Core;
use crate::runtime::memory::room::MemorySlot;
use crate::runtime::routes::Destination;

/// Finds destinations and places for messages. Those that are not stored take their place from
/// `room`, or beyond the capacity of their queue.
pub(crate) fn prepare(
    core: &Core,
    messages: Vec<OutgoingMessage>,
    scope: Option<&RunScope>,
    joining: Joining,
    room: &mut Vec<MemorySlot>,
) -> Result<RoutedMessages, SendError> {
    let mut routed = RoutedMessages::default();
    for message in messages {
        let template = envelope(core, &message, scope, joining == Joining::Run)?;
        let destinations = core.routes().destinations(&message)?;
        if destinations.is_empty() && core.observers().is_observed() {
            routed.unsubscribed.push(template.clone());
        }
        let copies = std::iter::repeat_n(template, destinations.len());
        for (destination, mut envelope) in destinations.into_iter().zip(copies) {
            match destination {
                Destination::Handler(entry) => {
                    envelope.destination = entry.address.clone();
                    let in_store = must_be_stored(&envelope, core.clock().now())
                        || joining != Joining::Nothing;
                    let is_stored = entry.is_stored(in_store);
                    let keep = envelope.deduplication_id.is_some().then_some(KEPT);
                    let how = ForHandler { joining, is_stored, keep };
                    to_handler(core, &mut routed, envelope, entry, how, room)?;
                }
                Destination::Endpoint(endpoint) => {
                    envelope.destination = endpoint.id.destination.clone();
                    to_endpoint(core, &mut routed, envelope, endpoint, joining, room)?;
                }
            }
        }
    }
    Ok(routed)
}

/// Whether a message is stored wherever it goes, when it belongs to no transaction.
pub(crate) fn is_stored(core: &Core, message: &OutgoingMessage) -> Result<bool, SendError> {
    let destinations = core.routes().destinations(message)?;
    let must_be = asks_for_store(message, core.clock().now());
    Ok(core.store().is_there() && destinations.iter().all(|to| to.is_stored(must_be)))
}
