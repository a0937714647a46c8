//! How a [`RabbitMq`](super::RabbitMq) is configured, and what is wrong with an address under it.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use parking_lot::RwLock;
use rustls::ClientConfig;
use rustls::pki_types::ServerName;

use super::broker::Broker;
use super::topology::{Binding, DeadLettersTo, Exchange, Queue, Topology};
use crate::transport::declare::Declare;
use crate::transport::tls::Tls;
use crate::transport::{BrokerAddress, Deployment, EndpointUri, EnvelopeMapper, TransportError};

/// The name of the transport, under which a deployment gives its brokers.
pub(super) const NAME: &str = "rabbitmq";

#[derive(Debug, Clone)]
pub(super) struct Settings {
    /// Those that the builder is told of; the usual one has the empty name.
    pub(super) brokers: BTreeMap<String, BrokerAddress>,
    pub(super) tls: Option<Tls>,
    pub(super) allow_plaintext: bool,
    pub(super) declare: Declare,
    pub(super) prefix: String,
    pub(super) queues: BTreeMap<String, Queue>,
    pub(super) exchanges: BTreeMap<String, Exchange>,
    pub(super) bindings: Vec<Binding>,
    /// What reads and writes messages of other programs, by name.
    pub(super) mappers: BTreeMap<String, Arc<dyn EnvelopeMapper>>,
    /// The queues that are emptied at start.
    pub(super) purged: BTreeSet<String>,
    pub(super) max_message: usize,
    /// How long a connection may take.
    pub(super) patience: Duration,
    /// How long the broker may take to confirm.
    pub(super) receipt: Duration,
    /// What the deployment says.
    pub(super) deployment: Arc<RwLock<Deployment>>,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            brokers: BTreeMap::new(),
            tls: None,
            allow_plaintext: false,
            declare: Declare::default(),
            prefix: String::new(),
            queues: BTreeMap::new(),
            exchanges: BTreeMap::new(),
            bindings: Vec::new(),
            mappers: BTreeMap::new(),
            purged: BTreeSet::new(),
            max_message: 16 * 1024 * 1024,
            patience: Duration::from_secs(10),
            receipt: Duration::from_secs(30),
            deployment: Arc::default(),
        }
    }
}

/// A broker, and how TLS is spoken with it.
#[derive(Debug, Clone)]
pub(super) struct Reached {
    pub(super) broker: Broker,
    pub(super) tls: Option<(Arc<ClientConfig>, ServerName<'static>)>,
}

impl Settings {
    /// The name of the service.
    pub(super) fn service(&self) -> String {
        self.deployment.read().service.clone()
    }

    /// The mapper that an address names.
    pub(super) fn mapper(&self, name: Option<&str>) -> Option<Arc<dyn EnvelopeMapper>> {
        self.mappers.get(name?).cloned()
    }

    /// The broker of this name, if it is safe to talk to. What the deployment says goes first.
    pub(super) fn reached(&self, uri: &EndpointUri, name: &str) -> Result<Reached, TransportError> {
        let deployment = self.deployment.read();
        let deployed = deployment.brokers_of(NAME).find(|(key, _)| *key == name);
        let address = deployed.map(|(_, address)| address).or_else(|| self.brokers.get(name));
        let Some(address) = address else {
            return Err(unusable(uri, no_broker(name)));
        };
        let wrong = |why: &str| unusable(uri, format!("{}: {why}", called(name)));
        let broker: Broker = address.expose().parse().map_err(wrong)?;
        self.checked(uri, broker)
    }

    fn checked(&self, uri: &EndpointUri, broker: Broker) -> Result<Reached, TransportError> {
        if !broker.is_under_tls() {
            if broker.is_loopback() || self.allow_plaintext {
                return Ok(Reached { broker, tls: None });
            }
            let why = format!(
                "messages would go to {broker} in the clear: write `amqps://…` and give the \
                 transport `.tls(…)`, or, where something else protects the network, \
                 `.allow_plaintext_beyond_loopback()`"
            );
            return Err(TransportError::Insecure { address: uri.to_string(), why });
        }
        let Some(tls) = &self.tls else {
            return Err(unusable(uri, format!("{broker} takes TLS: give the transport `.tls(…)`")));
        };
        let config = tls.dialling().map_err(|why| unusable(uri, why))?;
        let name = ServerName::try_from(broker.host().to_owned());
        let name = name.map_err(|_error| {
            unusable(uri, format!("`{}` can be the name of no certificate", broker.host()))
        })?;
        Ok(Reached { broker, tls: Some((Arc::new(config), name)) })
    }

