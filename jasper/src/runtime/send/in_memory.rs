//! A message that is sent by itself, to one destination, and only in memory there.
//!
//! Mostly there is room for it: then it needs no future, and so neither the memory of one nor a
//! second look at its routes.

use std::sync::Arc;

use super::admission::{room_at, room_of};
use super::envelope::{check, envelope};
use super::hand_over::{hand_over_to_endpoint, hand_over_to_handler};
use super::origin::Origin;
use super::routed::InMemory;
use crate::error::SendError;
use crate::handler::{DeliveryOptions, OutgoingMessage};
use crate::runtime::core::Core;
use crate::runtime::handle::entry::HandlerEntry;
use crate::runtime::memory::budget::bytes_to_send;
use crate::runtime::memory::room::MemorySlot;
use crate::runtime::outbound::endpoint::Endpoint;
use crate::runtime::routes::Destination;
use crate::transport::Mode;

/// Where the one copy of a message goes.
pub(super) enum OneDestination {
    Handler(Arc<HandlerEntry>),
    Endpoint(Arc<Endpoint>),
}

impl OneDestination {
    /// That of a message which is only in memory; `None` where there are several or none, or where
    /// it may be stored, or belongs to a run, or is observed.
    ///
    /// # Errors
    /// No envelope can hold it, or it has no route.
    pub(super) fn of(
        core: &Core,
        origin: &Origin,
        message: &OutgoingMessage,
    ) -> Result<Option<Self>, SendError> {
        let DeliveryOptions { due_at, delay, deduplication_id, .. } = &message.options;
        let is_for_now = due_at.is_none() && delay.is_none() && deduplication_id.is_none();
        let is_by_itself = origin.scope().is_none() && !core.observers().is_observed();
        if !is_for_now || !is_by_itself || core.lifecycle().is_draining() {
            return Ok(None);
        }
        check(message)?;
        let destinations = core.routes().destinations(message)?;
        let [destination] = destinations.as_slice() else {
            return Ok(None);
        };
        if core.store().is_configured() && destination.is_stored(false) {
            return Ok(None);
        }
        Ok(match destination {
            Destination::Handler(entry) => Some(Self::Handler(Arc::clone(entry))),
            Destination::Endpoint(endpoint) if endpoint.options.mode == Mode::Inline => None,
            Destination::Endpoint(endpoint) => Some(Self::Endpoint(Arc::clone(endpoint))),
        })
    }

    /// Room for the message, if there is some now.
    pub(super) fn room_now(&self, core: &Core, message: &OutgoingMessage) -> Option<MemorySlot> {
        room_of(core, self.get()).reserve_now(bytes_to_send(message))
    }

    /// Hands the message over once there is room for it.
    ///
    /// # Errors
    /// As those of a message that is dispatched. Nothing was sent.
    pub(super) async fn send(
        self,
        core: Arc<Core>,
        message: OutgoingMessage,
    ) -> Result<(), SendError> {
        let slot = room_at(&core, self.get(), bytes_to_send(&message)).await?;
        self.hand_over(&core, message, slot)
    }

    /// Hands the message over.
    ///
    /// # Errors
    /// As those of a message that is dispatched. Nothing was sent.
    pub(super) fn hand_over(
        self,
        core: &Arc<Core>,
        message: OutgoingMessage,
        slot: MemorySlot,
    ) -> Result<(), SendError> {
        let mut envelope = envelope(core, message, None, false)?;
        match self {
            Self::Handler(entry) => {
                envelope.destination = entry.address.clone();
                envelope.attempts = 1;
                hand_over_to_handler(core, InMemory { envelope, entry, slot, done: None });
            }
            Self::Endpoint(endpoint) => {
                envelope.destination = endpoint.id.destination.clone();
                hand_over_to_endpoint(core, envelope, &endpoint, slot);
            }
        }
        Ok(())
    }

    const fn get(&self) -> Destination<'_> {
        match self {
            Self::Handler(entry) => Destination::Handler(entry),
            Self::Endpoint(endpoint) => Destination::Endpoint(endpoint),
        }
    }
}
