//! The mistakes that the check at start finds.

use crate::message::{MessageType, SourceLocation};

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
    /// A function that was given to the builder is no handler.
    #[error(
        "`{function}` is given to the builder and is no handler; \
         annotate it with `#[handler]`, or remove the call"
    )]
    NotAHandler {
        /// The function's Rust path.
        function: &'static str,
    },
    /// An event that is declared as handled has no handler here.
    #[error(
        "`{message}` ({at}) is declared `#[event(handled)]`, and this program has no handler for \
         it; annotate a function that takes it with `#[handler]`, or name the crate in which that \
         stands: `jasper::handlers_of!(its_crate)`"
    )]
    Unhandled {
        /// The event's Rust type.
        message: &'static str,
        /// Where it stands.
        at: SourceLocation,
    },
    /// Two handlers of one message have the same name, so that stored messages could not be told
    /// apart.
    #[error(
        "two handlers of `{message_type}` are named `{name}`, at {first_at} and at {second_at}; \
         rename one"
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
    /// Two functions share a name by accident, and so would share the queue that is named after
    /// them: a busy one would keep the other waiting.
    #[error(
        "two handlers are named `{name}`, at {first_at} and at {second_at}, and would share a \
         queue of that name; give one of them `#[handler(queue = \"…\")]`, or both the same"
    )]
    SharedQueueName {
        /// The name of both functions.
        name: &'static str,
        /// One handler.
        first_at: SourceLocation,
        /// The other.
        second_at: SourceLocation,
    },
    /// `to = "…"` names an endpoint that is not configured.
    #[error(
        "`{message}` ({at}) goes to the endpoint `{endpoint}`, which is not configured; \
         add `.endpoint(\"{endpoint}\", \"…\")` to the builder, or \
         `.never_sends::<{}>()` if this application sends none",
        last_segment(.message)
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
        "the endpoint `{endpoint}` is at `{address}`, and this build has no transport for it; \
         supported: {schemes}"
    )]
    NoTransport {
        /// The endpoint's name, or the address where there is no name.
        endpoint: String,
        /// The address.
        address: String,
        /// The schemes that this build supports, in words.
        schemes: String,
    },
    /// An endpoint that cannot be used as it is configured.
    #[error("the endpoint `{endpoint}`: {why}")]
    Endpoint {
        /// The endpoint's name, or the address where there is no name.
        endpoint: String,
        /// What is wrong, and what to write instead.
        why: String,
    },
    /// An address to listen at that cannot be used as it is configured.
    #[error("cannot listen at `{address}`: {why}")]
    Listener {
        /// The address.
        address: String,
        /// What is wrong, and what to write instead.
        why: String,
    },
    /// An event is published to an endpoint that is not another process.
    #[error("`{message_type}` is published to `{endpoint}`, which {why}")]
    Publication {
        /// The event.
        message_type: MessageType,
        /// The endpoint.
        endpoint: String,
        /// What is wrong, and what to write instead.
        why: String,
    },
    /// The configuration of the deployment cannot be used.
    #[error("{why}")]
    Config {
        /// What is wrong, where, and what to write instead.
        why: String,
    },
    /// A message goes to a local queue on which nothing handles it.
    #[error(
        "`{message}` ({at}) goes to the local queue `{queue}`, where no handler takes it; \
         add `#[handler(queue = \"{queue}\")]` to the function that does, or name the crate in \
         which that stands: `jasper::handlers_of!(its_crate)`"
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
    #[error(
        "`{handler}` ({at}) takes `State<{state}>`; register one with `.state(…)`{}",
        listed(.registered)
    )]
    MissingState {
        /// The handler.
        handler: &'static str,
        /// Where it stands.
        at: SourceLocation,
        /// The type.
        state: &'static str,
        /// The types of those that are registered.
        registered: Vec<&'static str>,
    },
    /// Two handlers of one queue ask for different concurrency.
    #[error(
        "the handlers at {first_at} and {second_at} give the queue `{queue}` different \
         concurrency; \
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
    /// A queue that stores nothing and does not run here.
    #[error(
        "`{handler}` ({at}) does not run here, and its queue `{queue}` is configured as buffered: \
         no process would handle what is sent to it"
    )]
    BufferedElsewhere {
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
    #[error("{of} has {what} 0; it must be at least 1")]
    Zero {
        /// The queue or the handler that has it, in words.
        of: String,
        /// Which number.
        what: &'static str,
    },
    /// No codec, as the `json` feature is off and none was given.
    #[error(
        "there is no codec; turn the feature `json` on, or give the builder one with `.codec(…)`"
    )]
    NoCodec,
}

impl Problem {
    /// Its name, that of the variant, under which [`guide::errors`](crate::guide::errors) says what
    /// to do: `UnknownEndpoint`. It stands before the text in the list that a start prints.
    pub fn name(&self) -> String {
        // The derived form begins with the name of the variant, and knows each of them.
        let form = format!("{self:?}");
        form.chars().take_while(char::is_ascii_alphanumeric).collect()
    }
}

/// The name of a type without the modules before it.
fn last_segment(path: &str) -> &str {
    path.rsplit("::").next().unwrap_or(path)
}

/// The types may differ by little: an `Arc<Mailer>` is not an `Arc<dyn Mail>`.
fn listed(states: &[&str]) -> String {
    match states {
        [] => String::new(),
        states => format!(", of exactly this type; registered are `{}`", states.join("`, `")),
    }
}
