//! One handler, with everything that is decided about it at start.

use std::time::Duration;

use super::metrics::HandlerMetrics;
use crate::envelope::Address;
use crate::error_policy::ErrorPolicy;
use crate::handler::HandlerRegistration;
use crate::message::MessageType;
use crate::runtime::start::plan::StartPlan;
use crate::runtime::start::queue_options::QueueMode;
use crate::store::{Subscription, TransactionOptions};

/// One handler with everything that is decided about it at start.
#[derive(Debug)]
pub(crate) struct HandlerEntry {
    pub(crate) registration: HandlerRegistration,
    pub(crate) message_type: MessageType,
    pub(crate) address: Address,
    /// Of its queue among those of the application.
    pub(crate) queue: usize,
    pub(crate) metrics: HandlerMetrics,
    pub(crate) policy: ErrorPolicy,
    pub(crate) timeout: Duration,
    /// How many of its runs may share a transaction.
    pub(crate) share: u32,
    pub(crate) mode: Option<QueueMode>,
    /// Else its messages are stored, for other processes.
    pub(crate) runs_here: bool,
}

impl HandlerEntry {
    /// A handler of an application, as it was decided for it.
    pub(crate) fn new(
        registration: &HandlerRegistration,
        queue_index: usize,
        plan: &StartPlan,
    ) -> Self {
        let queue = plan.handling.queue(registration.queue);
        let options = plan.handling.handler(registration);
        let runs_here = queue.runs_here(plan.settings.send_only);
        let policy = ErrorPolicy::of(options.attempts, options.delays.as_deref());
        Self {
            message_type: (registration.message_type)(),
            address: Address::local(registration.queue, registration.name),
            queue: queue_index,
            metrics: HandlerMetrics::of(registration.queue),
            policy: if plan.settings.without_delays { policy.without_delays() } else { policy },
            timeout: options.timeout.unwrap_or(plan.settings.timeouts.handler),
            share: options.share.unwrap_or(1).max(1),
            mode: if runs_here { queue.mode } else { Some(QueueMode::Durable) },
            runs_here,
            registration: *registration,
        }
    }

    /// What it takes, as it stands in the list of nodes.
    pub(crate) fn subscription(&self) -> Subscription {
        subscription(&self.registration)
    }

    /// The options of the transactions in which it runs.
    pub(crate) fn transaction_options(&self) -> TransactionOptions {
        TransactionOptions {
            label: self.registration.name,
            share: self.share,
            isolated: false,
            limit: self.timeout,
        }
    }

    /// Whether a message for this handler is stored. `requires_storage`: it is part of a
    /// transaction, has a deduplication key or is due later, so a queue without a mode stores it.
    pub(crate) fn is_stored(&self, requires_storage: bool) -> bool {
        match self.mode {
            Some(QueueMode::Durable) => true,
            Some(QueueMode::Buffered) => false,
            None => self.registration.durable || requires_storage,
        }
    }
}

/// What a handler takes, as it stands in the list of nodes.
pub(crate) fn subscription(handler: &HandlerRegistration) -> Subscription {
    Subscription {
        destination: Address::local(handler.queue, handler.name),
        message_type: (handler.message_type)().to_string(),
    }
}
