//! Putting an application together, checking it, and starting it.

use std::any::type_name;
use std::collections::{BTreeMap, HashMap};
use std::fmt;
use std::panic::Location;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::Notify;

use super::check::{Checked, Configured};
use super::config::Config;
use super::endpoint_config::{EndpointConfig, ResolvedEndpoints};
use super::prepare;
use super::queue_options::{QueueOptions, runs_here};
use super::settings::Settings;
use crate::codec::Codec;
use crate::error::{Error, Problem, StartupProblems};
use crate::handler::{HandlerRegistration, States};
#[cfg(feature = "testing")]
use crate::message::MessageType;
use crate::message::{Message, MessageRegistration, SourceLocation};
use crate::routing::Publishes;
use crate::runtime::application::Jasper;
use crate::runtime::claim::{pager, wakers};
use crate::runtime::core::{Core, Resources};
use crate::runtime::handle::consumer;
use crate::runtime::handle::entry::subscription;
use crate::runtime::handle::queue::{Queue, Waiting};
use crate::runtime::inbound::listeners::Listeners;
use crate::runtime::memory::budget::Budget;
use crate::runtime::outbound::{look, relay};
use crate::runtime::own::{comparison, purge, recovery, renewal, watchdog};
use crate::runtime::routes::Routes;
use crate::runtime::send::bus::BusRoot;
use crate::runtime::shutdown;
use crate::store::{self, MessageStore, Owner, Subscription};
use crate::transport::Transport;

/// Puts an application together. Start it with [`start`](Self::start).
#[must_use = "an application runs once it is started"]
pub struct Builder {
    settings: Settings,
    store: Option<Arc<dyn MessageStore>>,
    codec: Option<Arc<dyn Codec>>,
    pub(crate) states: States,
    endpoint_config: EndpointConfig,
    queues: BTreeMap<String, QueueOptions>,
    pub(crate) handlers: Vec<HandlerRegistration>,
    /// What was given as a handler, and is none.
    strangers: Vec<&'static str>,
    pub(crate) discover: bool,
    /// The commands whose handlers closures stand in for.
    #[cfg(feature = "testing")]
    pub(crate) faked: Vec<MessageType>,
    /// The package that puts the application together.
    package: &'static str,
}

impl Jasper {
    /// Begins to put an application together.
    #[track_caller]
    pub fn builder() -> Builder {
        Builder::new()
    }
}

type Receivers = Vec<(Arc<Queue>, Waiting)>;

impl Builder {
    #[track_caller]
    pub(crate) fn new() -> Self {
        #[cfg(feature = "json")]
        let codec: Option<Arc<dyn Codec>> = Some(Arc::new(crate::codec::Json));
        #[cfg(not(feature = "json"))]
        let codec = None;
        Self {
            settings: Settings::default(),
            store: None,
            codec,
            states: States::default(),
            endpoint_config: EndpointConfig::default(),
            queues: BTreeMap::new(),
            handlers: Vec::new(),
            strangers: Vec::new(),
            #[cfg(feature = "testing")]
            faked: Vec::new(),
            discover: true,
            package: SourceLocation { file: Location::caller().file(), line: 0 }.package(),
        }
    }

    /// The name of this service, written into every envelope as its source. Default: `jasper`.
    pub fn service(mut self, name: impl Into<String>) -> Self {
        self.settings.service = name.into();
        self
    }

    /// The message store. Without one, nothing outlives the process and durable handlers are
    /// refused.
    pub fn store(mut self, store: impl MessageStore) -> Self {
        self.store = Some(Arc::new(store));
        self
    }

    /// The encoding of all messages. Default: JSON, with the feature `json`.
    pub fn codec(mut self, codec: impl Codec) -> Self {
        self.codec = Some(Arc::new(codec));
        self
    }

