//! The broker as tests hold it.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use tokio::task::AbortHandle;

use super::address::{self, EntityName};
use super::broker_error::BrokerError;
use super::connection;
use super::counts::Counts;
use super::door::{Door, Protocol, accept, acceptor, bind};
use super::faults::BrokerFaults;
use super::rules::Filter;
use super::settings::EntitySettings;
use super::shared::{Command, Shared};
use super::shared_access::AccessKey;

/// In bytes, as in the standard tier.
const MAX_MESSAGE_SIZE: u64 = 262_144;

/// Builds a [`Broker`].
#[derive(Debug)]
pub struct BrokerBuilder {
    port: u16,
    key: AccessKey,
    max_message_size: u64,
    certificate: Option<(Vec<u8>, Vec<u8>)>,
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

    /// Speaks TLS, with this chain of certificates and their key in PEM. Clients have to call the
    /// broker by a name of the certificate: see [`Broker::connection_string_of`].
    #[must_use]
    pub fn certificate_pem(mut self, chain: &[u8], key: &[u8]) -> Self {
        self.certificate = Some((chain.to_vec(), key.to_vec()));
        self
    }

    /// Starts the broker. Not cancel safe: what has started ends again.
    ///
    /// # Errors
    ///
    /// [`BrokerError::Bind`] where the port is taken, [`BrokerError::Certificate`] where the
    /// certificate cannot be used.
    pub async fn start(self) -> Result<Broker, BrokerError> {
        let tls = match &self.certificate {
            Some((chain, key)) => Some(acceptor(chain, key).map_err(BrokerError::Certificate)?),
            None => None,
        };
        let (listener, address) = bind(self.port).await?;
        let (administered, administration) = bind(0).await?;
        let shared = Arc::new(Shared::new(self.key, self.max_message_size));
        let doors = [(listener, Protocol::Amqp), (administered, Protocol::Http)];
        let [messages, administrators] = doors.map(|(listener, protocol)| {
            let door = Door { protocol, tls: tls.clone(), shared: Arc::clone(&shared) };
            tokio::spawn(accept(listener, door)).abort_handle()
        });
        let timing = tokio::spawn(keep_time(Arc::clone(&shared))).abort_handle();
        let tasks = [messages, administrators, timing];
        Ok(Broker { shared, address, administration, is_under_tls: tls.is_some(), tasks })
    }
}

/// A running broker, which ends when it is dropped.
#[derive(Debug)]
pub struct Broker {
    shared: Arc<Shared>,
    address: SocketAddr,
    administration: SocketAddr,
    is_under_tls: bool,
    tasks: [AbortHandle; 3],
}

impl Broker {
    /// A broker without entities.
    #[must_use]
    pub fn builder() -> BrokerBuilder {
        let (key, max_message_size) = (AccessKey::random(), MAX_MESSAGE_SIZE);
        BrokerBuilder { port: 0, key, max_message_size, certificate: None }
    }

    /// Starts a broker on any free port, with a random key.
    ///
    /// # Errors
    ///
    /// [`BrokerError::Bind`] where there is no free port.
    pub async fn start() -> Result<Self, BrokerError> {
        Self::builder().start().await
    }

    /// What a client connects with. Without TLS it says `UseDevelopmentEmulator=true`, so that
    /// clients take the port and leave TLS out. `ManagementPort` is for jasper, and others do not
    /// look at it.
    #[must_use]
    pub fn connection_string(&self) -> String {
        self.connection_string_of("127.0.0.1")
    }

    /// The same by another name of this machine, such as `localhost`.
    #[must_use]
    pub fn connection_string_of(&self, host: &str) -> String {
        let management = self.administration.port();
        format!("{};ManagementPort={management}", self.string(host, self.address.port()))
    }

    /// The same for AMQP through a WebSocket.
    #[must_use]
    pub fn web_socket_connection_string(&self, host: &str) -> String {
        let port = self.administration.port();
        let place = self.string(host, port);
        format!("{place};ManagementPort={port};TransportType=AmqpWebSockets")
    }

    /// What a client for administration connects with, by a name of this machine.
    #[must_use]
    pub fn administration_connection_string(&self, host: &str) -> String {
        self.string(host, self.administration.port())
    }

    fn string(&self, host: &str, port: u16) -> String {
        let AccessKey { name, key } = &self.shared.key;
        let emulator = if self.is_under_tls { "" } else { ";UseDevelopmentEmulator=true" };
        let endpoint = format!("Endpoint=sb://{host}:{port}{emulator}");
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

    /// A shared access signature of the key, for an entity and no longer than this; counted in
    /// whole seconds. When it expires, links that it has opened are detached.
    #[must_use]
    pub fn signature(&self, entity: &str, lifetime: Duration) -> String {
        let lifetime = i64::try_from(lifetime.as_secs()).unwrap_or(i64::MAX);
        let until_s = (self.shared.clock.now() / 1_000).saturating_add(lifetime);
        self.shared.key.sign(&format!("sb://{}/{entity}", self.address), until_s)
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
        self.shared.detach_deleted(entity);
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
        self.faults().cut_connections();
        for task in &self.tasks {
            task.abort();
        }
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
