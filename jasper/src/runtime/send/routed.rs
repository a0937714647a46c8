//! Messages that have found their destinations, and where each waits.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use tokio::sync::oneshot;

use crate::envelope::Envelope;
use crate::runtime::handle::entry::HandlerEntry;
use crate::runtime::memory::room::MemorySlot;
use crate::runtime::observation::{MessageEvent, ObservedBatch};
use crate::runtime::outbound::endpoint::Endpoint;
use crate::runtime::own::rows_in_memory::InMemoryGuard;
use crate::store::{Incoming, Outgoing, Owner, Placement};
use crate::transport::Receipt;

/// For how long the id of a message that may come again stays known after it is handled.
pub(crate) const DEDUPLICATION_WINDOW: Duration = Duration::from_secs(7 * 24 * 60 * 60);

/// Messages that have found their destinations.
#[derive(Debug, Default)]
pub(crate) struct RoutedMessages {
    pub(crate) to_handlers: ToHandlers,
    pub(crate) to_endpoints: ToEndpoints,
    /// It has come from another process.
    pub(crate) is_received: bool,
    /// Published, and nothing subscribes to them; noted where there is an observer.
    pub(crate) unsubscribed: Vec<Envelope>,
}

/// Messages for handlers.
#[derive(Debug, Default)]
pub(crate) struct ToHandlers {
    /// Each is a row of the inbox.
    pub(crate) stored: Vec<(Incoming, AfterInsert)>,
    /// Each is only in memory.
    pub(crate) in_memory: Vec<InMemory>,
}

/// Messages for other processes.
#[derive(Debug, Default)]
pub(crate) struct ToEndpoints {
    /// Each is a row of the outbox.
    pub(crate) stored: Vec<(Outgoing, Arc<Endpoint>, Option<OwnedOutgoing>)>,
    /// Each is only in memory.
    pub(crate) in_memory: Vec<(Envelope, Arc<Endpoint>, MemorySlot)>,
    /// Each is sent by its sender, who waits for the receipt.
    pub(crate) inline: Vec<(Envelope, Arc<Endpoint>)>,
}

/// What becomes of a row of the inbox once it is committed.
#[derive(Debug)]
#[expect(clippy::large_enum_variant, reason = "most rows are of the large one")]
pub(crate) enum AfterInsert {
    /// This node owns it and puts it into its queue.
    Deliver {
        envelope: Envelope,
        entry: Arc<HandlerEntry>,
        owner: Owner,
        slot: MemorySlot,
        hold: InMemoryGuard,
    },
    /// It waits in the store, for a time or for room. The handler's process claims it.
    Wait { entry: Arc<HandlerEntry>, due_at: Option<SystemTime> },
    /// A node that takes its type claims it.
    Unknown,
}

/// A message for a handler that is only in memory.
#[derive(Debug)]
pub(crate) struct InMemory {
    pub(crate) envelope: Envelope,
    pub(crate) entry: Arc<HandlerEntry>,
    pub(crate) slot: MemorySlot,
    /// Notified when it is handled.
    pub(crate) done: Option<oneshot::Sender<Receipt>>,
}

/// What this node has in memory for a row of the outbox that it owns.
#[derive(Debug)]
pub(crate) struct OwnedOutgoing {
    pub(crate) envelope: Envelope,
    pub(crate) owner: Owner,
    pub(crate) slot: MemorySlot,
    pub(crate) hold: InMemoryGuard,
}

impl ToHandlers {
    /// Adds a message that this node stores as its own and handles.
    pub(crate) fn push_owned(
        &mut self,
        envelope: Envelope,
        entry: Arc<HandlerEntry>,
        (owner, slot, hold): (Owner, MemorySlot, InMemoryGuard),
        retention: Option<Duration>,
    ) {
        let (placement, copy) = (Placement::Owned(owner), envelope.clone());
        let after = AfterInsert::Deliver { envelope: copy, entry, owner, slot, hold };
        self.stored.push((Incoming { envelope, placement, retention }, after));
    }

    /// Adds a message that is stored for any process in which its handler runs, once it is due.
    pub(crate) fn push_unowned(
        &mut self,
        envelope: Envelope,
        entry: Arc<HandlerEntry>,
        now: SystemTime,
        retention: Option<Duration>,
    ) {
        let due_at = due_later(&envelope, now);
        let after = AfterInsert::Wait { entry, due_at };
        self.stored.push((Incoming { placement: unowned(due_at), envelope, retention }, after));
    }