    /// A value that handlers take as [`State<T>`](crate::State), in place of an earlier one of its
    /// type. An `Arc<T>` is found as `State<T>` too, and an `Arc<dyn Trait>` as `State<dyn Trait>`.
    pub fn state<T: Send + Sync + 'static>(mut self, state: T) -> Self {
        self.states.insert(state);
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
    pub fn endpoint(mut self, name: impl Into<String>, address: impl Into<String>) -> Self {
        self.endpoint_config.endpoints.insert(name.into(), address.into());
        self
    }

    /// Listens at this address for messages of other processes, such as `durable://0.0.0.0:5580`.
    ///
    /// With `?mode=durable` everything that comes is stored before it is acknowledged, with
    /// `?mode=inline` it is acknowledged when its handler is done. A port 0 is chosen by the
    /// system; [`Jasper::addresses`] tells.
    pub fn listen(mut self, address: impl Into<String>) -> Self {
        self.endpoint_config.listeners.push(address.into());
        self
    }

    /// Publishes events of this type to this endpoint of another process too, beside the handlers
    /// of this application.
    pub fn publish_to<M>(mut self, endpoint: impl Into<String>) -> Self
    where
        M: Message,
        M::Kind: Publishes<M>,
    {
        self.endpoint_config.publications.push((M::TYPE, endpoint.into()));
        self
    }

    /// States that this application never sends messages of this type.
    ///
    /// For a command with `to = "…"` that the program declares for others: its endpoint need not be
    /// configured here. Sent all the same, the message is refused with
    /// [`SendError::NeverSent`](crate::SendError::NeverSent). It may still be received and handled.
    pub fn never_sends<M: Message>(mut self) -> Self {
        self.endpoint_config.never_sent.insert(M::TYPE);
        self
    }

    /// A transport, instead of the one that this build has for its schemes.
    pub fn transport(mut self, transport: impl Transport) -> Self {
        self.endpoint_config.transports.push(Arc::new(transport));
        self
    }

    /// What the deployment says, which goes before what the builder is told and before what an
    /// earlier call has said.
    pub fn config(mut self, config: Config) -> Self {
        self.endpoint_config.config = config.or(std::mem::take(&mut self.endpoint_config.config));
        self
    }

    /// How long `Bus::invoke` waits for the reply of another process. Default: 30 s.
    pub const fn reply_timeout(mut self, timeout: Duration) -> Self {
        self.settings.reply_timeout = timeout;
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
        self.settings.memory_budget = bytes;
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
        self.settings.send_only = true;
        self
    }

    /// How a local queue works. What is set here goes before the attributes of its handlers.
    pub fn queue(mut self, name: impl Into<String>, options: QueueOptions) -> Self {
        self.queues.insert(name.into(), options);
        self
    }

