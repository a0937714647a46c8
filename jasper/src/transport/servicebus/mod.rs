//! Over Azure Service Bus. [`guide::servicebus`](crate::guide::servicebus) is its page.

mod administration;
mod connection;
mod counts;
mod credential;
mod declare;
mod endpoint;
mod failure;
mod listen;
mod listen_options;
mod message;
mod namespace;
mod publisher;
mod requests;
mod routed_sender;
mod sender;
mod settings;
mod token;
mod topology;

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::{BoxFuture, join_all};
use parking_lot::Mutex;
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use self::connection::{BrokerConnection, Connections};
use self::declare::declare;
use self::endpoint::{ServiceBusEndpoint, several};
use self::listen::{Listening, Locks, ServiceBusListener};
use self::publisher::{LinkDialler, Publisher, live};
use self::requests::{Requester, Serving};
use self::routed_sender::RoutedSender;
use self::sender::ServiceBusSender;
use self::settings::{NAME, Settings};
use super::listener_state::ListenerState;
use super::{
    BrokerAddress, BrokerCounts, Capabilities, ConventionalPlace, Deployment, Direction,
    EndpointUri, EnvelopeMapper, Listener, Mode, Receiver, Scheme, Sender, Transport,
    TransportError, TransportInfo, TransportRegistration,
};

pub use self::credential::{AccessToken, CredentialError, ENTRA_SCOPE, TokenCredential};
pub use self::topology::{CorrelationFilter, Filter, Queue, Subscription, Topic};
pub use super::declare::Declare;
pub use super::tls::{Tls, TlsError};

const SCHEMES: &[Scheme] = &[Scheme { name: "asb", mode: Mode::Durable }];

/// The transport. Each value has connections of its own: one to send and one to listen, to each
/// namespace.
#[derive(Debug, Default)]
pub struct ServiceBus {
    settings: Settings,
    used: Used,
}

/// What the transport has opened so far.
#[derive(Debug, Default)]
struct Used {
    connections: Connections,
    /// By the address of the connection in memory, which lives as long as this map, and the entity.
    publishers: Mutex<HashMap<(usize, String), Arc<Publisher>>>,
    requesters: Mutex<HashMap<usize, Requester>>,
}

impl ServiceBus {
    /// With the namespaces that the deployment names.
    pub fn new() -> Self {
        Self::default()
    }

    /// With this namespace, by its connection string such as
    /// `Endpoint=sb://NAME.servicebus.windows.net/;SharedAccessKeyName=…;SharedAccessKey=…`, unless
    /// the deployment names another.
    pub fn at(connection_string: impl Into<BrokerAddress>) -> Self {
        Self::new().broker("", connection_string)
    }

    /// With another namespace, which addresses name with `?broker=name`.
    #[must_use]
    pub fn broker(
        self,
        name: impl Into<String>,
        connection_string: impl Into<BrokerAddress>,
    ) -> Self {
        self.with(|settings| {
            settings.brokers.insert(name.into(), connection_string.into());
        })
    }

    /// What gives tokens for namespaces whose connection string has neither a key nor a token.
    #[must_use]
    pub fn credential(self, credential: impl TokenCredential) -> Self {
        self.with(|settings| settings.credential = Some(Arc::new(credential)))
    }

    /// The roots by which a namespace is judged: those of the system, say. Versions 1.2 and 1.3 of
    /// TLS are spoken.
    #[must_use]
    pub fn tls(self, tls: Tls) -> Self {
        self.with(|settings| settings.tls = Some(tls))
    }

    /// Lets messages and tokens travel in the clear to an emulator on another machine, for everyone
    /// on the way to read and to change: only where something else protects the network.
    #[must_use]
    pub fn allow_plaintext_beyond_loopback(self) -> Self {
        self.with(|settings| settings.allow_plaintext = true)
    }

    /// What is done about queues, topics and subscriptions where an address does not say. Default:
    /// [`Declare::Never`], as it takes the right to manage the namespace.
    #[must_use]
    pub fn declare(self, declare: Declare) -> Self {
        self.with(|settings| settings.declare = declare)
    }