    /// A name with the prefix of this application, where the broker is not the one that gives it.
    pub(super) fn with_prefix(&self, name: &str) -> String {
        if name.starts_with("amq.") { name.to_owned() } else { format!("{}{name}", self.prefix) }
    }

    pub(super) fn prefixed(&self, binding: &Binding) -> Binding {
        Binding {
            exchange: self.with_prefix(&binding.exchange),
            key: binding.key.clone(),
            queue: self.with_prefix(&binding.queue),
        }
    }

    /// The exchange of this name, prefix included: as the builder has it, or of topics.
    pub(super) fn exchange(&self, prefixed: &str) -> Exchange {
        let mut known = self.exchanges.values();
        let known = known.find(|known| self.with_prefix(&known.name) == prefixed);
        let known = known.cloned().unwrap_or_else(|| Exchange::topic(prefixed));
        Exchange { name: prefixed.to_owned(), ..known }
    }
}

impl Settings {
    /// The queue of this name as the builder has it, if it does, with names as they are at the
    /// broker.
    pub(super) fn known_queue(&self, name: &str) -> Option<Queue> {
        self.queues.get(name).map(|queue| self.at_broker(queue.clone()))
    }

    /// This queue with names as they are at the broker.
    pub(super) fn at_broker(&self, queue: Queue) -> Queue {
        let dead_letters = queue.dead_letters.map(|DeadLettersTo { exchange, key }| {
            if exchange.is_empty() {
                return DeadLettersTo { exchange, key: self.with_prefix(&key) };
            }
            DeadLettersTo { exchange: self.with_prefix(&exchange), key }
        });
        Queue { name: self.with_prefix(&queue.name), dead_letters, ..queue }
    }

    /// With what the dead letters of these queues need.
    pub(super) fn with_dead_letters(&self, topology: Topology) -> Topology {
        let mut whole = Topology { queues: Vec::new(), ..topology };
        let mut left = topology.queues;
        while let Some(queue) = left.pop() {
            if whole.queues.iter().any(|known| known.name == queue.name) {
                continue;
            }
            match &queue.dead_letters {
                Some(to) if to.exchange.is_empty() => left.push(self.queue_at_broker(&to.key)),
                Some(to) => {
                    whole.exchanges.push(self.exchange(&to.exchange));
                    let bindings = self.bindings.iter().map(|binding| self.prefixed(binding));
                    for binding in bindings.filter(|binding| binding.exchange == to.exchange) {
                        left.push(self.queue_at_broker(&binding.queue));
                        whole.bindings.push(binding);
                    }
                }
                None => {}
            }
            whole.queues.push(queue.with_arguments_of_dead_letters());
        }
        whole
    }

    /// The queue that is called so at the broker: as the builder has it, or a quorum queue.
    fn queue_at_broker(&self, prefixed: &str) -> Queue {
        let mut known = self.queues.values();
        let known = known.find(|known| self.with_prefix(&known.name) == prefixed);
        match known {
            Some(known) => self.at_broker(known.clone()),
            None => Queue::quorum(prefixed),
        }
    }
}

fn called(name: &str) -> String {
    match name {
        "" => "the address of the broker".to_owned(),
        name => format!("the address of the broker `{name}`"),
    }
}

fn no_broker(name: &str) -> String {
    let (key, variable) = match name {
        "" => (NAME.to_owned(), String::new()),
        name => {
            let variable = name.to_ascii_uppercase().replace('-', "_");
            (format!("{NAME}-{name}"), format!("_{variable}"))
        }
    };
    format!(
        "{} is not configured: set `JASPER_BROKER_RABBITMQ{variable}` and use \
         `Config::from_env()`, write `{key} = \"amqp://…\"` under `[brokers]` in the file of the \
         configuration, or give the builder a `RabbitMq` that knows it",
        called(name)
    )
}

pub(super) fn unusable(uri: &EndpointUri, why: impl Into<String>) -> TransportError {
    TransportError::Address { address: uri.to_string(), why: why.into() }
}
