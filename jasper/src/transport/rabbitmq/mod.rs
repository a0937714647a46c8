//! Over a RabbitMQ broker. [`guide::rabbitmq`](crate::guide::rabbitmq) is its page.

mod broker;
mod connection;
mod declare;
mod endpoint;
mod failure;
mod listen;
mod listen_options;
mod message;
mod publisher;
mod requests;
mod sender;
mod settings;
mod topology;

use std::collections::HashMap;
use std::sync::Arc;

use futures_util::future::{BoxFuture, join_all};
use lapin::options::QueuePurgeOptions;
use parking_lot::Mutex;
use tokio_util::sync::CancellationToken;

use self::connection::{BrokerConnection, Connected, Connections};
use self::declare::declare;
use self::endpoint::RabbitEndpoint;
use self::failure::{no_connection, not_sent};
use self::listen::{Listening, RabbitListener};
use self::publisher::Publisher;
use self::requests::Requester;
use self::sender::RabbitSender;
use self::settings::{NAME, Settings};
use self::topology::Binding;
use super::listener_state::ListenerState;
use super::{
    BrokerAddress, Capabilities, ConventionalPlace, Deployment, Direction, EndpointUri,
    EnvelopeMapper, Listener, Mode, Receiver, Scheme, Sender, Transport, TransportError,
    TransportInfo, TransportRegistration,
};

pub use self::topology::{Argument, Exchange, Queue};
pub use super::declare::Declare;
pub use super::tls::{Tls, TlsError};

const SCHEMES: &[Scheme] = &[Scheme { name: "rabbitmq", mode: Mode::Durable }];

/// The transport. Each value has connections of its own: one to send and one to listen, to each
/// broker.
#[derive(Debug, Default)]
pub struct RabbitMq {
    settings: Settings,
    used: Used,
}

/// What the transport has opened so far.
#[derive(Debug, Default)]
struct Used {
    connections: Connections,
    /// By the address of the connection in memory, which lives as long as this map.
    senders: Mutex<HashMap<usize, (Arc<Publisher>, Requester)>>,
}

impl RabbitMq {
    /// With the brokers that the deployment names.
    pub fn new() -> Self {
        Self::default()
    }

    /// With this broker, such as `amqp://user:password@host:port/virtual-host`, unless the
    /// deployment names another.
    pub fn at(address: impl Into<BrokerAddress>) -> Self {
        Self::new().broker("", address)
    }

    /// With another broker, which addresses name with `?broker=name`.
    #[must_use]
    pub fn broker(self, name: impl Into<String>, address: impl Into<BrokerAddress>) -> Self {
        self.with(|settings| {
            settings.brokers.insert(name.into(), address.into());
        })
    }

    /// The roots, and the certificate of this process, for brokers at `amqps://…`.
    #[must_use]
    pub fn tls(self, tls: Tls) -> Self {
        self.with(|settings| settings.tls = Some(tls))
    }

    /// Lets messages and the password travel in the clear between machines, for everyone on the way
    /// to read and to change: only where something else protects the network.
    #[must_use]
    pub fn allow_plaintext_beyond_loopback(self) -> Self {
        self.with(|settings| settings.allow_plaintext = true)
    }

    /// What is done about queues and exchanges where an address does not say. Default: what is
    /// missing is made.
    #[must_use]
    pub fn declare(self, declare: Declare) -> Self {
        self.with(|settings| settings.declare = declare)
    }

    /// Begins all names of queues and exchanges so, for a broker that several share.
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

    /// How an exchange is declared that endpoints name.
    #[must_use]
    pub fn exchange(self, exchange: Exchange) -> Self {
        self.with(|settings| {
            settings.exchanges.insert(exchange.name.clone(), exchange);
        })
    }

    /// What goes to this exchange with such a routing key goes on to this queue, wherever the queue
    /// is an endpoint.
    #[must_use]
    pub fn bind(self, exchange: &str, routing_key: &str, queue: &str) -> Self {
        let (exchange, key) = (exchange.to_owned(), routing_key.to_owned());
        let binding = Binding { exchange, key, queue: queue.to_owned() };
        self.with(|settings| settings.bindings.push(binding))
    }

    /// Empties a queue at each start, before it is listened to: for programs that are tried out.
    #[must_use]
    pub fn purge_on_start(self, queue: impl Into<String>) -> Self {
        self.with(|settings| {
            settings.purged.insert(queue.into());
        })
    }

    /// What turns messages of other programs into envelopes and back, where an address names it:
    /// `?mapper=legacy`.
    #[must_use]
    pub fn mapper(self, name: impl Into<String>, mapper: impl EnvelopeMapper) -> Self {
        self.with(|settings| {
            settings.mappers.insert(name.into(), Arc::new(mapper));
        })
    }

