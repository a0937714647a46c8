//! After the commit: what this node owns, or holds only in memory, goes to its queue or its relay.

use std::sync::Arc;
use std::time::SystemTime;

use metrics::SharedString;

use super::routed::{AfterInsert, InMemory, OwnedOutgoing, RoutedMessages};
use crate::envelope::Envelope;
use crate::runtime::core::Core;
use crate::runtime::handle::delivery::deliver;
use crate::runtime::handle::entry::HandlerEntry;
use crate::runtime::handle::queue::{Backing, Delivery};
use crate::runtime::memory::room::MemorySlot;
use crate::runtime::observation::ObservedBatch;
use crate::runtime::outbound::endpoint::Endpoint;
use crate::runtime::outbound::send_queue::PendingSend;
use crate::store::{Incoming, Inserted, Outgoing};
use crate::telemetry;

/// What becomes of routed messages once their rows are stored.
#[derive(Debug)]
pub(crate) struct AfterCommit {
    /// For each row of the inbox.
    incoming: Vec<AfterInsert>,
    /// For each row of the outbox.
    outgoing: Vec<(Arc<Endpoint>, Option<OwnedOutgoing>)>,
    to_handlers: Vec<InMemory>,
    to_endpoints: Vec<(Envelope, Arc<Endpoint>, MemorySlot)>,
    /// Where there is an observer.
    observed: Option<Box<ObservedBatch>>,
}

impl AfterCommit {
    /// Splits routed messages into their rows and what becomes of them.
    pub(crate) fn split(
        core: &Core,
        routed: RoutedMessages,
    ) -> (Vec<Incoming>, Vec<Outgoing>, Self) {
        let is_observed = core.observers().is_observed();
        let observed = is_observed.then(|| Box::new(routed.observed(core.clock().now())));
        let RoutedMessages { to_handlers, to_endpoints, .. } = routed;
        let (incoming, after): (Vec<_>, Vec<_>) = to_handlers.stored.into_iter().unzip();
        let outgoing = to_endpoints.stored.into_iter();
        let (outgoing, owned) =
            outgoing.map(|(row, endpoint, owned)| (row, (endpoint, owned))).unzip();
        let accepted = Self {
            incoming: after,
            outgoing: owned,
            to_handlers: to_handlers.in_memory,
            to_endpoints: to_endpoints.in_memory,
            observed,
        };
        (incoming, outgoing, accepted)
    }

    /// Notifies the observers of the application.
    pub(crate) fn notify(&mut self, core: &Core, incoming: &[Inserted], outgoing: &[Inserted]) {
        if let Some(observed) = self.observed.take() {
            observed.notify(core.observers(), incoming, outgoing);
        }
    }

    /// Hands over all but what was known before.
    pub(crate) fn hand_over(
        mut self,
        core: &Arc<Core>,
        incoming: Vec<Inserted>,
        outgoing: Vec<Inserted>,
    ) {
        self.notify(core, &incoming, &outgoing);
        for (after, stored) in self.incoming.into_iter().zip(incoming) {
            hand_over_incoming(core, after, stored);
        }
        for ((endpoint, owned), stored) in self.outgoing.into_iter().zip(outgoing) {
            hand_over_outgoing(core, &endpoint, owned, stored);
        }
        for message in self.to_handlers {
            hand_over_to_handler(core, message);
        }
        for (envelope, endpoint, slot) in self.to_endpoints {
            hand_over_to_endpoint(core, envelope, &endpoint, slot);
        }
    }
}

/// Puts a message that is only in memory into the queue of its handler.
pub(super) fn hand_over_to_handler(core: &Arc<Core>, message: InMemory) {
    let InMemory { envelope, entry, slot, done } = message;
    entry.metrics.note_sent();
    let queue = Arc::clone(core.routes().queue_of(&entry));
    let delivery = Delivery::new(envelope, entry, queue, Backing::Memory, slot);
    deliver(core, Delivery { done, ..delivery });
}

/// Puts a message that is only in memory before the relay of its endpoint.
pub(super) fn hand_over_to_endpoint(
    core: &Core,
    envelope: Envelope,
    endpoint: &Endpoint,
    slot: MemorySlot,
) {
    note_sent(name_of(endpoint));
    endpoint.queue.push(PendingSend::new(envelope, slot, core.lifecycle().activity()));
}

fn hand_over_incoming(core: &Arc<Core>, after: AfterInsert, stored: Inserted) {
    let entry = match &after {
        AfterInsert::Deliver { entry, .. } | AfterInsert::Wait { entry, .. } => Some(entry),
        AfterInsert::Unknown => None,
    };
    if stored == Inserted::Duplicate {
        note_duplicate(entry.map_or("unknown", |entry| entry.registration.queue).into());
        // The store may have repeated its own call: then the row of the first one is this node's.
        if matches!(after, AfterInsert::Deliver { .. }) {
            core.node().rows().reconcile_inbox();
        }
        return;
    }
    match entry {
        Some(entry) => entry.metrics.note_sent(),
        None => note_sent("unknown".into()),
    }
    match after {
        AfterInsert::Deliver { envelope, entry, owner, slot, hold } => {
            let backing = Backing::Stored { owner, attempt_counted: envelope.attempts > 0 };
            let queue = Arc::clone(core.routes().queue_of(&entry));
            let mut delivery = Delivery::new(envelope, entry, queue, backing, slot);
            delivery.guards.in_memory = Some(hold);
            deliver(core, delivery);
        }
        AfterInsert::Wait { entry, due_at } => wait_in_store(core, &entry, due_at),
        AfterInsert::Unknown => core.wakeups().pager().notify_one(),
    }
}

fn wait_in_store(core: &Core, entry: &HandlerEntry, due_at: Option<SystemTime>) {
    if !entry.runs_here {
        return;
    }
    match due_at {
        None => core.routes().queue_of(entry).room.note_rows_in_store(),
        Some(due_at) if core.wakeups().next_poll().note(due_at) => {
            core.wakeups().pager().notify_one();
        }
        Some(_) => {}
    }
}

fn hand_over_outgoing(
    core: &Core,
    endpoint: &Endpoint,
    owned: Option<OwnedOutgoing>,
    stored: Inserted,
) {
    if stored == Inserted::Duplicate {
        note_duplicate(name_of(endpoint));
        if owned.is_some() {
            core.node().rows().reconcile();
        }
        return;
    }
    note_sent(name_of(endpoint));
    match owned {
        None => endpoint.room.note_rows_in_store(),
        Some(OwnedOutgoing { envelope, owner, slot, hold }) => {
            let pending = PendingSend::new(envelope, slot, core.lifecycle().activity());
            endpoint.queue.push(PendingSend { row: Some((owner, hold)), ..pending });
        }
    }
}

fn name_of(endpoint: &Endpoint) -> SharedString {
    Arc::clone(&endpoint.id.name).into()
}

fn note_sent(name: SharedString) {
    metrics::counter!(telemetry::SENT, telemetry::DESTINATION => name).increment(1);
}

fn note_duplicate(name: SharedString) {
    metrics::counter!(telemetry::DUPLICATES, telemetry::DESTINATION => name).increment(1);
}
