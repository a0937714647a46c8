//! The runtime's numbers, with their defaults.

use std::num::NonZeroUsize;
use std::thread::available_parallelism;
use std::time::Duration;

use super::config::Config;

/// What the builder decides once for the whole application.
#[derive(Debug, Clone)]
pub(crate) struct Settings {
    /// The name of the service, written into every envelope.
    pub(crate) service: String,
    /// How long a stop waits for running handlers.
    pub(crate) drain: Duration,
    /// How long a node is trusted after its last renewal.
    pub(crate) lease: Duration,
    /// How often the store is looked at when nothing else gives cause to.
    pub(crate) poll: Duration,
    /// How long a message of which no living node knows the type is left alone.
    pub(crate) keep_unknown: Duration,
    /// How long one run of a handler may take.
    pub(crate) handler_timeout: Duration,
    /// How long an invocation waits for the reply of another process.
    pub(crate) reply_timeout: Duration,
    /// How long one call of the store may take.
    pub(crate) store_deadline: Duration,
    /// Whether no handler runs here.
    pub(crate) send_only: bool,
    /// How many messages of a queue may be in memory.
    pub(crate) queue_capacity: usize,
    /// How many bytes of messages may be in memory.
    pub(crate) memory_budget: usize,
    /// How many handlers of a queue run at once.
    pub(crate) concurrency: usize,
}

impl Settings {
    /// The same with what the deployment says.
    pub(crate) fn deployed(self, config: &Config) -> Self {
        Self {
            service: config.service.clone().unwrap_or(self.service),
            memory_budget: config.memory_budget.unwrap_or(self.memory_budget),
            send_only: config.send_only.unwrap_or(self.send_only),
            ..self
        }
    }
}

impl Default for Settings {
    fn default() -> Self {
        let cores = available_parallelism().map_or(1, NonZeroUsize::get);
        Self {
            service: String::from("jasper"),
            drain: Duration::from_secs(30),
            lease: Duration::from_secs(10),
            poll: Duration::from_secs(1),
            keep_unknown: Duration::from_secs(10 * 60),
            handler_timeout: Duration::from_secs(60),
            reply_timeout: Duration::from_secs(30),
            store_deadline: Duration::from_secs(30),
            send_only: false,
            queue_capacity: 1_000,
            memory_budget: 256 * 1024 * 1024,
            concurrency: cores.max(5),
        }
    }
}
