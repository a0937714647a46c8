//! One handler, with everything that is decided about it at start.

use std::time::Duration;

use crate::envelope::Address;
use crate::error_policy::ErrorPolicy;
use crate::handler::HandlerRegistration;
use crate::message::MessageType;
use crate::runtime::start::queue_options::{QueueMode, QueueOptions, runs_here};
use crate::runtime::start::settings::Settings;
use crate::store::{Subscription, TransactionOptions};

/// One handler with everything that is decided about it at start.
#[derive(Debug)]
pub(crate) struct HandlerEntry {
    pub(crate) registration: HandlerRegistration,
    pub(crate) message_type: MessageType,
    pub(crate) address: Address,
    pub(crate) policy: ErrorPolicy,
    pub(crate) timeout: Duration,
    pub(crate) mode: QueueMode,
    /// Else its messages are stored, for other processes.
    pub(crate) runs_here: bool,
}

impl HandlerEntry {
    pub(crate) fn new(
        registration: HandlerRegistration,
        options: &QueueOptions,
        settings: &Settings,
    ) -> Self {
        let runs_here = runs_here(Some(options), settings.send_only);
        let mode = if runs_here { options.mode } else { QueueMode::Durable };
        Self {
            message_type: (registration.message_type)(),
            address: Address::local(registration.queue, registration.name),
            policy: ErrorPolicy::of(registration.attempts, registration.delays),
            timeout: registration.timeout.unwrap_or(settings.handler_timeout),
            mode,
            runs_here,
            registration,
        }
    }

    /// What it takes, as nodes tell each other.
    pub(crate) fn subscription(&self) -> Subscription {
        subscription(&self.registration)
    }

    /// The options of the transactions in which it runs.
    pub(crate) fn begin(&self) -> TransactionOptions {
        TransactionOptions {
            label: self.registration.name,
            share: self.registration.share.unwrap_or(1).max(1),
            alone: false,
            limit: self.timeout,
        }
    }

    /// Whether a message for this handler is stored, given whether its sender is in a transaction.
    pub(crate) fn is_stored(&self, in_transaction: bool) -> bool {
        match self.mode {
            QueueMode::Durable => true,
            QueueMode::Buffered => false,
            QueueMode::Automatic => self.registration.durable || in_transaction,
        }
    }
}

/// What a handler takes, as nodes tell each other.
pub(crate) fn subscription(handler: &HandlerRegistration) -> Subscription {
    Subscription {
        destination: Address::local(handler.queue, handler.name),
        message_type: (handler.message_type)().to_string(),
    }
}
