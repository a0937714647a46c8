//! The broker as tests hold it.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;

use tokio::net::TcpListener;
use tokio::task::{AbortHandle, JoinSet};

use super::address::{self, EntityName};
use super::connection;
use super::counts::Counts;
use super::faults::BrokerFaults;
use super::refusal::{NOT_FOUND, Refusal};
use super::rules::Filter;
use super::settings::EntitySettings;
use super::shared::{Command, Shared};
use super::shared_access::AccessKey;

/// In bytes, as in the standard tier.
const MAX_MESSAGE_SIZE: u64 = 262_144;

/// Why the broker could not do what a test asked for.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum BrokerError {
    /// The port cannot be listened on.
    #[error("cannot listen on {address}: {source}")]
    Bind {
        /// The address with the port.
        address: SocketAddr,
        /// What the system said.
        source: std::io::Error,
    },
    /// The entity is there already, or what it belongs to is missing.
    #[error("{0}")]
    Entity(String),
}

impl From<Refusal> for BrokerError {
    fn from(refusal: Refusal) -> Self {
        Self::Entity(refusal.description)
    }
}

/// Builds a [`Broker`].
#[derive(Debug)]
pub struct BrokerBuilder {
    port: u16,
    key: AccessKey,
    max_message_size: u64,
}

impl BrokerBuilder {
    /// The port on 127.0.0.1; any free one unless it is set.
    #[must_use]
    pub fn port(mut self, port: u16) -> Self {
        self.port = port;
        self
    }

    /// The name and the value of the one key; a random one unless it is set.
    #[must_use]
    pub fn key(mut self, name: impl Into<String>, key: impl Into<String>) -> Self {
        self.key = AccessKey { name: name.into(), key: key.into() };
        self
    }

    /// The largest message, in bytes; 262,144 unless it is set. A batch counts as one.
    #[must_use]
    pub fn max_message_size(mut self, max_message_size: u64) -> Self {
        self.max_message_size = max_message_size;
        self
    }

    /// Starts the broker. Not cancel safe: what has started ends again.
    ///
    /// # Errors
    ///
    /// [`BrokerError::Bind`] where the port is taken.
    pub async fn start(self) -> Result<Broker, BrokerError> {
        let address = SocketAddr::from((Ipv4Addr::LOCALHOST, self.port));
        let failed = |source| BrokerError::Bind { address, source };
        let listener = TcpListener::bind(address).await.map_err(failed)?;
        let address = listener.local_addr().map_err(failed)?;
        let shared = Arc::new(Shared::new(self.key, self.max_message_size));
        let accepting = tokio::spawn(accept(listener, Arc::clone(&shared))).abort_handle();
        let timing = tokio::spawn(keep_time(Arc::clone(&shared))).abort_handle();
        Ok(Broker { shared, address, tasks: [accepting, timing] })
    }
}

/// A running broker, which ends when it is dropped.
#[derive(Debug)]
pub struct Broker {
    shared: Arc<Shared>,
    address: SocketAddr,
    tasks: [AbortHandle; 2],
}

impl Broker {
    /// A broker without entities.
    #[must_use]
    pub fn builder() -> BrokerBuilder {
        BrokerBuilder { port: 0, key: AccessKey::random(), max_message_size: MAX_MESSAGE_SIZE }
    }

    /// Starts a broker on any free port, with a random key.
    ///
    /// # Errors
    ///
    /// [`BrokerError::Bind`] where there is no free port.
    pub async fn start() -> Result<Self, BrokerError> {
        Self::builder().start().await
    }

    /// What a client connects with. It says `UseDevelopmentEmulator=true`, so that clients take the
    /// port and leave TLS out.
    #[must_use]
    pub fn connection_string(&self) -> String {
        let AccessKey { name, key } = &self.shared.key;
        let endpoint = format!("Endpoint=sb://{};UseDevelopmentEmulator=true", self.address);
        format!("{endpoint};SharedAccessKeyName={name};SharedAccessKey={key}")
    }

    /// Where the broker listens.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// The name and the value of the key, which SASL PLAIN takes too.
    #[must_use]
    pub fn key(&self) -> (&str, &str) {
        (&self.shared.key.name, &self.shared.key.key)
    }

    /// Creates a queue.
    ///
    /// # Errors
    ///
    /// [`BrokerError::Entity`] where there is one of this name.
    pub fn create_queue(&self, name: &str, settings: EntitySettings) -> Result<(), BrokerError> {
        Ok(self.shared.state.lock().namespace.create_queue(name, settings)?)
    }

    /// Creates a topic. Of the settings, only duplicate detection counts.
    ///
    /// # Errors
    ///
    /// [`BrokerError::Entity`] where there is one of this name.
    pub fn create_topic(&self, name: &str, settings: EntitySettings) -> Result<(), BrokerError> {
        Ok(self.shared.state.lock().namespace.create_topic(name, settings)?)
    }

