//! Messages that have found where they go and where they wait until then.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use tokio::sync::oneshot;

use super::dispatch::KEPT;
use super::place::is_for_later;
use crate::envelope::Envelope;
use crate::runtime::memory::room::Slot;
use crate::runtime::outbound::Endpoint;
use crate::runtime::own::held::Hold;
use crate::runtime::routes::{Destination, HandlerEntry};
use crate::store::{Incoming, Outgoing, Owner, Placement};

/// Messages that have found their destinations and their places.
#[derive(Debug, Default)]
pub(crate) struct Batch {
    pub(crate) placed: Vec<Placed>,
}

/// One message for one destination.
#[derive(Debug)]
pub(crate) struct Placed {
    pub(crate) envelope: Envelope,
    pub(crate) target: Target,
    pub(crate) place: Place,
    /// For how long its id stays known after it is handled.
    pub(crate) keep: Option<Duration>,
}

/// Who gets it.
#[derive(Debug, Clone)]
pub(crate) enum Target {
    Handler(Arc<HandlerEntry>),
    Endpoint(Arc<Endpoint>),
    /// Nobody in this process: a row for a node that knows it.
    Unknown,
}

impl Place {
    /// Whether nothing is stored.
    pub(crate) const fn is_memory(&self) -> bool {
        matches!(self, Self::Memory(_) | Self::Awaited(..) | Self::Inline)
    }
}

impl Target {
    /// The destination, as telemetry names it.
    pub(crate) fn name(&self) -> metrics::SharedString {
        match self {
            Self::Handler(entry) => entry.registration.queue.into(),
            Self::Endpoint(endpoint) => Arc::clone(&endpoint.name).into(),
            Self::Unknown => "unknown".into(),
        }
    }

    pub(crate) fn of(destination: Destination<'_>) -> Self {
        match destination {
            Destination::Handler(entry) => Self::Handler(Arc::clone(entry)),
            Destination::Endpoint(endpoint) => Self::Endpoint(Arc::clone(endpoint)),
        }
    }
}

/// Where it waits.
#[derive(Debug)]
pub(crate) enum Place {
    /// Stored as owned by this incarnation, then handed over in memory.
    StoredHere(Slot, Owner, Hold),
    /// Stored for whoever has room.
    StoredAnywhere,
    /// Stored until it is due.
    StoredForLater,
    /// Only in memory.
    Memory(Slot),
    /// Only in memory, and who sent it is told when it is handled.
    Awaited(Slot, oneshot::Sender<()>),
    /// Nowhere: its sender waits for the receipt.
    Inline,
}

impl Batch {
    /// Adds a message that is stored for whoever has room, when it is due.
    pub(crate) fn add_unowned(&mut self, envelope: Envelope, target: Target, now: SystemTime) {
        let place = match is_for_later(&envelope, now) {
            true => Place::StoredForLater,
            false => Place::StoredAnywhere,
        };
        self.placed.push(Placed { envelope, target, place, keep: Some(KEPT) });
    }

    /// Whether some of it is to be stored.
    pub(crate) fn has_rows(&self) -> bool {
        self.placed.iter().any(|placed| !placed.place.is_memory())
    }

    /// The rows of the inbox, in order.
    pub(crate) fn incoming(&self) -> Vec<Incoming> {
        let for_others = |placed: &&Placed| matches!(placed.target, Target::Endpoint(_));
        let rows = self.placed.iter().filter(|placed| !for_others(placed)).filter_map(|placed| {
            let placement = match &placed.place {
                Place::StoredHere(_, owner, _) => Placement::Owned(*owner),
                Place::StoredAnywhere => Placement::Unowned,
                Place::StoredForLater => Placement::Scheduled(placed.envelope.due_at?),
                Place::Memory(_) | Place::Awaited(..) | Place::Inline => return None,
            };
            Some(Incoming { envelope: placed.envelope.clone(), placement, keep: placed.keep })
        });
        rows.collect()
    }

    /// The rows of the outbox, in order.
    pub(crate) fn outgoing(&self) -> Vec<Outgoing> {
        let for_endpoints = |placed: &&Placed| matches!(placed.target, Target::Endpoint(_));
        let rows = self.placed.iter().filter(for_endpoints).filter_map(|placed| {
            let owner = match &placed.place {
                Place::StoredHere(_, owner, _) => Some(*owner),
                Place::StoredAnywhere | Place::StoredForLater => None,
                Place::Memory(_) | Place::Awaited(..) | Place::Inline => return None,
            };
            Some(Outgoing { envelope: placed.envelope.clone(), owner })
        });
        rows.collect()
    }

    /// Takes out what is neither stored nor handed over: its sender sends it.
    pub(crate) fn take_inline(&mut self) -> Vec<(Envelope, Arc<Endpoint>)> {
        let is_inline = |placed: &mut Placed| matches!(placed.place, Place::Inline);
        let inline = self.placed.extract_if(.., is_inline);
        let inline = inline.filter_map(|placed| match placed.target {
            Target::Endpoint(endpoint) => Some((placed.envelope, endpoint)),
            Target::Handler(_) | Target::Unknown => None,
        });
        inline.collect()
    }
}
