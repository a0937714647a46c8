//! The check at start: everything that types cannot see, all of it in one list.

use std::collections::BTreeMap;

use super::queue_options::{QueueMode, QueueOptions};
use crate::envelope::Address;
use crate::handler::{HandlerRegistration, States};
use crate::message::{MessageKind, MessageRegistration, MessageType, SourceLocation};
use crate::store::StoreInfo;

/// A mistake that keeps an application from starting.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Problem {
    /// Two Rust types claim one wire name.
    #[error(
        "`{first}` ({first_at}) and `{second}` ({second_at}) are both called `{message_type}`; \
         give one of them another `name = \"…\"`"
    )]
    DuplicateMessageType {
        /// The wire name and version.
        message_type: MessageType,
        /// One type.
        first: &'static str,
        /// Where it stands.
        first_at: SourceLocation,
        /// The other type.
        second: &'static str,
        /// Where it stands.
        second_at: SourceLocation,
    },
    /// Two handlers take one command.
    #[error(
        "the command `{message_type}` has two handlers, at {first_at} and at {second_at}; \
         remove one, or derive `Event` if both are to react"
    )]
    TwoHandlers {
        /// The command.
        message_type: MessageType,
        /// One handler.
        first_at: SourceLocation,
        /// The other.
        second_at: SourceLocation,
    },
    /// Two handlers of one message have the same name, so that stored messages could not be told apart.
    #[error(
        "two handlers of `{message_type}` are named `{name}`, at {first_at} and at {second_at}; rename one"
    )]
    DuplicateHandler {
        /// The message.
        message_type: MessageType,
        /// The name.
        name: &'static str,
        /// One handler.
        first_at: SourceLocation,
        /// The other.
        second_at: SourceLocation,
    },
    /// `to = "…"` names an endpoint that is not configured.
    #[error(
        "`{message}` ({at}) goes to the endpoint `{endpoint}`, which is not configured; \
         add `.endpoint(\"{endpoint}\", \"…\")` to the builder"
    )]
    UnknownEndpoint {
        /// The message's Rust type.
        message: &'static str,
        /// Where it stands.
        at: SourceLocation,
        /// The endpoint.
        endpoint: String,
    },
    /// An address that cannot be read.
    #[error(
        "the endpoint `{endpoint}` is configured as `{address}`, which is not an address; write `local://queue`"
    )]
    InvalidAddress {
        /// The endpoint.
        endpoint: String,
        /// What is configured.
        address: String,
    },
    /// No transport of this build serves the scheme.
    #[error(
        "the endpoint `{endpoint}` is at `{address}`, and this build has no transport for it; supported: local"
    )]
    NoTransport {
        /// The endpoint's name, or the address where there is no name.
        endpoint: String,
        /// The address.
        address: String,
    },
    /// A message goes to a local queue on which nothing handles it.
    #[error(
        "`{message}` ({at}) goes to the local queue `{queue}`, where no handler takes it; \
         add `#[handler(queue = \"{queue}\")]` to the function that does"
    )]
    NoHandlerOnQueue {
        /// The message's Rust type.
        message: &'static str,
        /// Where it stands.
        at: SourceLocation,
        /// The queue.
        queue: String,
    },
    /// A durable handler takes a connection that the store does not have.
    #[error("`{handler}` ({at}) takes `&mut {takes}`, but the {store} store hands out {gives}")]
    WrongConnection {
        /// The handler.
        handler: &'static str,
        /// Where it stands.
        at: SourceLocation,
        /// What it takes.
        takes: &'static str,
        /// The store.
        store: &'static str,
        /// What the store hands out, in words.
        gives: String,
    },
    /// A durable handler, or a durable queue, without a store.
    #[error("{what} needs a message store; give the builder one with `.store(…)`")]
    NoStore {
        /// What needs it.
        what: String,
    },
    /// A handler takes a state that is not registered.
    #[error("`{handler}` ({at}) takes `State<{state}>`; register one with `.state(…)`")]
    MissingState {
        /// The handler.
        handler: &'static str,
        /// Where it stands.
        at: SourceLocation,
        /// The type.
        state: &'static str,
    },
    /// Two handlers of one queue ask for different concurrency.
    #[error(
        "the handlers at {first_at} and {second_at} give the queue `{queue}` different concurrency; \
         say it in one place"
    )]
    ConcurrencyConflict {
        /// The queue.
        queue: &'static str,
        /// One handler.
        first_at: SourceLocation,
        /// The other.
        second_at: SourceLocation,
    },
    /// A durable handler on a queue that stores nothing.
    #[error("`{handler}` ({at}) is durable, but its queue `{queue}` is configured as buffered")]
    DurableOnBuffered {
        /// The handler.
        handler: &'static str,
        /// Where it stands.
        at: SourceLocation,
        /// The queue.
        queue: &'static str,
    },
    /// A configured queue that no handler uses.
    #[error(
        "the queue `{queue}` is configured, but no handler runs on it; the queues are: {known}"
    )]
    UnknownQueue {
        /// The queue.
        queue: String,
        /// The queues that there are.
        known: String,
    },
    /// A number that must be at least 1.
    #[error("the queue `{queue}` has {what} 0; it must be at least 1")]
    Zero {
        /// The queue.
        queue: String,
        /// Which number.
        what: &'static str,
    },
    /// No codec, as the `json` feature is off and none was given.
    #[error(
        "there is no codec; turn the feature `json` on, or give the builder one with `.codec(…)`"
    )]
    NoCodec,
}

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
        self.concurrency_conflicts(&mut problems);
        problems
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
                problems.push(Problem::TwoHandlers {
                    message_type,
                    first_at,
                    second_at,
                });
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
    pub(crate) endpoints: &'a BTreeMap<String, String>,
    pub(crate) queues: &'a BTreeMap<String, QueueOptions>,
    pub(crate) states: &'a States,
    pub(crate) store: Option<StoreInfo>,
    pub(crate) has_codec: bool,
}