    /// Creates a subscription, with the rule `$Default`, which lets everything through. Its address
    /// is `TOPIC/Subscriptions/NAME`.
    ///
    /// # Errors
    ///
    /// [`BrokerError::Entity`] where there is one of this name, or no such topic.
    pub fn create_subscription(
        &self,
        topic: &str,
        name: &str,
        settings: EntitySettings,
    ) -> Result<(), BrokerError> {
        Ok(self.shared.state.lock().namespace.create_subscription(topic, name, settings)?)
    }

    /// Removes a queue, a topic with its subscriptions, or a subscription
    /// (`TOPIC/Subscriptions/NAME`), with the messages in it. The links to it are detached.
    ///
    /// # Errors
    ///
    /// [`BrokerError::Entity`] where there is none of this name.
    pub fn remove(&self, entity: &str) -> Result<(), BrokerError> {
        self.shared.state.lock().namespace.remove(entity)?;
        self.faults().detach_links(entity, NOT_FOUND, "The messaging entity was deleted.");
        Ok(())
    }

    /// Adds a rule to a subscription, beside those that it has.
    ///
    /// # Errors
    ///
    /// [`BrokerError::Entity`] where there is a rule of this name, or no such subscription.
    pub fn add_rule(
        &self,
        topic: &str,
        subscription: &str,
        rule: &str,
        filter: Filter,
    ) -> Result<(), BrokerError> {
        let name = EntityName::parse(&address::subscription(topic, subscription));
        Ok(self.shared.state.lock().namespace.add_rule(&name, rule, filter)?)
    }

    /// Removes a rule of a subscription, such as `$Default`.
    ///
    /// # Errors
    ///
    /// [`BrokerError::Entity`] where there is no such rule or subscription.
    pub fn remove_rule(
        &self,
        topic: &str,
        subscription: &str,
        rule: &str,
    ) -> Result<(), BrokerError> {
        let name = EntityName::parse(&address::subscription(topic, subscription));
        Ok(self.shared.state.lock().namespace.remove_rule(&name, rule)?)
    }

    /// The counts of a queue, a topic, a subscription (`TOPIC/Subscriptions/NAME`) or the dead
    /// letters of one (`NAME/$DeadLetterQueue`). All zero where there is none.
    #[must_use]
    pub fn counts(&self, entity: &str) -> Counts {
        let name = EntityName::parse(entity);
        self.shared.state.lock().namespace.counts(&name).unwrap_or_default()
    }

    /// Waits until the counts of an entity are so, and returns them. Cancel safe. Bound it by a
    /// timeout: it waits for as long as they are not.
    pub async fn wait_until(&self, entity: &str, is_so: impl Fn(&Counts) -> bool) -> Counts {
        let mut changed = self.shared.changed.subscribe();
        loop {
            let counts = self.counts(entity);
            // The sender lives as long as the broker.
            if is_so(&counts) || changed.changed().await.is_err() {
                return counts;
            }
        }
    }

    /// How many clients are connected.
    #[must_use]
    pub fn connections(&self) -> usize {
        self.shared.state.lock().connections.len()
    }

    /// Faults on demand.
    #[must_use]
    pub fn faults(&self) -> BrokerFaults<'_> {
        BrokerFaults { shared: &self.shared }
    }

    /// Cuts every connection, as a restart does. Messages and locks stay.
    pub fn restart(&self) {
        self.faults().cut_connections();
    }

    /// Cuts every connection and forgets every message; entities and rules stay.
    pub fn restart_empty(&self) {
        let mut state = self.shared.state.lock();
        state.command_all(&Command::Cut);
        state.namespace.forget_messages();
        drop(state);
        self.shared.wake_receivers();
    }
}

impl Drop for Broker {
    fn drop(&mut self) {
        for task in &self.tasks {
            task.abort();
        }
    }
}

async fn accept(listener: TcpListener, shared: Arc<Shared>) {
    // They end with this task.
    let mut connections = JoinSet::new();
    loop {
        match listener.accept().await {
            Ok((stream, _)) if !shared.state.lock().refuses_connections => {
                connections.spawn(connection::serve(stream, Arc::clone(&shared)));
            }
            Ok(_) => {}
            // Of one connection only: the next one may be better.
            Err(error) => tracing::debug!(%error, "a connection could not be accepted"),
        }
        while connections.try_join_next().is_some() {}
    }
}

/// Lets locks run out and scheduled messages in when their time has come.
async fn keep_time(shared: Arc<Shared>) {
    let mut changed = shared.changed.subscribe();
    loop {
        changed.mark_unchanged();
        let (has_changed, deadline) = {
            let now = shared.clock.now();
            let mut state = shared.state.lock();
            (state.namespace.advance(now), state.namespace.next_deadline())
        };
        if has_changed {
            shared.wake_receivers();
            continue;
        }
        let due = deadline.map(|at| shared.clock.instant(at));
        tokio::select! {
            outcome = changed.changed() => if outcome.is_err() {
                return;
            },
            () = connection::sleep_until(due) => {}
        }
    }
}
