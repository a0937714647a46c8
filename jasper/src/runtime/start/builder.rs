//! Putting an application together, checking it, and starting it.

use std::fmt;
use std::panic::Location;
use std::sync::Arc;
use std::time::Duration;

use super::assembly;
use super::config::Config;
use super::handler_options::HandlerOptions;
use super::parts::Parts;
use super::plan::StartPlan;
use super::provisioning::StorageProvisioning;
use super::queue_options::QueueOptions;
use crate::codec::Codec;
use crate::error::{Error, StartupProblems};
use crate::message::{Message, SourceLocation};
use crate::routing::Publishes;
use crate::runtime::application::Jasper;
use crate::store::MessageStore;
use crate::transport::Transport;

/// Puts an application together. Start it with [`start`](Self::start).
#[must_use = "an application runs once it is started"]
pub struct Builder {
    pub(crate) parts: Parts,
}

impl Jasper {
    /// Begins to put an application together.
    #[track_caller]
    pub fn builder() -> Builder {
        Builder::new()
    }
}

impl Builder {
    #[track_caller]
    pub(crate) fn new() -> Self {
        let package = SourceLocation { file: Location::caller().file(), line: 0 }.package();
        Self { parts: Parts::new(package) }
    }

    /// The name of this service, written into every envelope as its source. Default: `jasper`.
    pub fn service(mut self, name: impl Into<String>) -> Self {
        self.parts.settings.service = name.into();
        self
    }

    /// The message store. Without one, nothing outlives the process and durable handlers are
    /// refused.
    ///
    #[cfg_attr(feature = "sqlite", doc = "```no_run")]
    #[cfg_attr(not(feature = "sqlite"), doc = "```ignore")]
    /// # use jasper::prelude::*;
    /// # async fn start() -> Result<(), Box<dyn std::error::Error>> {
    /// let store = SqliteStore::open("shop.db").await?;
    /// let app = Jasper::builder().store(store).start().await?;
    /// # app.stop().await?;
    /// # Ok(())
    /// # }
    /// ```
    pub fn store(mut self, store: impl MessageStore) -> Self {
        self.parts.store = Some(Arc::new(store));
        self
    }

    /// What a start does with the schema of the store. Default: [`StorageProvisioning::Migrate`].
    ///
    /// ```no_run
    /// # async fn start(store: jasper::store::memory::MemoryStore) -> Result<(), jasper::Error> {
    /// use jasper::{Jasper, StorageProvisioning};
    ///
    /// let builder = Jasper::builder().store(store);
    /// let app = builder.storage_provisioning(StorageProvisioning::Check).start().await?;
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// The deployment may say [`Migrate`](StorageProvisioning::Migrate) or
    /// [`Check`](StorageProvisioning::Check), see [`Config::storage_provisioning`].
    pub const fn storage_provisioning(mut self, provisioning: StorageProvisioning) -> Self {
        self.parts.settings.provisioning = provisioning;
        self
    }

    /// The encoding of all messages. Default: JSON, with the feature `json`.
    pub fn codec(mut self, codec: impl Codec) -> Self {
        self.parts.codec = Some(Arc::new(codec));
        self
    }