    /// Begins all names of queues and topics so, for a namespace that several share: those of
    /// addresses, of conventional routing, and of what the builder says of them.
    #[must_use]
    pub fn prefix(self, prefix: impl Into<String>) -> Self {
        self.with(|settings| settings.prefix = prefix.into())
    }

    /// How a queue is declared that endpoints name.
    #[must_use]
    pub fn queue(self, queue: Queue) -> Self {
        self.with(|settings| {
            settings.queues.insert(queue.name.clone(), queue);
        })
    }

    /// How a topic is declared that endpoints name.
    #[must_use]
    pub fn topic(self, topic: Topic) -> Self {
        self.with(|settings| {
            settings.topics.insert(topic.name.clone(), topic);
        })
    }

    /// How a subscription is declared that listeners name.
    #[must_use]
    pub fn subscription(self, subscription: Subscription) -> Self {
        self.with(|settings| {
            let key = (subscription.topic.clone(), subscription.name.clone());
            settings.subscriptions.insert(key, subscription);
        })
    }

    /// The queue by which the answers of requests come back. It has to have sessions, as each
    /// process has one there; who asks and who answers name the same queue.
    #[must_use]
    pub fn reply_queue(self, name: impl Into<String>) -> Self {
        self.with(|settings| settings.reply_queue = Some(name.into()))
    }

    /// How long a request may wait for a process that takes it, before its sender gives up.
    /// Default: 10 s. How long its handler may take is `Builder::reply_timeout`.
    #[must_use]
    pub fn pick_up_timeout(self, timeout: Duration) -> Self {
        self.with(|settings| settings.pick_up = timeout)
    }

    /// What turns messages of other programs into envelopes and back, where an address names it:
    /// `?mapper=legacy`.
    #[must_use]
    pub fn mapper(self, name: impl Into<String>, mapper: impl EnvelopeMapper) -> Self {
        self.with(|settings| {
            settings.mappers.insert(name.into(), Arc::new(mapper));
        })
    }

    /// The most bytes of one message with its properties; a larger one is refused. Default: what
    /// the broker says, and no more than 100 MiB.
    #[must_use]
    pub fn max_message(self, bytes: usize) -> Self {
        self.with(|settings| settings.max_message = bytes)
    }

    fn with(mut self, change: impl FnOnce(&mut Settings)) -> Self {
        change(&mut self.settings);
        Self { settings: self.settings, used: Used::default() }
    }

    /// The connection for this endpoint.
    fn connection(
        &self,
        uri: &EndpointUri,
        endpoint: &ServiceBusEndpoint,
        direction: Direction,
    ) -> Result<Arc<BrokerConnection>, TransportError> {
        let reached = self.settings.reached(uri, &endpoint.broker)?;
        Ok(self.used.connections.connection(&self.settings, reached, direction))
    }

    fn destination(
        &self,
        uri: &EndpointUri,
        direction: Direction,
    ) -> Result<ServiceBusEndpoint, TransportError> {
        match direction {
            Direction::Send => ServiceBusEndpoint::to_send(uri, &self.settings),
            Direction::Listen => ServiceBusEndpoint::to_listen(uri, &self.settings),
        }
    }

    /// The link to an entity, which all endpoints share that lead there.
    fn publisher(&self, connection: &Arc<BrokerConnection>, entity: String) -> Arc<Publisher> {
        let key = (Arc::as_ptr(connection) as usize, entity.clone());
        let mut publishers = self.used.publishers.lock();
        let publisher = publishers.entry(key).or_insert_with(|| {
            let (connection, patience) = (Arc::clone(connection), self.settings.patience);
            Publisher::new(LinkDialler { connection, entity, patience })
        });
        Arc::clone(publisher)
    }

