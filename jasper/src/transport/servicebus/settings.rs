//! How a [`ServiceBus`](super::ServiceBus) is configured, and what is wrong with an address under
//! it.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::RwLock;
use rustls::ClientConfig;
use rustls::pki_types::ServerName;

use super::credential::TokenCredential;
use super::namespace::{Access, Namespace};
use super::topology::{Queue, Subscription, Topic};
use crate::transport::declare::Declare;
use crate::transport::tls::Tls;
use crate::transport::{BrokerAddress, Deployment, EndpointUri, EnvelopeMapper, TransportError};

/// The name of the transport, under which a deployment gives its namespaces.
pub(super) const NAME: &str = "servicebus";

#[derive(Debug, Clone)]
pub(super) struct Settings {
    /// Those that the builder names; the usual one has the empty name.
    pub(super) brokers: BTreeMap<String, BrokerAddress>,
    pub(super) credential: Option<Arc<dyn TokenCredential>>,
    pub(super) tls: Option<Tls>,
    pub(super) allow_plaintext: bool,
    pub(super) declare: Declare,
    pub(super) prefix: String,
    /// By their names without the prefix, as topics and subscriptions are.
    pub(super) queues: BTreeMap<String, Queue>,
    pub(super) topics: BTreeMap<String, Topic>,
    /// By the topic and the name.
    pub(super) subscriptions: BTreeMap<(String, String), Subscription>,
    /// What reads and writes messages of other programs, by name.
    pub(super) mappers: BTreeMap<String, Arc<dyn EnvelopeMapper>>,
    /// The queue at which answers come back, if there is one; without the prefix.
    pub(super) reply_queue: Option<String>,
    pub(super) max_message: usize,
    /// How long a connection or a link may take.
    pub(super) patience: Duration,
    /// How long the broker may take to say what became of a message.
    pub(super) receipt: Duration,
    /// How long a request may lie in its queue.
    pub(super) pick_up: Duration,
    /// What the deployment says.
    pub(super) deployment: Arc<RwLock<Deployment>>,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            brokers: BTreeMap::new(),
            credential: None,
            tls: None,
            allow_plaintext: false,
            // The right to manage a namespace is not what an application usually has.
            declare: Declare::Never,
            prefix: String::new(),
            queues: BTreeMap::new(),
            topics: BTreeMap::new(),
            subscriptions: BTreeMap::new(),
            mappers: BTreeMap::new(),
            reply_queue: None,
            max_message: 100 * 1024 * 1024,
            patience: Duration::from_secs(10),
            receipt: Duration::from_secs(30),
            pick_up: Duration::from_secs(10),
            deployment: Arc::default(),
        }
    }
}

/// A namespace, and how it is talked to.
#[derive(Debug, Clone)]
pub(super) struct Reached {
    pub(super) namespace: Namespace,
    pub(super) credential: Option<Arc<dyn TokenCredential>>,
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

    /// A name with the prefix of this application, as the broker has it.
    pub(super) fn with_prefix(&self, name: &str) -> String {
        format!("{}{name}", self.prefix)
    }

    /// The queue of this name as the builder has it, or with nothing said of it, with its name at
    /// the broker.
    pub(super) fn queue(&self, name: &str) -> Queue {
        let known = self.queues.get(name).cloned();
        Queue { name: self.with_prefix(name), ..known.unwrap_or_else(|| Queue::new(name)) }
    }

    /// The same for a topic.
    pub(super) fn topic(&self, name: &str) -> Topic {
        let known = self.topics.get(name).cloned();
        Topic { name: self.with_prefix(name), ..known.unwrap_or_else(|| Topic::new(name)) }
    }

    /// The same for a subscription, whose name has no prefix beside that of its topic.
    pub(super) fn subscription(&self, topic: &str, name: &str) -> Subscription {
        let known = self.subscriptions.get(&(topic.to_owned(), name.to_owned())).cloned();
        let known = known.unwrap_or_else(|| Subscription::new(topic, name));
        Subscription { topic: self.with_prefix(topic), ..known }
    }

    /// The queue at which answers come back, as the broker calls it.
    pub(super) fn reply_queue_at_broker(&self) -> Option<String> {
        self.reply_queue.as_ref().map(|name| self.with_prefix(name))
    }

    /// The namespace of this name, if it is safe to talk to. What the deployment says goes first.
    pub(super) fn reached(&self, uri: &EndpointUri, name: &str) -> Result<Reached, TransportError> {
        let deployment = self.deployment.read();
        let deployed = deployment.brokers_of(NAME).find(|(key, _)| *key == name);
        let address = deployed.map(|(_, address)| address).or_else(|| self.brokers.get(name));
        let Some(address) = address else {
            return Err(unusable(uri, no_namespace(name)));
        };
        let wrong = |why: &str| unusable(uri, format!("{}: {why}", called(name)));
        let namespace: Namespace = address.expose().parse().map_err(wrong)?;
        let credential = match namespace.access {
            Access::Credential => Some(self.credential.clone().ok_or_else(|| {
                wrong(
                    "it has neither a key nor a token: take the connection string with one, or \
                     give the transport a `.credential(…)`",
                )
            })?),
            Access::Key { .. } | Access::Signature(_) => None,
        };
        let tls = self.checked(uri, &namespace)?;
        Ok(Reached { namespace, credential, tls })
    }

    /// How TLS is spoken with it, if it is.
    fn checked(
        &self,
        uri: &EndpointUri,
        namespace: &Namespace,
    ) -> Result<Option<(Arc<ClientConfig>, ServerName<'static>)>, TransportError> {
        if namespace.is_emulator {
            if namespace.is_loopback() || self.allow_plaintext {
                return Ok(None);
            }
            let why = format!(
                "messages would go to {namespace} in the clear, as an emulator has no TLS: run it \
                 on this machine, or, where something else protects the network, write \
                 `.allow_plaintext_beyond_loopback()`"
            );
            return Err(TransportError::Insecure { address: uri.to_string(), why });
        }
        let Some(tls) = &self.tls else {
            let why = format!("{namespace} takes TLS: give the transport `.tls(…)` with roots");
            return Err(unusable(uri, why));
        };
        let config = tls.dialling_since_1_2().map_err(|why| unusable(uri, why))?;
        let name = ServerName::try_from(namespace.host.clone()).map_err(|_error| {
            unusable(uri, format!("`{}` can be the name of no certificate", namespace.host))
        })?;
        Ok(Some((Arc::new(config), name)))
    }
}

fn called(name: &str) -> String {
    match name {
        "" => "the connection string of the namespace".to_owned(),
        name => format!("the connection string of the namespace `{name}`"),
    }
}

fn no_namespace(name: &str) -> String {
    let (key, variable) = match name {
        "" => (NAME.to_owned(), String::new()),
        name => {
            let variable = name.to_ascii_uppercase().replace('-', "_");
            (format!("{NAME}-{name}"), format!("_{variable}"))
        }
    };
    format!(
        "{} is not configured: set `JASPER_BROKER_SERVICEBUS{variable}` and use \
         `Config::from_env()`, write `{key} = \"Endpoint=sb://…\"` under `[brokers]` in the file \
         of the configuration, or give the builder a `ServiceBus` that knows it",
        called(name)
    )
}

pub(super) fn unusable(uri: &EndpointUri, why: impl Into<String>) -> TransportError {
    TransportError::Address { address: uri.to_string(), why: why.into() }
}