    /// The most bytes of one message; a larger one is refused. Default: 16 MiB.
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
        endpoint: &RabbitEndpoint,
        direction: Direction,
    ) -> Result<Arc<BrokerConnection>, TransportError> {
        let reached = self.settings.reached(uri, &endpoint.broker)?;
        Ok(self.used.connections.connection(&self.settings, reached, direction))
    }

    fn destination(
        &self,
        uri: &EndpointUri,
        direction: Direction,
    ) -> Result<RabbitEndpoint, TransportError> {
        match direction {
            Direction::Send => RabbitEndpoint::to_send(uri, &self.settings),
            Direction::Listen => RabbitEndpoint::to_listen(uri, &self.settings),
        }
    }

    fn senders(&self, connection: Arc<BrokerConnection>) -> (Arc<Publisher>, Requester) {
        let mut senders = self.used.senders.lock();
        let both = senders.entry(Arc::as_ptr(&connection) as usize).or_insert_with(|| {
            (
                Arc::new(Publisher::new(Arc::clone(&connection))),
                Requester::new(Arc::clone(&connection)),
            )
        });
        both.clone()
    }

    /// Empties the queue of a listener, if it is to be.
    async fn purge(
        &self,
        connected: &Connected,
        endpoint: &RabbitEndpoint,
    ) -> Result<(), TransportError> {
        let queue = endpoint.queue_name();
        let mut purged = self.settings.purged.iter().map(|name| self.settings.with_prefix(name));
        if !purged.any(|name| name == queue) {
            return Ok(());
        }
        let purging = async {
            let channel = connected.connection.create_channel().await?;
            channel.queue_purge(queue.into(), QueuePurgeOptions::default()).await
        };
        let purged = connected.unless_ended(purging).await;
        let count =
            purged.map_err(|error| not_sent(&format!("rabbitmq://queue/{queue}"), &error))?;
        tracing::info!(queue, count, "emptied at start");
        Ok(())
    }

    /// Declares what this endpoint needs. That the broker is away is no error here.
    async fn prepare_one(
        &self,
        uri: &EndpointUri,
        direction: Direction,
    ) -> Result<(), TransportError> {
        let endpoint = self.destination(uri, direction)?;
        let address = uri.address.as_str();
        let connected = self.connection(uri, &endpoint, direction)?.get_or_connect().await;
        let prepared = match connected {
            Ok(connected) => match declare(&connected, address, &endpoint).await {
                Ok(()) if direction == Direction::Listen => self.purge(&connected, &endpoint).await,
                declared => declared,
            },
            Err(error) => Err(no_connection(address, error)),
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

impl Transport for RabbitMq {
    fn info(&self) -> TransportInfo {
        TransportInfo::new(NAME, SCHEMES, Capabilities::NONE.with_requests().with_order())
    }

    fn configure(&self, deployment: &Deployment) -> Result<(), TransportError> {
        *self.settings.deployment.write() = deployment.clone();
        Ok(())
    }

    fn check(&self, uri: &EndpointUri, direction: Direction) -> Result<(), TransportError> {
        let endpoint = self.destination(uri, direction)?;
        self.settings.reached(uri, &endpoint.broker).map(drop)
    }

    fn prepare<'a>(
        &'a self,
        endpoints: &'a [(EndpointUri, Direction)],
    ) -> BoxFuture<'a, Vec<(usize, TransportError)>> {
        Box::pin(async move {
            // At once, as a broker that does not answer keeps each of them waiting.
            let all = endpoints.iter().map(|(uri, direction)| self.prepare_one(uri, *direction));
            let all = join_all(all).await.into_iter().enumerate();
            all.filter_map(|(number, prepared)| Some((number, prepared.err()?))).collect()
        })
    }

    fn convention(&self, place: &ConventionalPlace<'_>) -> Option<String> {
        Some(endpoint::conventional(place))
    }

    fn sender(&self, uri: &EndpointUri) -> Result<Arc<dyn Sender>, TransportError> {
        let endpoint = self.destination(uri, Direction::Send)?;
        let (publisher, requester) =
            self.senders(self.connection(uri, &endpoint, Direction::Send)?);
        Ok(Arc::new(RabbitSender {
            address: uri.address.clone(),
            mapper: self.settings.mapper(endpoint.mapper.as_deref()),
            endpoint,
            publisher,
            requester,
            max_message: self.settings.max_message,
            patience: self.settings.receipt,
            declared: Mutex::default(),
        }))
    }

    fn listen(
        &self,
        uri: EndpointUri,
        receiver: Arc<dyn Receiver>,
    ) -> BoxFuture<'_, Result<Box<dyn Listener>, TransportError>> {
        Box::pin(async move {
            let endpoint = self.destination(&uri, Direction::Listen)?;
            let (publisher, _) = self.senders(self.connection(&uri, &endpoint, Direction::Send)?);
            let listening = Listening {
                address: uri.address.clone(),
                connection: self.connection(&uri, &endpoint, Direction::Listen)?,
                mapper: self.settings.mapper(endpoint.mapper.as_deref()),
                endpoint,
                position: Mutex::default(),
                publisher,
                receiver,
                stop: CancellationToken::new(),
                state: ListenerState::new(uri.address.clone()),
            };
            Ok(Box::new(RabbitListener::start(listening).await?) as Box<dyn Listener>)
        })
    }
}

inventory::submit! {
    TransportRegistration { make: || Arc::new(RabbitMq::new()) }
}