    fn requester(&self, connection: &Arc<BrokerConnection>) -> Option<Requester> {
        let queue = self.settings.reply_queue_at_broker()?;
        let mut requesters = self.used.requesters.lock();
        let requester = requesters.entry(Arc::as_ptr(connection) as usize).or_insert_with(|| {
            let Settings { patience, pick_up, .. } = self.settings;
            Requester::new(Arc::clone(connection), queue, patience, pick_up)
        });
        Some(requester.clone())
    }

    /// Looks whether the entity is there and as it is to be. That the broker is away is no error
    /// here.
    async fn prepare_all(
        &self,
        uri: &EndpointUri,
        direction: Direction,
    ) -> Result<(), TransportError> {
        for uri in places(uri, direction) {
            self.prepare_one(&uri, direction).await?;
        }
        Ok(())
    }

    async fn prepare_one(
        &self,
        uri: &EndpointUri,
        direction: Direction,
    ) -> Result<(), TransportError> {
        let endpoint = self.destination(uri, direction)?;
        let address = uri.address.as_str();
        let connection = self.connection(uri, &endpoint, direction)?;
        let reached = self.settings.reached(uri, &endpoint.broker)?;
        let declared = declare(reached, address, &endpoint, self.settings.patience).await;
        let prepared = match (declared, direction) {
            (Err(error), _) => Err(error),
            (Ok(()), Direction::Send) => {
                let link = live(&self.publisher(&connection, endpoint.entity.path())).await;
                match link {
                    Err(error) if error.not_found().is_some() => {
                        // It may be made later; what is sent until then is refused.
                        tracing::warn!(address, "there is nothing of this name in the namespace");
                        Ok(())
                    }
                    link => link.map(drop).map_err(|error| error.not_sent(address)),
                }
            }
            (Ok(()), Direction::Listen) => match connection.get_or_connect().await {
                Ok(connected) => {
                    let checked = listen::check(&connected, &endpoint).await;
                    checked.map_err(|fault| endpoint.refused(address, fault))
                }
                Err(error) => Err(error.not_sent(address)),
            },
        };
        match prepared {
            Err(error @ TransportError::Unreachable { .. }) => {
                tracing::warn!(address, %error, "the broker is away; it is tried again");
                Ok(())
            }
            prepared => prepared,
        }
    }
}

impl Transport for ServiceBus {
    fn info(&self) -> TransportInfo {
        TransportInfo::new(NAME, SCHEMES, Capabilities::NONE.with_requests().with_order())
    }

    fn configure(&self, deployment: &Deployment) -> Result<(), TransportError> {
        *self.settings.deployment.write() = deployment.clone();
        Ok(())
    }

    fn check(&self, uri: &EndpointUri, direction: Direction) -> Result<(), TransportError> {
        for uri in places(uri, direction) {
            let endpoint = self.destination(&uri, direction)?;
            self.settings.reached(&uri, &endpoint.broker)?;
        }
        Ok(())
    }