    /// Takes this handler and no others than those given so, instead of all handlers of the
    /// program: `.handler(place_order)`, with the function that `#[handler]` stands above. What is
    /// sent to the other handlers is refused by `send`.
    ///
    /// For tests, and for programs that run one of several applications. Anything but a handler is
    /// a problem at start.
    pub fn handler<F: 'static>(mut self, function: F) -> Self {
        self.discover = false;
        match HandlerRegistration::of(function) {
            // Given twice it is still one.
            Some(given) if self.handlers.iter().any(|it| it.is_same(&given)) => {}
            Some(registration) => self.handlers.push(registration),
            None => self.strangers.push(type_name::<F>()),
        }
        self
    }

    /// How long a stop waits for running handlers. Default: 30 s.
    pub const fn drain_timeout(mut self, drain: Duration) -> Self {
        self.settings.drain = drain;
        self
    }

    /// How long one run of a handler may take where its attribute does not say. Default: 60 s.
    pub const fn handler_timeout(mut self, timeout: Duration) -> Self {
        self.settings.handler_timeout = timeout;
        self
    }

    /// How long this node is trusted after it was last heard of. Its work is recovered by others
    /// after that. Default: 10 s.
    pub fn lease(mut self, lease: Duration) -> Self {
        self.settings.lease = within(lease);
        self
    }

    /// How often the store is looked at when nothing else gives cause to. Default: 1 s.
    ///
    /// While it is empty it grows: up to fifteen times as long, at most 15 s, where the store gives
    /// word of what other processes write, and else up to three times, at most 3 s.
    pub fn poll_interval(mut self, poll: Duration) -> Self {
        self.settings.poll = within(poll);
        self
    }

    /// How long a stored message that no living node has a handler for waits for one, counted by
    /// each node from when it first finds the message; then it becomes an invalid message. Default:
    /// 10 minutes.
    ///
    /// It is the time that an upgrade of all nodes may take in which the first of them already
    /// sends what only they know.
    pub const fn keep_unknown(mut self, keep: Duration) -> Self {
        self.settings.keep_unknown = keep;
        self
    }

    /// All that would keep this application from starting; see also
    /// `jasper::testing::assert_routes!`.
    ///
    /// # Errors
    /// There are problems; all of them are listed.
    pub fn check(&self) -> Result<(), StartupProblems> {
        self.check_handlers(&self.registrations()).map(drop)
    }

    /// Checks the application, prepares the store, joins it as a node, and starts to handle
    /// messages; then it begins to listen.
    ///
    /// # Errors
    /// There are problems, all of which are listed; or the store cannot be used, or an address to
    /// listen at.
    pub async fn start(mut self) -> Result<Jasper, Error> {
        let handlers = self.registrations();
        let resolved = self.check_handlers(&handlers)?;
        prepare::prepare(&resolved).await?;
        self.settings.deploy(&self.endpoint_config.config);
        let owner = match &self.store {
            Some(store) => Some(join(&**store, &self.settings, self.takes(&handlers)).await?),
            None => None,
        };
        log_start(&self, &handlers);
        let (core, receivers) = self.build(&handlers, &resolved, owner)?;
        if let Some(store) = core.store().shared() {
            core.clock().read(&**store).await?;
        }
        spawn_tasks(&core, receivers);
        let specs = resolved.listeners.iter().map(|address| resolved.listener_spec(address));
        let specs = specs.collect::<Result<_, _>>();
        let specs = specs.map_err(|problem| StartupProblems::new(vec![problem]))?;
        match Listeners::start(&core, specs).await {
            Ok(listeners) => Ok(Jasper::new(core, listeners)),
            Err(error) => {
                shutdown::stop(&core, &Listeners::default()).await?;
                Err(error.into())
            }
        }
    }

    /// Whether no handler runs here, with what the deployment says.
    fn is_send_only(&self) -> bool {
        self.endpoint_config.config.send_only.unwrap_or(self.settings.send_only)
    }

    /// What the handlers that run here take, sorted.
    fn takes(&self, handlers: &[HandlerRegistration]) -> Vec<Subscription> {
        let send_only = self.settings.send_only;
        let here = handlers.iter().filter(|h| runs_here(self.queues.get(h.queue), send_only));
        let mut takes: Vec<_> = here.map(subscription).collect();
        takes.sort_unstable();
        takes
    }

    /// The handlers, sorted, as `inventory` gives them in no order.
    fn registrations(&self) -> Vec<HandlerRegistration> {
        let mut handlers = self.handlers.clone();
        if self.discover {
            handlers.extend(inventory::iter::<HandlerRegistration>().copied());
        }
        #[cfg(feature = "testing")]
        self.with_fakes(&mut handlers);
        handlers.sort_by_key(|handler| (handler.module, handler.name, handler.location));
        handlers
    }

    fn check_handlers(
        &self,
        handlers: &[HandlerRegistration],
    ) -> Result<ResolvedEndpoints, StartupProblems> {
        let all = messages();
        // Of an application that chooses its handlers, what it sends is looked at when it is sent.
        let taken = |m: &&MessageRegistration| {
            handlers.iter().any(|h| (h.message_type)() == m.message_type)
        };
        let messages = match self.discover {
            true => all.clone(),
            false => all.iter().copied().filter(taken).collect(),
        };
        let checked = Checked { messages: &messages, handlers };
        let config = &self.endpoint_config.config;
        let service = config.service.as_deref().unwrap_or(&self.settings.service);
        let resolved = self.endpoint_config.resolve(service, &messages, &all);
        let configured = Configured {
            resolved: &resolved,
            queues: &self.queues,
            send_only: self.is_send_only(),
            states: &self.states,
            store: self.store.as_ref().map(|store| store.info()),
            has_codec: self.codec.is_some(),
            package: self.package,
        };
        let mut problems = checked.declarations();
        let no_handler = |&function| Problem::NotAHandler { function };
        problems.extend(self.strangers.iter().map(no_handler));
        problems.extend(configured.against(&checked));
        match problems.is_empty() {
            true => Ok(resolved),
            false => Err(StartupProblems::new(problems)),
        }
    }

    fn build(
        self,
        handlers: &[HandlerRegistration],
        resolved: &ResolvedEndpoints,
        owner: Option<Owner>,
    ) -> Result<(Arc<Core>, Receivers), StartupProblems> {
        let no_codec = || StartupProblems::new(vec![Problem::NoCodec]);
        let codec = self.codec.clone().ok_or_else(no_codec)?;
        let budget = Budget::new(self.settings.memory_budget);
        let targets = resolved.targets(&budget)?;
        let publications = &resolved.publications;
        let routes = Routes::new(handlers, &self.queues, targets, publications, &self.settings)
            .never_sending(resolved.never_sent.clone());
        let wake = Arc::new(Notify::new());
        let mut queues = HashMap::new();
        let mut receivers = Receivers::new();
        for handler in handlers {
            let name = handler.queue;
            if queues.contains_key(name) {
                continue;
            }
            let (queue, receiver) = self.queue_named(name, handlers, &routes, &budget, &wake);
            let queue = Arc::new(queue);
            queues.insert(name, Arc::clone(&queue));
            // What does not run here is never put into memory.
            if !queue.takes.is_empty() {
                receivers.push((queue, receiver));
            }
        }
        let core = Arc::new_cyclic(|core| {
            let mut states = self.states;
            states.insert(BusRoot::new(core.clone()));
            let resources = Resources { codec, states };
            Core::new(self.settings, resources, routes.with_queues(queues), self.store, owner, wake)
        });
        Ok((core, receivers))
    }

    fn queue_named(
        &self,
        name: &'static str,
        handlers: &[HandlerRegistration],
        routes: &Routes,
        budget: &Arc<Budget>,
        wake: &Arc<Notify>,
    ) -> (Queue, Waiting) {
        let options = self.queues.get(name).cloned().unwrap_or_default();
        let said = handlers.iter().filter(|h| h.queue == name);
        // Runs that share a transaction have to be under way together.
        let shared = |h: &HandlerRegistration| h.share.and_then(|share| share.try_into().ok());
        let said = said.filter_map(|h| h.concurrency.or_else(|| shared(h))).max();
        let entries = routes.handlers().filter(|e| e.registration.queue == name && e.runs_here);
        let claims_count = entries.clone().all(|entry| entry.policy.attempts() > 1);
        let (mut queue, waiting) = Queue::new(
            entries.map(|entry| entry.subscription()).collect(),
            options.concurrency.or(said).unwrap_or(self.settings.concurrency),
            options.capacity.unwrap_or(self.settings.queue_capacity),
            budget,
            Arc::clone(wake),
        );
        queue.claims_count = claims_count;
        (queue, waiting)
    }
}