impl Configured<'_> {
    /// What can be said once the configuration is known.
    pub(crate) fn against(&self, checked: &Checked<'_>) -> Vec<Problem> {
        let mut problems = Vec::new();
        if !self.has_codec {
            problems.push(Problem::NoCodec);
        }
        self.endpoints(&mut problems);
        for message in checked.messages {
            self.destination(message, checked.handlers, &mut problems);
        }
        for handler in checked.handlers {
            self.handler(handler, &mut problems);
        }
        self.queues(checked.handlers, &mut problems);
        problems
    }

    fn endpoints(&self, problems: &mut Vec<Problem>) {
        for (endpoint, address) in self.endpoints {
            match address.parse::<Address>() {
                Ok(parsed) if parsed.is_local() => {}
                Ok(_) => problems.push(Problem::NoTransport {
                    endpoint: endpoint.clone(),
                    address: address.clone(),
                }),
                Err(_) => problems.push(Problem::InvalidAddress {
                    endpoint: endpoint.clone(),
                    address: address.clone(),
                }),
            }
        }
    }

    fn destination(
        &self,
        message: &MessageRegistration,
        handlers: &[HandlerRegistration],
        problems: &mut Vec<Problem>,
    ) {
        let Some(to) = message.to else { return };
        let configured = self.endpoints.get(to).map_or(to, String::as_str);
        let Ok(address) = configured.parse::<Address>() else {
            if !self.endpoints.contains_key(to) {
                problems.push(Problem::UnknownEndpoint {
                    message: message.rust_name,
                    at: message.location,
                    endpoint: to.to_owned(),
                });
            }
            return;
        };
        let Some(queue) = address.queue() else {
            // A configured endpoint is reported once, by `endpoints`.
            if !self.endpoints.contains_key(to) {
                problems.push(Problem::NoTransport {
                    endpoint: to.to_owned(),
                    address: to.to_owned(),
                });
            }
            return;
        };
        let takes = |h: &HandlerRegistration| (h.message_type)() == message.message_type;
        if !handlers.iter().any(|h| h.queue == queue && takes(h)) {
            problems.push(Problem::NoHandlerOnQueue {
                message: message.rust_name,
                at: message.location,
                queue: queue.to_owned(),
            });
        }
    }

    fn handler(&self, handler: &HandlerRegistration, problems: &mut Vec<Problem>) {
        if handler.durable {
            self.durable_handler(handler, problems);
        }
        for requirement in handler.requirements.iter().filter_map(|of| of()) {
            if !self.states.contains(requirement.type_id) {
                problems.push(Problem::MissingState {
                    handler: handler.name,
                    at: handler.location,
                    state: requirement.type_name,
                });
            }
        }
    }

    fn durable_handler(&self, handler: &HandlerRegistration, problems: &mut Vec<Problem>) {
        let mode = self.queues.get(handler.queue).map(|options| options.mode);
        if mode == Some(QueueMode::Buffered) {
            problems.push(Problem::DurableOnBuffered {
                handler: handler.name,
                at: handler.location,
                queue: handler.queue,
            });
        }
        let Some(store) = self.store else {
            problems.push(Problem::NoStore {
                what: format!(
                    "the durable handler `{}` ({})",
                    handler.name, handler.location
                ),
            });
            return;
        };
        let Some(takes) = handler.connection else {
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
        for (queue, options) in self.queues {
            if !handlers.iter().any(|handler| handler.queue == queue) {
                let mut known: Vec<_> = handlers.iter().map(|handler| handler.queue).collect();
                known.sort_unstable();
                known.dedup();
                problems.push(Problem::UnknownQueue {
                    queue: queue.clone(),
                    known: known.join(", "),
                });
            }
            if options.mode == QueueMode::Durable && self.store.is_none() {
                problems.push(Problem::NoStore {
                    what: format!("the durable queue `{queue}`"),
                });
            }
            let numbers = [
                ("concurrency", options.concurrency),
                ("capacity", options.capacity),
            ];
            for (what, _) in numbers.into_iter().filter(|(_, n)| *n == Some(0)) {
                problems.push(Problem::Zero {
                    queue: queue.clone(),
                    what,
                });
            }
        }
    }
}
