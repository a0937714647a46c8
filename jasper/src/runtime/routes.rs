//! The route table: which handler takes what, on which queue, and where endpoint names lead.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;
use std::time::Duration;

use super::handle::entry::HandlerEntry;
use super::handle::queue::Queue;
use super::outbound::endpoint::Endpoint;
use super::outbound::target::Target;
use super::start::handling::{HandlerKey, key_of};
use super::start::plan::Plan;
use crate::envelope::Address;
use crate::error::SendError;
use crate::handler::{HandlerRegistration, OutgoingMessage};
use crate::message::{MessageKind, MessageType};
use crate::store::Subscription;

/// Which handler takes what, on which queue, and where endpoint names lead.
#[derive(Debug, Default)]
pub(crate) struct Routes {
    by_type: HashMap<MessageType, Vec<Arc<HandlerEntry>>>,
    by_address: HashMap<(Address, MessageType), Arc<HandlerEntry>>,
    /// By name, or by the address that stands in place of one.
    endpoints: BTreeMap<String, Target>,
    /// The endpoints of other processes, by what stands for them in rows.
    by_destination: HashMap<Address, Arc<Endpoint>>,
    /// To which of them events are published.
    publications: HashMap<MessageType, Vec<Arc<Endpoint>>>,
    /// What the application has stated that it never sends.
    never_sent: BTreeSet<MessageType>,
    queues: HashMap<&'static str, Arc<Queue>>,
    timeouts: HashMap<HandlerKey, Duration>,
}

/// One place that a message goes to.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Destination<'a> {
    Handler(&'a Arc<HandlerEntry>),
    Endpoint(&'a Arc<Endpoint>),
}

impl Destination<'_> {
    /// Whether a message that belongs to no transaction is stored on its way there.
    pub(crate) fn is_stored(self) -> bool {
        match self {
            Self::Handler(entry) => entry.is_stored(false),
            Self::Endpoint(endpoint) => endpoint.is_stored(false),
        }
    }
}

impl Routes {
    /// The routes of an application, with the targets of its endpoints.
    pub(crate) fn new(plan: &Plan, endpoints: BTreeMap<String, Target>) -> Self {
        let never_sent = plan.endpoints.never_sent.clone();
        let mut routes = Self { endpoints, never_sent, ..Self::default() };
        for target in routes.endpoints.values() {
            if let Target::Remote(endpoint) = target {
                let destination = endpoint.destination.clone();
                routes.by_destination.insert(destination, Arc::clone(endpoint));
            }
        }
        for (message_type, name) in &plan.endpoints.publications {
            if let Some(Target::Remote(endpoint)) = routes.endpoints.get(name) {
                let of_type = routes.publications.entry(message_type.clone()).or_default();
                of_type.push(Arc::clone(endpoint));
            }
        }
        for registration in &plan.handlers {
            routes.add(Arc::new(HandlerEntry::new(registration, plan)));
        }
        routes
    }

    fn add(&mut self, entry: Arc<HandlerEntry>) {
        let key = (entry.address.clone(), entry.message_type.clone());
        self.by_address.insert(key, Arc::clone(&entry));
        self.timeouts.insert(key_of(&entry.registration), entry.timeout);
        self.by_type.entry(entry.message_type.clone()).or_default().push(entry);
    }

    /// How long one run of a handler may take, where this application has it.
    pub(crate) fn timeout_of(&self, handler: &HandlerRegistration) -> Option<Duration> {
        self.timeouts.get(&key_of(handler)).copied()
    }

    /// Refuses what this application has stated that it never sends.
    pub(crate) fn check_sent(&self, message_type: &MessageType) -> Result<(), SendError> {
        match self.never_sent.get(message_type) {
            None => Ok(()),
            Some(message_type) => Err(SendError::NeverSent { message_type: message_type.clone() }),
        }
    }

    /// The same with the queues on which the handlers run.
    pub(crate) fn with_queues(self, queues: HashMap<&'static str, Arc<Queue>>) -> Self {
        Self { queues, ..self }
    }

    /// The queues, in no order.
    pub(crate) fn queues(&self) -> impl ExactSizeIterator<Item = &Arc<Queue>> {
        self.queues.values()
    }

    /// The queue on which a handler runs.
    pub(crate) fn queue_of(&self, entry: &HandlerEntry) -> &Arc<Queue> {
        // Every entry's queue is made with the routes; see the builder.
        &self.queues[entry.registration.queue]
    }

    /// All handlers, in no order.
    pub(crate) fn handlers(&self) -> impl Iterator<Item = &Arc<HandlerEntry>> + Clone {
        self.by_type.values().flatten()
    }