impl fmt::Debug for Builder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Builder").field("settings", &self.settings).finish_non_exhaustive()
    }
}

/// An interval of a task that repeats: neither a hot loop nor beyond what a clock can add.
fn within(interval: Duration) -> Duration {
    interval.clamp(Duration::from_millis(10), Duration::from_secs(24 * 60 * 60))
}

/// All message types of the program, sorted, as `inventory` gives them in no order.
fn messages() -> Vec<&'static MessageRegistration> {
    let mut messages: Vec<_> = inventory::iter::<MessageRegistration>().collect();
    messages.sort_by_key(|message| (&message.message_type, message.location));
    messages
}

async fn join(
    store: &dyn MessageStore,
    settings: &Settings,
    takes: Vec<Subscription>,
) -> Result<Owner, Error> {
    store.admin().prepare().await?;
    let node = store.nodes().join(&settings.service, settings.lease, &takes);
    Ok(node.await?.owner)
}

/// A handler that is missing here was dropped by the linker; see `jasper::handlers_of!`.
fn log_start(builder: &Builder, handlers: &[HandlerRegistration]) {
    let store = builder.store.as_ref().map_or("none", |s| s.info().name);
    let service = &builder.settings.service;
    let send_only = builder.settings.send_only;
    tracing::info!(service, store, handlers = handlers.len(), send_only, "starting");
    for handler in handlers {
        tracing::info!(
            handler = format_args!("{}::{}", handler.module, handler.name),
            message.type = %(handler.message_type)(),
            queue = handler.queue,
            durable = handler.durable,
            "handler"
        );
        note_pool(handler);
    }
}

