//! The route table: which handler takes what, on which queue, and where endpoint names lead.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::time::Duration;

use super::queue_options::{QueueMode, QueueOptions};
use super::settings::Settings;
use crate::envelope::Address;
use crate::error::SendError;
use crate::error_policy::ErrorPolicy;
use crate::handler::{HandlerRegistration, OutgoingMessage};
use crate::message::{MessageKind, MessageType};
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
}

impl HandlerEntry {
    fn new(registration: HandlerRegistration, mode: QueueMode, settings: &Settings) -> Self {
        Self {
            message_type: (registration.message_type)(),
            address: Address::local(registration.queue, registration.name),
            policy: ErrorPolicy::of(registration.attempts, registration.delays),
            timeout: registration.timeout.unwrap_or(settings.handler_timeout),
            mode,
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
    endpoints: BTreeMap<String, Address>,
}

impl Routes {
    pub(crate) fn new(
        handlers: &[HandlerRegistration],
        queues: &BTreeMap<String, QueueOptions>,
        endpoints: BTreeMap<String, Address>,
        settings: &Settings,
    ) -> Self {
        let mut routes = Self { endpoints, ..Self::default() };
        for &registration in handlers {
            let mode =
                queues.get(registration.queue).map_or(QueueMode::Automatic, |options| options.mode);
            let entry = Arc::new(HandlerEntry::new(registration, mode, settings));
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

    /// What this application takes, sorted.
    pub(crate) fn subscriptions(&self) -> Vec<Subscription> {
        let mut takes: Vec<_> = self.handlers().map(|entry| entry.subscription()).collect();
        takes.sort_unstable();
        takes
    }

    /// The handlers that an outgoing message goes to; none for an event that nobody subscribes to.
    pub(crate) fn destinations(
        &self,
        message: &OutgoingMessage,
    ) -> Result<Vec<&Arc<HandlerEntry>>, SendError> {
        if let Some(endpoint) = message.options.to.as_deref().or(message.to) {
            return Ok(vec![self.at_endpoint(endpoint, &message.message_type)?]);
        }
        let handlers = self.by_type.get(&message.message_type);
        if handlers.is_none() && message.kind == MessageKind::Command {
            return Err(SendError::NoHandler { message_type: message.message_type.clone() });
        }
        Ok(handlers.into_iter().flatten().collect())
    }

    fn at_endpoint(
        &self,
        endpoint: &str,
        message_type: &MessageType,
    ) -> Result<&Arc<HandlerEntry>, SendError> {
        self.endpoint_address(endpoint)
            .as_ref()
            .and_then(Address::queue)
            .and_then(|queue| self.on_queue(queue, message_type))
            .ok_or_else(|| SendError::UnknownEndpoint { endpoint: endpoint.to_owned() })
    }

    /// Where an endpoint name, or an address written in its place, leads.
    pub(crate) fn endpoint_address(&self, endpoint: &str) -> Option<Address> {
        match self.endpoints.get(endpoint) {
            Some(address) => Some(address.clone()),
            None => endpoint.parse().ok(),
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
        let handlers = self.by_type.get(message_type)?;
        let named = |h: &&Arc<HandlerEntry>| destination.handler() == Some(h.registration.name);
        handlers.iter().find(named).or(match handlers.as_slice() {
            [only] if only.registration.kind != MessageKind::Event => Some(only),
            _ => None,
        })
    }
}
