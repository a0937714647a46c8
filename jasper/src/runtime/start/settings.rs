//! The runtime's numbers, with their defaults.

use super::conventions::NO_SERVICE;
use std::num::NonZeroUsize;
use std::thread::available_parallelism;
use std::time::Duration;

use super::config::Config;
use super::provisioning::StorageProvisioning;

/// What the builder decides once for the whole application.
#[derive(Debug, Clone)]
pub(crate) struct Settings {
    /// The name of the service, written into every envelope.
    pub(crate) service: String,
    pub(crate) timeouts: Timeouts,
    pub(crate) memory: MemoryLimits,
    /// How many handlers of a queue run at once.
    pub(crate) concurrency: usize,
    /// How long a node is trusted after its last renewal.
    pub(crate) lease: Duration,
    /// How often the store is looked at when nothing else gives cause to.
    pub(crate) poll: Duration,
    /// How long a message is left alone whose type no living node has.
    pub(crate) unhandled_timeout: Duration,
    /// Whether no handler runs here.
    pub(crate) send_only: bool,
    /// Whether further attempts wait for nothing, whatever the policies of the handlers say.
    pub(crate) without_delays: bool,
    /// What a start does with the schema of the store.
    pub(crate) provisioning: StorageProvisioning,
}

/// How long something may take.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Timeouts {
    /// One run of a handler.
    pub(crate) handler: Duration,
    /// The reply of another process to an invocation.
    pub(crate) reply: Duration,
    /// One call of the store.
    pub(crate) store: Duration,
    /// The handlers that still run at a stop.
    pub(crate) drain: Duration,
}

/// How much may be in memory.
#[derive(Debug, Clone, Copy)]
pub(crate) struct MemoryLimits {
    /// Messages of one queue.
    pub(crate) queue_capacity: usize,
    /// Bytes of messages altogether.
    pub(crate) budget: usize,
}

impl Settings {
    /// The same with what the deployment says.
    pub(crate) fn deployed(self, config: &Config) -> Self {
        let budget = config.memory_budget.unwrap_or(self.memory.budget);
        Self {
            service: config.service.clone().unwrap_or(self.service),
            memory: MemoryLimits { budget, ..self.memory },
            send_only: config.send_only.unwrap_or(self.send_only),
            provisioning: config.storage_provisioning.unwrap_or(self.provisioning),
            ..self
        }
    }
}

impl Default for Settings {
    fn default() -> Self {
        let cores = available_parallelism().map_or(1, NonZeroUsize::get);
        let timeouts = Timeouts {
            handler: Duration::from_secs(60),
            reply: Duration::from_secs(30),
            store: Duration::from_secs(30),
            drain: Duration::from_secs(30),
        };
        Self {
            service: String::from(NO_SERVICE),
            timeouts,
            memory: MemoryLimits { queue_capacity: 1_000, budget: 256 * 1024 * 1024 },
            concurrency: cores.max(5),
            lease: Duration::from_secs(10),
            poll: Duration::from_secs(1),
            unhandled_timeout: Duration::from_secs(10 * 60),
            send_only: false,
            without_delays: false,
            provisioning: StorageProvisioning::default(),
        }
    }
}
