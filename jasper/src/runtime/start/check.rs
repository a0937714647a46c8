//! The check at start: everything that types cannot see, all of it in one list.

use std::collections::BTreeMap;

use super::endpoint_config::ResolvedEndpoints;
use super::handling::ResolvedHandling;
use super::queue_options::QueueMode;
use crate::envelope::Address;
use crate::error::Problem;
use crate::handler::{HandlerRegistration, States};
use crate::message::{MessageKind, MessageRegistration, MessageType};
use crate::store::{ConnectionType, StoreInfo};

/// What is checked.
pub(crate) struct Checked<'a> {
    pub(crate) messages: &'a [&'a MessageRegistration],
    pub(crate) handlers: &'a [HandlerRegistration],
}

impl Checked<'_> {
    /// What can be said without knowing how the application is configured.
    pub(crate) fn declarations(&self) -> Vec<Problem> {
        let mut problems = Vec::new();
        self.duplicate_types(&mut problems);
        self.duplicate_handlers(&mut problems);
        self.shared_queue_names(&mut problems);
        self.concurrency_conflicts(&mut problems);
        problems
    }

    /// An event that is declared as handled is.
    pub(crate) fn subscriber(&self, message: &MessageRegistration, problems: &mut Vec<Problem>) {
        let takes = |h: &HandlerRegistration| (h.message_type)() == message.message_type;
        if message.handled && !self.handlers.iter().any(takes) {
            let (message, at) = (message.rust_name, message.location);
            problems.push(Problem::Unhandled { message, at });
        }
    }

    fn duplicate_types(&self, problems: &mut Vec<Problem>) {
        let mut seen = BTreeMap::<&MessageType, &MessageRegistration>::new();
        for &message in self.messages {
            match seen.get(&message.message_type) {
                Some(first) => problems.push(Problem::DuplicateMessageType {
                    message_type: message.message_type.clone(),
                    first: first.rust_name,
                    first_at: first.location,
                    second: message.rust_name,
                    second_at: message.location,
                }),
                None => {
                    seen.insert(&message.message_type, message);
                }
            }
        }
    }

    fn duplicate_handlers(&self, problems: &mut Vec<Problem>) {
        let mut seen = BTreeMap::<MessageType, Vec<&HandlerRegistration>>::new();
        for handler in self.handlers {
            let message_type = (handler.message_type)();
            let others = seen.entry(message_type.clone()).or_default();
            let (first_at, second_at) = match others.first() {
                Some(first) => (first.location, handler.location),
                None => (handler.location, handler.location),
            };
            if handler.kind != MessageKind::Event && !others.is_empty() {
                problems.push(Problem::TwoHandlers { message_type, first_at, second_at });
            } else if let Some(same) = others.iter().find(|other| other.name == handler.name) {
                problems.push(Problem::DuplicateHandler {
                    message_type,
                    name: handler.name,
                    first_at: same.location,
                    second_at,
                });
            }
            others.push(handler);
        }
    }

    fn shared_queue_names(&self, problems: &mut Vec<Problem>) {
        let mut seen = BTreeMap::<&str, &HandlerRegistration>::new();
        for handler in self.handlers.iter().filter(|h| !h.names_queue) {
            let first = *seen.entry(handler.queue).or_insert(handler);
            // Two of one message are a problem of their own.
            if (first.message_type)() != (handler.message_type)() {
                problems.push(Problem::SharedQueueName {
                    name: handler.name,
                    first_at: first.location,
                    second_at: handler.location,
                });
            }
        }
    }

    fn concurrency_conflicts(&self, problems: &mut Vec<Problem>) {
        let mut seen = BTreeMap::<&str, &HandlerRegistration>::new();
        for handler in self.handlers.iter().filter(|h| h.concurrency.is_some()) {
            let first = seen.entry(handler.queue).or_insert(handler);
            if first.concurrency != handler.concurrency {
                problems.push(Problem::ConcurrencyConflict {
                    queue: handler.queue,
                    first_at: first.location,
                    second_at: handler.location,
                });
            }
        }
    }
}

/// The configuration that is checked against the declarations.
pub(crate) struct Configured<'a> {
    pub(crate) endpoints: &'a ResolvedEndpoints,
    pub(crate) handling: &'a ResolvedHandling,
    /// Whether no handler runs here.
    pub(crate) send_only: bool,
    pub(crate) states: &'a States,
    pub(crate) store: Option<StoreInfo>,
    pub(crate) has_codec: bool,
    /// The package that puts the application together.
    pub(crate) package: &'static str,
}

