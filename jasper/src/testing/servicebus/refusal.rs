//! What the broker says no with.

use fe2o3_amqp_types::definitions::{Error, ErrorCondition, Fields};
use fe2o3_amqp_types::primitives::Symbol;

pub(super) const LOCK_LOST: &str = "com.microsoft:message-lock-lost";
pub(super) const SESSION_LOCK_LOST: &str = "com.microsoft:session-lock-lost";
pub(super) const SESSION_CANNOT_BE_LOCKED: &str = "com.microsoft:session-cannot-be-locked";
pub(super) const TIMEOUT: &str = "com.microsoft:timeout";
pub(super) const MESSAGE_NOT_FOUND: &str = "com.microsoft:message-not-found";
pub(super) const ALREADY_EXISTS: &str = "com.microsoft:entity-already-exists";
pub(super) const ARGUMENT_ERROR: &str = "com.microsoft:argument-error";
pub(super) const NOT_FOUND: &str = "amqp:not-found";
pub(super) const NOT_ALLOWED: &str = "amqp:not-allowed";
pub(super) const NOT_IMPLEMENTED: &str = "amqp:not-implemented";
pub(super) const UNAUTHORIZED: &str = "amqp:unauthorized-access";
pub(super) const DECODE_ERROR: &str = "amqp:decode-error";
pub(super) const SIZE_EXCEEDED: &str = "amqp:link:message-size-exceeded";
pub(super) const LINK_STOLEN: &str = "amqp:illegal-state";

/// An error condition of AMQP with its description.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Refusal {
    pub(super) condition: String,
    pub(super) description: String,
}

impl Refusal {
    pub(super) fn new(condition: &str, description: impl Into<String>) -> Self {
        Self { condition: condition.to_owned(), description: description.into() }
    }

    pub(super) fn lock_lost() -> Self {
        let description = "The lock supplied is invalid. Either the lock expired, or the message \
                           has already been removed from the queue.";
        Self::new(LOCK_LOST, description)
    }

    pub(super) fn session_lock_lost() -> Self {
        let description = "The session lock has expired or has been released. Accept the session \
                           again.";
        Self::new(SESSION_LOCK_LOST, description)
    }

    pub(super) fn error(&self) -> Error {
        // The constructor would not see a condition of the protocol in a text.
        let condition = ErrorCondition::Custom(Symbol::from(self.condition.as_str()));
        // The client for Python reads the information of every error, even where it is empty.
        Error::new(condition, Some(self.description.clone()), Some(Fields::new()))
    }
}