    /// Adds a message of a type that no handler here takes.
    pub(crate) fn push_unknown(&mut self, envelope: Envelope, now: SystemTime) {
        let placement = unowned(due_later(&envelope, now));
        let row = Incoming { envelope, placement, retention: Some(DEDUPLICATION_WINDOW) };
        self.stored.push((row, AfterInsert::Unknown));
    }
}

impl ToEndpoints {
    /// Adds a message that this node stores as its own and sends.
    pub(crate) fn push_owned(
        &mut self,
        envelope: Envelope,
        endpoint: Arc<Endpoint>,
        (owner, slot, hold): (Owner, MemorySlot, InMemoryGuard),
    ) {
        let row = Outgoing { envelope: envelope.clone(), owner: Some(owner) };
        self.stored.push((row, endpoint, Some(OwnedOutgoing { envelope, owner, slot, hold })));
    }

    /// Adds a message that is stored for any process that has the endpoint.
    pub(crate) fn push_unowned(&mut self, envelope: Envelope, endpoint: Arc<Endpoint>) {
        self.stored.push((Outgoing { envelope, owner: None }, endpoint, None));
    }
}

impl RoutedMessages {
    /// Whether some of it is to be stored.
    pub(crate) const fn has_rows(&self) -> bool {
        !self.to_handlers.stored.is_empty() || !self.to_endpoints.stored.is_empty()
    }

    /// What the observers are to be told of it, once it is accepted.
    #[cold]
    pub(crate) fn observed(&self, now: SystemTime) -> ObservedBatch {
        let Self { to_handlers, to_endpoints, is_received, unsubscribed } = self;
        let event = |envelope: &Envelope| match due_later(envelope, now) {
            Some(_) => MessageEvent::Scheduled,
            None if *is_received => MessageEvent::Received,
            None => MessageEvent::Sent,
        };
        let incoming = to_handlers.stored.iter().map(|(row, after)| {
            let event = match after {
                AfterInsert::Unknown => MessageEvent::NoHandler,
                AfterInsert::Deliver { .. } | AfterInsert::Wait { .. } => event(&row.envelope),
            };
            (event, row.envelope.clone())
        });
        let in_memory = to_handlers.in_memory.iter().map(|message| &message.envelope);
        let in_memory = in_memory.map(|envelope| (event(envelope), envelope.clone()));
        let to_others = to_endpoints.in_memory.iter();
        let to_others = to_others.map(|(envelope, ..)| (MessageEvent::Sent, envelope.clone()));
        let to_none = unsubscribed.iter().cloned();
        let to_none = to_none.map(|envelope| (MessageEvent::NoSubscriber, envelope));
        ObservedBatch {
            incoming: incoming.collect(),
            outgoing: to_endpoints.stored.iter().map(|(row, ..)| row.envelope.clone()).collect(),
            in_memory: in_memory.chain(to_others).chain(to_none).collect(),
        }
    }

    /// Adds all of another one.
    pub(crate) fn append(&mut self, other: Self) {
        let Self { to_handlers, to_endpoints, is_received: _, unsubscribed } = other;
        self.unsubscribed.extend(unsubscribed);
        self.to_handlers.stored.extend(to_handlers.stored);
        self.to_handlers.in_memory.extend(to_handlers.in_memory);
        self.to_endpoints.stored.extend(to_endpoints.stored);
        self.to_endpoints.in_memory.extend(to_endpoints.in_memory);
        self.to_endpoints.inline.extend(to_endpoints.inline);
    }

    /// Whether there is nothing in it.
    pub(crate) const fn is_empty(&self) -> bool {
        let (handlers, endpoints) = (&self.to_handlers, &self.to_endpoints);
        !self.has_rows()
            && handlers.in_memory.is_empty()
            && endpoints.in_memory.is_empty()
            && endpoints.inline.is_empty()
    }
}

/// When a message is due, if that is later than now.
pub(crate) fn due_later(envelope: &Envelope, now: SystemTime) -> Option<SystemTime> {
    envelope.due_at.filter(|due_at| *due_at > now)
}

const fn unowned(due_at: Option<SystemTime>) -> Placement {
    match due_at {
        Some(due_at) => Placement::Scheduled(due_at),
        None => Placement::Unowned,
    }
}