impl Configured<'_> {
    /// What can be said once the configuration is known.
    pub(crate) fn against(&self, checked: &Checked<'_>) -> Vec<Problem> {
        let mut problems = Vec::new();
        if !self.has_codec {
            problems.push(Problem::NoCodec);
        }
        problems.extend(self.endpoints.problems(self.store.is_some()));
        problems.extend(self.handling.problems.iter().cloned());
        for message in checked.messages {
            self.destination(message, checked.handlers, &mut problems);
            let is_published =
                self.endpoints.publications.iter().any(|p| p.0 == message.message_type);
            if !is_published {
                checked.subscriber(message, &mut problems);
            }
        }
        for handler in checked.handlers {
            if self.handling.queue(handler.queue).runs_here(self.send_only) {
                self.handler(handler, &mut problems);
            } else {
                self.elsewhere(handler, &mut problems);
            }
        }
        if self.send_only && self.store.is_none() && !checked.handlers.is_empty() {
            let what = "a process that only sends".to_owned();
            problems.push(Problem::NoStore { what });
        }
        self.queues(checked.handlers, &mut problems);
        problems
    }

    fn destination(
        &self,
        message: &MessageRegistration,
        handlers: &[HandlerRegistration],
        problems: &mut Vec<Problem>,
    ) {
        let Some(to) = message.to else { return };
        if self.endpoints.never_sent.contains(&message.message_type) {
            return;
        }
        let takes = |h: &HandlerRegistration| (h.message_type)() == message.message_type;
        let Some(address) = self.endpoints.endpoints.get(to).map(String::as_str).or_else(|| {
            // An address of another process is an endpoint of its own, and checked as such.
            to.contains("://").then_some(to)
        }) else {
            // The application behind the endpoint need not know where others find it. And what
            // comes from a package of contracts may never be sent from here.
            if !handlers.iter().any(takes) && self.is_own(message, handlers) {
                problems.push(Problem::UnknownEndpoint {
                    message: message.rust_name,
                    at: message.location,
                    endpoint: to.to_owned(),
                });
            }
            return;
        };
        let address: Option<Address> = address.parse().ok();
        let Some(queue) = address.as_ref().and_then(Address::queue) else {
            return;
        };
        if !handlers.iter().any(|h| h.queue == queue && takes(h)) {
            problems.push(Problem::NoHandlerOnQueue {
                message: message.rust_name,
                at: message.location,
                queue: queue.to_owned(),
            });
        }
    }

    /// Whether the message stands in a package of the program's own: the one that puts it together,
    /// or one that has handlers.
    fn is_own(&self, message: &MessageRegistration, handlers: &[HandlerRegistration]) -> bool {
        let package = message.location.package();
        package == self.package || handlers.iter().any(|h| h.location.package() == package)
    }

    /// A handler that runs in other processes only.
    fn elsewhere(&self, handler: &HandlerRegistration, problems: &mut Vec<Problem>) {
        let mode = self.handling.queue(handler.queue).mode;
        if mode == Some(QueueMode::Buffered) {
            problems.push(Problem::BufferedElsewhere {
                handler: handler.name,
                at: handler.location,
                queue: handler.queue,
            });
        }
    }

    fn handler(&self, handler: &HandlerRegistration, problems: &mut Vec<Problem>) {
        let requirements = (handler.requirements)();
        if handler.durable {
            self.durable_handler(handler, requirements.connection, problems);
        }
        for requirement in requirements.states {
            if !self.states.meets(&requirement) {
                problems.push(Problem::MissingState {
                    handler: handler.name,
                    at: handler.location,
                    state: requirement.type_name,
                    registered: self.states.names(),
                });
            }
        }
    }

    fn durable_handler(
        &self,
        handler: &HandlerRegistration,
        takes: Option<ConnectionType>,
        problems: &mut Vec<Problem>,
    ) {
        let mode = self.handling.queue(handler.queue).mode;
        if mode == Some(QueueMode::Buffered) {
            problems.push(Problem::DurableOnBuffered {
                handler: handler.name,
                at: handler.location,
                queue: handler.queue,
            });
        }
        let Some(store) = self.store else {
            problems.push(Problem::NoStore {
                what: format!("the durable handler `{}` ({})", handler.name, handler.location),
            });
            return;
        };
        let Some(takes) = takes else {
            return;
        };
        if store.connection != Some(takes) {
            problems.push(Problem::WrongConnection {
                handler: handler.name,
                at: handler.location,
                takes: takes.name(),
                store: store.name,
                gives: store
                    .connection
                    .map_or_else(|| "none".to_owned(), |c| format!("`&mut {}`", c.name())),
            });
        }
    }

    fn queues(&self, handlers: &[HandlerRegistration], problems: &mut Vec<Problem>) {
        for (queue, options) in &self.handling.queues {
            if !handlers.iter().any(|handler| handler.queue == queue) {
                let mut known: Vec<_> = handlers.iter().map(|handler| handler.queue).collect();
                known.sort_unstable();
                known.dedup();
                problems
                    .push(Problem::UnknownQueue { queue: queue.clone(), known: known.join(", ") });
            }
            if options.mode == Some(QueueMode::Durable) && self.store.is_none() {
                problems.push(Problem::NoStore { what: format!("the durable queue `{queue}`") });
            }
            if options.send_only == Some(true) && !self.send_only && self.store.is_none() {
                let what = format!("the queue `{queue}`, to which this process only sends,");
                problems.push(Problem::NoStore { what });
            }
        }
    }
}
