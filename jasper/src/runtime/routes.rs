//! The route table: which handler takes what, on which queue, and where endpoint names lead.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::time::Duration;

use crate::envelope::Address;
use crate::error::SendError;
use crate::error_policy::ErrorPolicy;
use crate::handler::{HandlerRegistration, OutgoingMessage};
use crate::message::{MessageKind, MessageType};
use crate::runtime::outbound::Endpoint;
use crate::runtime::start::queue_options::{QueueMode, QueueOptions, runs_here};
use crate::runtime::start::settings::Settings;
use crate::store::{Begin, Subscription};

/// One handler with everything that is decided about it at start.
#[derive(Debug)]
pub(crate) struct HandlerEntry {
    pub(crate) registration: HandlerRegistration,
    pub(crate) message_type: MessageType,
    pub(crate) address: Address,
    pub(crate) policy: ErrorPolicy,
    pub(crate) timeout: Duration,
    pub(crate) mode: QueueMode,
    /// Else its messages are stored, for other processes.
    pub(crate) runs_here: bool,
}

impl HandlerEntry {
    fn new(registration: HandlerRegistration, options: &QueueOptions, settings: &Settings) -> Self {
        let runs_here = runs_here(Some(options), settings.send_only);
        let mode = if runs_here { options.mode } else { QueueMode::Durable };
        Self {
            message_type: (registration.message_type)(),
            address: Address::local(registration.queue, registration.name),
            policy: ErrorPolicy::of(registration.attempts, registration.delays),
            timeout: registration.timeout.unwrap_or(settings.handler_timeout),
            mode,
            runs_here,
            registration,
        }
    }

    /// What it takes, as nodes tell each other.
    pub(crate) fn subscription(&self) -> Subscription {
        subscription(&self.registration)
    }

    /// For whom its transactions are opened.
    pub(crate) fn begin(&self) -> Begin {
        Begin {
            handler: self.registration.name,
            share: self.registration.share.unwrap_or(1).max(1),
            alone: false,
            limit: self.timeout,
        }
    }

    /// Whether a message for this handler is stored, given whether its sender is in a transaction.
    pub(crate) fn is_stored(&self, in_transaction: bool) -> bool {
        match self.mode {
            QueueMode::Durable => true,
            QueueMode::Buffered => false,
            QueueMode::Automatic => self.registration.durable || in_transaction,
        }
    }
}

/// What a handler takes, as nodes tell each other.
pub(crate) fn subscription(handler: &HandlerRegistration) -> Subscription {
    Subscription {
        destination: Address::local(handler.queue, handler.name),
        message_type: (handler.message_type)().to_string(),
    }
}

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
}

/// Where an endpoint's name leads.
#[derive(Debug)]
pub(crate) enum Target {
    /// To a queue of this process.
    Queue(String),
    /// To another process.
    Remote(Arc<Endpoint>),
}

/// One place that a message goes to.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Destination<'a> {
    Handler(&'a Arc<HandlerEntry>),
    Endpoint(&'a Arc<Endpoint>),
}

impl Routes {
    pub(crate) fn new(
        handlers: &[HandlerRegistration],
        queues: &BTreeMap<String, QueueOptions>,
        endpoints: BTreeMap<String, Target>,
        publications: &[(MessageType, String)],
        settings: &Settings,
    ) -> Self {
        let mut routes = Self { endpoints, ..Self::default() };
        for target in routes.endpoints.values() {
            if let Target::Remote(endpoint) = target {
                let destination = endpoint.destination.clone();
                routes.by_destination.insert(destination, Arc::clone(endpoint));
            }
        }
        for (message_type, name) in publications {
            if let Some(Target::Remote(endpoint)) = routes.endpoints.get(name) {
                let of_type = routes.publications.entry(message_type.clone()).or_default();
                of_type.push(Arc::clone(endpoint));
            }
        }
        let by_default = QueueOptions::new();
        for &registration in handlers {
            let options = queues.get(registration.queue).unwrap_or(&by_default);
            let entry = Arc::new(HandlerEntry::new(registration, options, settings));
            let key = (entry.address.clone(), entry.message_type.clone());
            routes.by_address.insert(key, Arc::clone(&entry));
            let of_type = routes.by_type.entry(entry.message_type.clone());
            of_type.or_default().push(entry);
        }
        routes
    }

    /// All handlers, in no order.
    pub(crate) fn handlers(&self) -> impl Iterator<Item = &Arc<HandlerEntry>> {
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
