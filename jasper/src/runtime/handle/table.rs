//! The handlers of an application, by what they take.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use super::entry::HandlerEntry;
use crate::envelope::Address;
use crate::handler::HandlerRegistration;
use crate::message::{MessageKind, MessageType};
use crate::runtime::start::handling::{HandlerKey, key_of};
use crate::runtime::start::plan::StartPlan;
use crate::store::Subscription;

/// The handlers of an application, by what they take.
#[derive(Debug, Default)]
pub(crate) struct HandlerTable {
    by_type: HashMap<MessageType, Vec<Arc<HandlerEntry>>>,
    by_address: HashMap<(Address, MessageType), Arc<HandlerEntry>>,
    queues: Vec<&'static str>,
    /// Of handlers whose time-out is not what their attributes and the defaults say. Mostly empty,
    /// so that an invocation asks for nothing.
    configured_timeouts: HashMap<HandlerKey, Duration>,
}

impl HandlerTable {
    /// Those of this application.
    pub(crate) fn of(plan: &StartPlan) -> Self {
        let mut table = Self::default();
        for registration in &plan.handlers {
            let queue = table.queue_named(registration.queue);
            let entry = HandlerEntry::new(registration, queue, plan);
            if entry.timeout != registration.timeout.unwrap_or(plan.settings.timeouts.handler) {
                table.configured_timeouts.insert(key_of(registration), entry.timeout);
            }
            table.add(Arc::new(entry));
        }
        table
    }

    /// The index of a queue, which is added where it is new.
    fn queue_named(&mut self, name: &'static str) -> usize {
        self.queues.iter().position(|known| *known == name).unwrap_or_else(|| {
            self.queues.push(name);
            self.queues.len() - 1
        })
    }

    /// The names of the queues on which they run, in the order of their indices.
    pub(crate) fn queues(&self) -> &[&'static str] {
        &self.queues
    }

    fn add(&mut self, entry: Arc<HandlerEntry>) {
        let key = (entry.address.clone(), entry.message_type.clone());
        self.by_address.insert(key, Arc::clone(&entry));
        self.by_type.entry(entry.message_type.clone()).or_default().push(entry);
    }

    /// All of them, in no order.
    pub(crate) fn all(&self) -> impl Iterator<Item = &Arc<HandlerEntry>> + Clone {
        self.by_type.values().flatten()
    }

    /// What this application knows, in no order.
    pub(crate) fn subscriptions(&self) -> impl Iterator<Item = Subscription> {
        self.all().map(|entry| entry.subscription())
    }

    /// What this process takes, sorted.
    pub(crate) fn takes(&self) -> Vec<Subscription> {
        let here = self.all().filter(|entry| entry.runs_here);
        let mut takes: Vec<_> = here.map(|entry| entry.subscription()).collect();
        takes.sort_unstable();
        takes
    }

    /// How long one run of a handler may take, where its attributes and the defaults do not say it.
    #[inline]
    pub(crate) fn configured_timeout(&self, handler: &HandlerRegistration) -> Option<Duration> {
        if self.configured_timeouts.is_empty() {
            return None;
        }
        self.configured_timeouts.get(&key_of(handler)).copied()
    }

    /// The handlers of a type; none for one that this application does not know.
    pub(crate) fn of_type(&self, message_type: &MessageType) -> &[Arc<HandlerEntry>] {
        self.by_type.get(message_type).map_or(&[], Vec::as_slice)
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