    /// What this application knows, in no order.
    pub(crate) fn subscriptions(&self) -> impl Iterator<Item = Subscription> {
        self.handlers().map(|entry| entry.subscription())
    }

    /// What this process takes, sorted.
    pub(crate) fn takes(&self) -> Vec<Subscription> {
        let here = self.handlers().filter(|entry| entry.runs_here);
        let mut takes: Vec<_> = here.map(|entry| entry.subscription()).collect();
        takes.sort_unstable();
        takes
    }

    /// The endpoints of other processes, in no order.
    pub(crate) fn endpoints(&self) -> impl Iterator<Item = &Arc<Endpoint>> {
        self.by_destination.values()
    }

    /// The endpoint for which this stands in a row.
    pub(crate) fn endpoint_of(&self, destination: &Address) -> Option<&Arc<Endpoint>> {
        self.by_destination.get(destination)
    }

    /// The handlers of a type; none for one that this application does not know.
    pub(crate) fn handlers_of(&self, message_type: &MessageType) -> &[Arc<HandlerEntry>] {
        self.by_type.get(message_type).map_or(&[], Vec::as_slice)
    }

    /// Where an outgoing message goes; nowhere for an event that nobody subscribes to.
    pub(crate) fn destinations(
        &self,
        message: &OutgoingMessage,
    ) -> Result<Vec<Destination<'_>>, SendError> {
        let message_type = &message.message_type;
        if let Some(endpoint) = message.options.to.as_deref() {
            return Ok(vec![self.at_endpoint(endpoint, message_type)?]);
        }
        if let Some(endpoint) = message.to {
            return Ok(vec![self.at_own_endpoint(endpoint, message_type)?]);
        }
        let handlers = self.handlers_of(message_type);
        if handlers.is_empty() && message.kind == MessageKind::Command {
            return Err(SendError::NoHandler { message_type: message_type.clone() });
        }
        let published = self.publications.get(message_type).into_iter().flatten();
        let handlers = handlers.iter().map(Destination::Handler);
        Ok(handlers.chain(published.map(Destination::Endpoint)).collect())
    }

    /// Where the endpoint that a type names leads. The application behind the endpoint need not
    /// know where others find it: it has the handler.
    pub(crate) fn at_own_endpoint(
        &self,
        endpoint: &str,
        message_type: &MessageType,
    ) -> Result<Destination<'_>, SendError> {
        match (self.endpoints.contains_key(endpoint), self.handlers_of(message_type)) {
            (false, [only]) if !endpoint.contains("://") => Ok(Destination::Handler(only)),
            _ => self.at_endpoint(endpoint, message_type),
        }
    }

    /// Where the endpoint of this name, or the address in place of one, leads for a type.
    fn at_endpoint(
        &self,
        endpoint: &str,
        message_type: &MessageType,
    ) -> Result<Destination<'_>, SendError> {
        let unknown = || SendError::UnknownEndpoint { endpoint: endpoint.to_owned() };
        let on_queue = |queue: &str| self.on_queue(queue, message_type).map(Destination::Handler);
        match self.endpoints.get(endpoint) {
            Some(Target::Remote(endpoint)) => Ok(Destination::Endpoint(endpoint)),
            Some(Target::Queue(queue)) => on_queue(queue).ok_or_else(unknown),
            None => {
                let address: Option<Address> = endpoint.parse().ok();
                address.as_ref().and_then(Address::queue).and_then(on_queue).ok_or_else(unknown)
            }
        }
    }

    /// The handler of this type on this local queue.
    pub(crate) fn on_queue(
        &self,
        queue: &str,
        message_type: &MessageType,
    ) -> Option<&Arc<HandlerEntry>> {
        let handlers = self.by_type.get(message_type)?;
        handlers.iter().find(|h| h.registration.queue == queue)
    }

    /// The handler of a stored message, also where its handler has moved to another queue since, or
    /// where a command's only handler has been renamed.
    pub(crate) fn resolve(
        &self,
        destination: &Address,
        message_type: &MessageType,
    ) -> Option<&Arc<HandlerEntry>> {
        let key = (destination.clone(), message_type.clone());
        if let Some(entry) = self.by_address.get(&key) {
            return Some(entry);
        }
        if !destination.is_local() {
            return None;
        }
        let handlers = self.by_type.get(message_type)?;
        let named = |h: &&Arc<HandlerEntry>| destination.handler() == Some(h.registration.name);
        handlers.iter().find(named).or(match handlers.as_slice() {
            [only] if only.registration.kind != MessageKind::Event => Some(only),
            _ => None,
        })
    }
}