    /// A value that handlers take as [`State<T>`](crate::State), in place of an earlier one of its
    /// type. An `Arc<T>` is found as `State<T>` too, and an `Arc<dyn Trait>` as `State<dyn Trait>`.
    ///
    /// ```
    /// use std::sync::Arc;
    ///
    /// trait Clock: Send + Sync {}
    /// struct SystemClock;
    /// impl Clock for SystemClock {}
    ///
    /// let clock: Arc<dyn Clock> = Arc::new(SystemClock); // handlers take `State<dyn Clock>`
    /// let builder = jasper::Jasper::builder().state(clock);
    /// # let _ = builder;
    /// ```
    pub fn state<T: Send + Sync + 'static>(mut self, state: T) -> Self {
        self.parts.states.insert(state);
        self
    }

    /// Where the endpoint name of `#[command(to = "…")]` leads: to a queue of this application,
    /// such as `local://shipping`, or to another process, such as
    /// `durable://shipping.internal:5580`.
    ///
    /// The address of another process may have options: `?mode=durable`, `buffered` or `inline`,
    /// where its scheme is not to decide; `order=strict`; `capacity`, the most messages in memory;
    /// `batch`, the most in one batch; and `linger`, how long the oldest may wait for others to go
    /// with it, such as `5ms`.
    ///
    /// ```
    /// let builder = jasper::Jasper::builder()
    ///     .endpoint("billing", "local://billing")
    ///     .endpoint("shipping", "durable://shipping.internal:5580?order=strict&batch=100");
    /// # let _ = builder;
    /// ```
    pub fn endpoint(mut self, name: impl Into<String>, address: impl Into<String>) -> Self {
        self.parts.endpoint_config.endpoints.insert(name.into(), address.into());
        self
    }

    /// Listens at this address for messages of other processes, such as `durable://0.0.0.0:5580`.
    ///
    /// With `?mode=durable` everything that comes is stored before it is acknowledged, with
    /// `?mode=inline` it is acknowledged when its handler is done. A port 0 is chosen by the
    /// system; [`Jasper::addresses`] has it.
    ///
    #[cfg_attr(feature = "tcp", doc = "```no_run")]
    #[cfg_attr(not(feature = "tcp"), doc = "```ignore")]
    /// # use jasper::prelude::*;
    /// # async fn start(store: jasper::store::memory::MemoryStore) -> Result<(), jasper::Error> {
    /// let app = Jasper::builder().store(store).listen("durable://0.0.0.0:5580").start().await?;
    /// println!("listening at {}", app.addresses()[0]);
    /// # Ok(())
    /// # }
    /// ```
    pub fn listen(mut self, address: impl Into<String>) -> Self {
        self.parts.endpoint_config.listeners.push(address.into());
        self
    }

    /// Publishes events of this type to this endpoint of another process too, beside the handlers
    /// of this application.
    ///
    /// ```standalone_crate
    /// # use jasper::prelude::*;
    /// #[derive(Event, serde::Serialize, serde::Deserialize)]
    /// struct OrderPlaced {
    ///     id: i64,
    /// }
    ///
    /// let builder = Jasper::builder()
    ///     .endpoint("reports", "durable://reports.internal:5580")
    ///     .publish_to::<OrderPlaced>("reports");
    /// # let _ = builder;
    /// ```
    pub fn publish_to<M>(mut self, endpoint: impl Into<String>) -> Self
    where
        M: Message,
        M::Kind: Publishes<M>,
    {
        self.parts.endpoint_config.publications.push((M::TYPE, endpoint.into()));
        self
    }

    /// Routes by the types of messages alone over this transport, such as `rabbitmq`: a queue for
    /// each command with `to = "…"`, and an exchange for each event.
    ///
    /// An endpoint of `to = "…"` that is not configured leads to the queues of its commands, unless
    /// they are handled here; commands with `to` that are handled here are listened for. An event
    /// that no handler here takes is published to all other services; one that a handler takes is
    /// listened for, and published to no others, unless [`publish_to`](Self::publish_to) names
    /// it: then it is published there and not listened for. What is configured goes first, and a
    /// deployment that says where to listen says it in place of [`listen`](Self::listen) only.
    ///
    /// The service needs a [name](Self::service), by which its processes share their queues.
    pub fn conventional_routing(mut self, transport: impl Into<String>) -> Self {
        self.parts.endpoint_config.conventional = Some(transport.into());
        self
    }

    /// States that this application never sends messages of this type.
    ///
    /// For a command with `to = "…"` that the program declares for others: its endpoint need not be
    /// configured here. Sent all the same, the message is refused with
    /// [`SendError::NeverSent`](crate::SendError::NeverSent). It may still be received and handled.
    pub fn never_sends<M: Message>(mut self) -> Self {
        self.parts.endpoint_config.never_sent.insert(M::TYPE);
        self
    }

    /// A transport, instead of the one that this build has for its schemes.
    pub fn transport(mut self, transport: impl Transport) -> Self {
        self.parts.endpoint_config.transports.push(Arc::new(transport));
        self
    }

    /// What the deployment says, which goes before what the builder's methods set and before what
    /// an earlier call has said.
    ///
    #[cfg_attr(feature = "toml", doc = "```no_run")]
    #[cfg_attr(not(feature = "toml"), doc = "```ignore")]
    /// # use jasper::prelude::*;
    /// # fn build() -> Result<(), Box<dyn std::error::Error>> {
    /// let builder = Jasper::builder()
    ///     .config(jasper::Config::from_file("shop.toml")?)
    ///     .config(jasper::Config::from_env());
    /// # let _ = builder;
    /// # Ok(())
    /// # }
    /// ```
    pub fn config(mut self, config: Config) -> Self {
        self.parts.endpoint_config.config =
            config.or(std::mem::take(&mut self.parts.endpoint_config.config));
        self
    }

    /// How long `Bus::invoke` waits for the reply of another process. Default: 30 s.
    pub const fn reply_timeout(mut self, timeout: Duration) -> Self {
        self.parts.settings.timeouts.reply = timeout;
        self
    }

    /// How many bytes of messages this process may hold in memory, over all queues and endpoints.
    /// Default: 256 MiB. The deployment may say it, see [`Config::memory_budget`].
    ///
    /// Beyond that stored messages wait in the store, and senders of messages that are not stored
    /// wait, as they do where a queue is full. No queue and no endpoint takes more than it leaves
    /// free for the others, which is half of all for one alone; but each may hold one message,
    /// however large. Counted beyond the budget, and not kept waiting, are messages that a running
    /// handler sends to queues that are not stored, and requests to other processes.
    ///
    /// Not counted: what handlers have decoded, what a transport is about to read or write (see its
    /// options), and messages of a durable handler until its commit.
    pub const fn memory_budget(mut self, bytes: usize) -> Self {
        self.parts.settings.memory.budget = bytes;
        self
    }

    /// A process that only sends, such as a web server or a command-line tool beside workers: the
    /// handlers of the program are known as routes, and none of them runs here. The deployment may
    /// say it, see [`Config::send_only`].
    ///
    /// What is sent to them is stored, for the processes on the same store that run them, so it
    /// needs a store and has no buffered queues; states for its handlers need not be registered.
    /// The process claims nothing, and takes part in nothing but its own lease, the recovery of
    /// what nodes that are gone have left, and what it sends to other processes itself: endpoints
    /// work as everywhere, and a listener stores what comes. `bus.invoke` still runs a handler in
    /// the task that calls it.
    pub const fn send_only(mut self) -> Self {
        self.parts.settings.send_only = true;
        self
    }

    /// How a local queue works. What is set here goes before the attributes of its handlers.
    pub fn queue(mut self, name: impl Into<String>, options: QueueOptions) -> Self {
        self.parts.handling.queues.insert(name.into(), options);
        self
    }

    /// How a handler runs: `.handler_options(place_order, HandlerOptions::new().attempts(10))`, for
    /// the function under `#[handler]`. What is set here goes before its attributes
    /// and before its queue's options; what the deployment says goes before both, see
    /// [`Config::handlers`].
    ///
    /// Anything but a handler is a problem at start.
    pub fn handler_options<F: 'static>(mut self, function: F, options: HandlerOptions) -> Self {
        if let Some(handler) = self.parts.selection.find(function) {
            let entry = self.parts.handling.handlers.entry((handler.function)()).or_default();
            *entry = options.or(std::mem::take(entry));
        }
        self
    }

    /// Takes this handler and no others than those given so, instead of all handlers of the
    /// program: `.handler(place_order)`, with the function that `#[handler]` stands above. What is
    /// sent to the other handlers is refused by `send`.
    ///
    /// For tests, and for programs that run one of several applications. Anything but a handler is
    /// a problem at start.
    ///
    /// ```standalone_crate
    /// # use jasper::prelude::*;
    /// # #[derive(Command, serde::Serialize, serde::Deserialize)]
    /// # struct PlaceOrder { id: i64 }
    /// # #[handler]
    /// # async fn place_order(_cmd: PlaceOrder) {}
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), jasper::Error> {
    /// let app = Jasper::builder().handler(place_order).start().await?;
    /// # app.stop().await
    /// # }
    /// ```
    pub fn handler<F: 'static>(mut self, function: F) -> Self {
        self.parts.selection.choose(function);
        self
    }

    /// How long a stop waits for running handlers. Default: 30 s.
    pub const fn drain_timeout(mut self, drain: Duration) -> Self {
        self.parts.settings.timeouts.drain = drain;
        self
    }

    /// How long one run of a handler may take where its attribute does not say. Default: 60 s.
    pub const fn handler_timeout(mut self, timeout: Duration) -> Self {
        self.parts.settings.timeouts.handler = timeout;
        self
    }

    /// How long this node is trusted after it last renewed its lease. Other nodes recover its
    /// work after that. Default: 10 s.
    pub fn lease(mut self, lease: Duration) -> Self {
        self.parts.settings.lease = within(lease);
        self
    }

    /// How often the store is looked at when nothing else gives cause to. Default: 1 s.
    ///
    /// While it is empty it grows: up to fifteen times as long, at most 15 s, where the store
    /// notifies of what other processes write, and else up to three times, at most 3 s.
    pub fn poll_interval(mut self, poll: Duration) -> Self {
        self.parts.settings.poll = within(poll);
        self
    }

    /// How long a stored message that no living node has a handler for waits for one, counted by
    /// each node from when it first finds the message; then it becomes an invalid message. Default:
    /// 10 minutes.
    ///
    /// It is the time that an upgrade of all nodes may take in which the first of them already
    /// sends what only they know.
    pub const fn unhandled_timeout(mut self, timeout: Duration) -> Self {
        self.parts.settings.unhandled_timeout = timeout;
        self
    }

    /// All that would keep this application from starting; see also
    /// `jasper::testing::assert_routes!`.
    ///
    /// # Errors
    /// There are problems; all of them are listed.
    pub fn check(&self) -> Result<(), StartupProblems> {
        StartPlan::of(&self.parts).map(drop)
    }

    /// Checks the application, prepares the store, joins it as a node, and starts to handle
    /// messages; then it begins to listen. A store that is busy or slow for a moment is asked up to
    /// five times, within eight seconds.
    ///
    /// # Errors
    /// There are problems, all of which are listed ([`Error::Startup`]); the store cannot be used
    /// ([`Error::Store`]); or an address cannot be listened at ([`Error::Transport`]), and what has
    /// started by then is stopped.
    ///
    /// # Cancel safety
    /// Dropped before it returns, nothing runs; the node may have joined the store, and its lease
    /// runs out there.
    pub async fn start(self) -> Result<Jasper, Error> {
        let plan = StartPlan::of(&self.parts)?;
        let (core, listeners) = assembly::start(self.parts, plan).await?;
        Ok(Jasper::new(core, listeners))
    }
}

impl fmt::Debug for Builder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Builder").field("settings", &self.parts.settings).finish_non_exhaustive()
    }
}

/// An interval of a task that repeats: neither a hot loop nor beyond what a clock can add.
fn within(interval: Duration) -> Duration {
    interval.clamp(Duration::from_millis(10), Duration::from_secs(24 * 60 * 60))
}
