//! The route table: which handler takes what, on which queue, and where endpoint names lead.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use smallvec::{SmallVec, smallvec};

use super::handle::entry::HandlerEntry;
use super::handle::queue::Queue;
use super::handle::table::HandlerTable;
use super::outbound::endpoint::Endpoint;
use super::outbound::table::EndpointTable;
use super::outbound::target::Target;
use super::start::plan::StartPlan;
use crate::envelope::Address;
use crate::error::SendError;
use crate::handler::OutgoingMessage;
use crate::message::{MessageKind, MessageType};
use crate::transport::masked;

/// Which handler takes what, on which queue, and where endpoint names lead.
#[derive(Debug)]
pub(crate) struct Routes {
    handlers: HandlerTable,
    endpoints: EndpointTable,
    /// What the application has stated that it never sends.
    never_sent: BTreeSet<MessageType>,
    /// In the order of their indices.
    queues: Vec<Arc<Queue>>,
}

/// Where one message goes: mostly to one place.
pub(crate) type Destinations<'a> = SmallVec<[Destination<'a>; 1]>;

/// One place that a message goes to.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Destination<'a> {
    Handler(&'a Arc<HandlerEntry>),
    Endpoint(&'a Arc<Endpoint>),
}

impl Destination<'_> {
    /// Whether a message that belongs to no transaction is stored on its way there.
    /// `requires_storage`: as for a handler.
    pub(crate) fn is_stored(self, requires_storage: bool) -> bool {
        match self {
            Self::Handler(entry) => entry.is_stored(requires_storage),
            Self::Endpoint(endpoint) => endpoint.is_stored(false),
        }
    }
}

impl Routes {
    /// The routes of an application, with the targets of its endpoints.
    pub(crate) fn new(
        handlers: HandlerTable,
        plan: &StartPlan,
        targets: BTreeMap<String, Target>,
    ) -> Self {
        Self {
            handlers,
            endpoints: EndpointTable::of(targets, &plan.endpoints.publications),
            never_sent: plan.endpoints.never_sent.clone(),
            queues: Vec::new(),
        }
    }

    /// The same with the queues on which the handlers run, in the order of their indices.
    pub(crate) fn with_queues(self, queues: Vec<Arc<Queue>>) -> Self {
        Self { queues, ..self }
    }

    /// The handlers, by what they take.
    pub(crate) const fn handlers(&self) -> &HandlerTable {
        &self.handlers
    }

    /// The endpoints, by name.
    pub(crate) const fn endpoints(&self) -> &EndpointTable {
        &self.endpoints
    }

    /// The queues, in no order.
    pub(crate) fn queues(&self) -> impl ExactSizeIterator<Item = &Arc<Queue>> {
        self.queues.iter()
    }

    /// The queue on which a handler runs.
    pub(crate) fn queue_of(&self, entry: &HandlerEntry) -> &Arc<Queue> {
        // Every entry's queue is made with the routes; see the assembly.
        &self.queues[entry.queue]
    }

    /// Refuses what this application has stated that it never sends.
    pub(crate) fn check_sent(&self, message_type: &MessageType) -> Result<(), SendError> {
        match self.never_sent.get(message_type) {
            None => Ok(()),
            Some(message_type) => Err(SendError::NeverSent { message_type: message_type.clone() }),
        }
    }

    /// Where an outgoing message goes; nowhere for an event without subscribers.
    pub(crate) fn destinations(
        &self,
        message: &OutgoingMessage,
    ) -> Result<Destinations<'_>, SendError> {
        let message_type = &message.message_type;
        // What a handler returns was encoded before the routes were known.
        self.check_sent(message_type)?;
        if let Some(endpoint) = message.options.to.as_deref() {
            return Ok(smallvec![self.at_endpoint(endpoint, message_type)?]);
        }
        if let Some(endpoint) = message.to {
            return Ok(smallvec![self.at_own_endpoint(endpoint, message_type)?]);
        }
        let handlers = self.handlers.of_type(message_type);
        if handlers.is_empty() && message.kind == MessageKind::Command {
            return Err(SendError::NoHandler { message_type: message_type.clone() });
        }
        let published = self.endpoints.published(message_type);
        let handlers = handlers.iter().map(Destination::Handler);
        Ok(handlers.chain(published.iter().map(Destination::Endpoint)).collect())
    }

    /// Where the endpoint that a type names leads. The application behind the endpoint need not
    /// know where others find it: it has the handler.
    pub(crate) fn at_own_endpoint(
        &self,
        endpoint: &str,
        message_type: &MessageType,
    ) -> Result<Destination<'_>, SendError> {
        match (self.endpoints.named(endpoint), self.handlers.of_type(message_type)) {
            (None, [only]) if !endpoint.contains("://") => Ok(Destination::Handler(only)),
            _ => self.at_endpoint(endpoint, message_type),
        }
    }

    /// Where the endpoint of this name, or the address in place of one, leads for a type.
    fn at_endpoint(
        &self,
        endpoint: &str,
        message_type: &MessageType,
    ) -> Result<Destination<'_>, SendError> {
        let unknown = || SendError::UnknownEndpoint { endpoint: masked(endpoint).into_owned() };
        let on_queue =
            |queue: &str| self.handlers.on_queue(queue, message_type).map(Destination::Handler);
        match self.endpoints.named(endpoint) {
            Some(Target::Remote(endpoint)) => Ok(Destination::Endpoint(endpoint)),
            Some(Target::Queue(queue)) => on_queue(queue).ok_or_else(unknown),
            None => {
                let address: Option<Address> = endpoint.parse().ok();
                address.as_ref().and_then(Address::queue).and_then(on_queue).ok_or_else(unknown)
            }
        }
    }
}