/// What a handler does over a pool of the database is in no transaction of the handler's.
fn note_pool(handler: &HandlerRegistration) {
    let mut states = handler.requirements.iter().filter_map(|of| of());
    let pool = states.find(|state| store::is_pool(state.type_id));
    if let Some(pool) = pool
        && handler.durable
        && handler.connection.is_none()
    {
        tracing::warn!(
            handler = format_args!("{}::{}", handler.module, handler.name),
            at = %handler.location,
            "a durable handler takes `State<{}>` and no connection: what it writes over the pool \
             is not in its transaction; take the store's connection as `&mut`",
            pool.type_name
        );
    }
}

fn spawn_tasks(core: &Arc<Core>, receivers: Receivers) {
    for (queue, receiver) in receivers {
        let consume = consumer::consume(Arc::clone(core), queue, receiver);
        core.lifecycle().spawn(consume);
    }
    for endpoint in core.routes().endpoints() {
        let relay = relay::relay(Arc::clone(core), Arc::clone(endpoint));
        core.lifecycle().spawn(relay);
    }
    if let Some(store) = core.store().shared() {
        let both = || (Arc::clone(core), Arc::clone(store));
        let (of_core, of_store) = both();
        core.lifecycle().spawn(pager::page(of_core, of_store));
        let (of_core, of_store) = both();
        core.lifecycle().spawn(renewal::renew(of_core, of_store));
        if store.info().durable {
            watchdog::start(core, Arc::clone(store));
        }
        let (of_core, of_store) = both();
        core.lifecycle().spawn(recovery::recover(of_core, of_store, recovery::Left::Incoming));
        let (of_core, of_store) = both();
        core.lifecycle().spawn(recovery::recover(of_core, of_store, recovery::Left::Outgoing));
        let (of_core, of_store) = both();
        core.lifecycle().spawn(wakers::listen(of_core, of_store));
        let (of_core, of_store) = both();
        core.lifecycle().spawn(purge::purge(of_core, of_store));
        let (of_core, of_store) = both();
        core.lifecycle().spawn(look::look(of_core, of_store));
        let (of_core, of_store) = both();
        core.lifecycle().spawn(comparison::compare_outbox(of_core, of_store));
        core.lifecycle().spawn(wakers::look(Arc::clone(core)));
    }
}

/// The problems of the program's declarations, without an application around them.
#[cfg(feature = "testing")]
pub(crate) fn check_declarations() -> Vec<crate::error::Problem> {
    let handlers = Builder::new().registrations();
    let messages = messages();
    let checked = Checked { messages: &messages, handlers: &handlers };
    let mut problems = checked.declarations();
    messages.iter().for_each(|message| checked.subscriber(message, &mut problems));
    problems
}