    fn prepare<'a>(
        &'a self,
        endpoints: &'a [(EndpointUri, Direction)],
    ) -> BoxFuture<'a, Vec<(usize, TransportError)>> {
        Box::pin(async move {
            // At once, as a broker that does not answer keeps each of them waiting.
            let all = endpoints.iter().map(|(uri, direction)| self.prepare_all(uri, *direction));
            let all = join_all(all).await.into_iter().enumerate();
            all.filter_map(|(number, prepared)| Some((number, prepared.err()?))).collect()
        })
    }

    fn convention(&self, place: &ConventionalPlace<'_>) -> Option<String> {
        endpoint::conventional(place)
    }

    fn counts<'a>(
        &'a self,
        uri: &'a EndpointUri,
    ) -> BoxFuture<'a, Result<Option<BrokerCounts>, TransportError>> {
        Box::pin(async move {
            let (endpoint, address) =
                (self.destination(uri, Direction::Listen)?, uri.address.as_str());
            let reached = self.settings.reached(uri, &endpoint.broker)?;
            let counts = counts::counts(reached, address, &endpoint, self.settings.patience);
            let counts = counts.await?;
            if endpoint.listening.sessions.is_none() {
                return Ok(Some(counts));
            }
            let connection = self.connection(uri, &endpoint, Direction::Listen)?;
            let sessions = counts::sessions(&connection, address, &endpoint).await?;
            Ok(Some(counts.with_sessions(sessions)))
        })
    }

    fn sender(&self, uri: &EndpointUri) -> Result<Arc<dyn Sender>, TransportError> {
        if let Some(queues) = several(uri) {
            let sender = |(name, uri): (String, EndpointUri)| Ok((name, self.sender(&uri)?));
            let senders = queues.into_iter().map(sender).collect::<Result<_, _>>()?;
            return Ok(Arc::new(RoutedSender { address: uri.address.clone(), senders }));
        }
        let endpoint = self.destination(uri, Direction::Send)?;
        let connection = self.connection(uri, &endpoint, Direction::Send)?;
        Ok(Arc::new(ServiceBusSender {
            address: uri.address.clone(),
            mapper: self.settings.mapper(endpoint.mapper.as_deref()),
            publisher: self.publisher(&connection, endpoint.entity.path()),
            requester: self.requester(&connection),
            endpoint,
            max_message: self.settings.max_message,
            patience: self.settings.receipt,
            busy_until: Mutex::default(),
        }))
    }

    fn listen(
        &self,
        uri: EndpointUri,
        receiver: Arc<dyn Receiver>,
    ) -> BoxFuture<'_, Result<Box<dyn Listener>, TransportError>> {
        Box::pin(async move {
            let endpoint = self.destination(&uri, Direction::Listen)?;
            let replies = match self.settings.reply_queue_at_broker() {
                Some(queue) => {
                    let connection = self.connection(&uri, &endpoint, Direction::Send)?;
                    Some((queue.clone(), self.publisher(&connection, queue)))
                }
                None => None,
            };
            let connection = self.connection(&uri, &endpoint, Direction::Listen)?;
            let mapper = self.settings.mapper(endpoint.mapper.as_deref());
            let address = uri.address;
            let worker = || Listening {
                address: address.clone(),
                turns: turns(&*receiver, &endpoint),
                locks: Locks::new(address.clone(), Arc::clone(&connection), endpoint.path()),
                tasks: TaskTracker::new(),
                abort: CancellationToken::new(),
                connection: Arc::clone(&connection),
                mapper: mapper.clone(),
                endpoint: endpoint.clone(),
                serving: Serving::new(Arc::clone(&receiver), replies.clone()),
                receiver: Arc::clone(&receiver),
                stop: CancellationToken::new(),
                state: ListenerState::new(address.clone()),
            };
            let count = endpoint.listening.sessions.unwrap_or(1);
            let workers = (0..count).map(|_| worker()).collect();
            let listener = ServiceBusListener::start(address.clone(), workers).await?;
            Ok(Box::new(listener) as Box<dyn Listener>)
        })
    }
}

/// The places that an address names: one, but for a sender to several queues.
fn places(uri: &EndpointUri, direction: Direction) -> Vec<EndpointUri> {
    let queues = several(uri).filter(|_| direction == Direction::Send);
    match queues {
        Some(queues) => queues.into_iter().map(|(_, uri)| uri).collect(),
        None => vec![uri.clone()],
    }
}

/// How much is taken at the same time: one batch after the other, so that their order is kept; but
/// what is settled at the end of its handler waits for none of the others.
fn turns(receiver: &dyn Receiver, endpoint: &ServiceBusEndpoint) -> Arc<Semaphore> {
    let options = &endpoint.listening;
    let is_ordered = options.is_of_dead_letters || options.sessions.is_some();
    let is_inline = receiver.mode() == Mode::Inline && !is_ordered;
    Arc::new(Semaphore::new(if is_inline { endpoint.listening.prefetch as usize } else { 1 }))
}

inventory::submit! {
    TransportRegistration { make: || Arc::new(ServiceBus::new()) }
}
