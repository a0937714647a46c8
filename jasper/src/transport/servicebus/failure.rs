//! What errors of the broker and of the library mean for what sends and listens.

use std::time::Duration;

use fe2o3_amqp::link::{
    LinkStateError, ReceiverAttachError, RecvError, SendError, SenderAttachError,
};
use fe2o3_amqp_types::definitions::{self, ErrorCondition};

use crate::transport::TransportError;
use crate::transport::cause::Cause;

const NOT_FOUND: &str = "amqp:not-found";
const NOT_ALLOWED: &str = "amqp:not-allowed";
const TOO_LARGE: &str = "amqp:link:message-size-exceeded";
const SERVER_BUSY: &str = "com.microsoft:server-busy";
const LOCK_LOST: &str = "com.microsoft:message-lock-lost";
const SESSION_LOCK_LOST: &str = "com.microsoft:session-lock-lost";
const TIMEOUT: &str = "com.microsoft:timeout";
const DISABLED: &str = "com.microsoft:entity-disabled";

/// Why the broker did not do what it was asked for.
#[derive(Debug, Clone)]
pub(super) enum Fault {
    /// It said no.
    Refused(Refusal),
    /// The connection, the session or the link ended before it answered.
    Ended(Cause),
    /// It did not answer within this time.
    Late(Duration),
}

/// What the broker says no with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Refusal {
    /// In one word, such as `com.microsoft:message-lock-lost`.
    pub(super) condition: String,
    pub(super) description: String,
}

impl Refusal {
    pub(super) fn new(condition: impl Into<String>, description: impl Into<String>) -> Self {
        Self { condition: condition.into(), description: description.into() }
    }

    pub(super) fn is_not_found(&self) -> bool {
        self.condition == NOT_FOUND || self.condition == "404"
    }

    /// The entity is not what the link takes it for: sessions, say.
    pub(super) fn is_not_allowed(&self) -> bool {
        self.condition == NOT_ALLOWED
    }

    pub(super) fn is_too_large(&self) -> bool {
        self.condition == TOO_LARGE
    }

    pub(super) fn is_busy(&self) -> bool {
        self.condition == SERVER_BUSY
    }

    pub(super) fn is_time_out(&self) -> bool {
        self.condition == TIMEOUT
    }

    pub(super) fn is_lock_lost(&self) -> bool {
        [LOCK_LOST, SESSION_LOCK_LOST, "410"].contains(&self.condition.as_str())
    }

    /// Whether the message itself is at fault, and will be refused again.
    pub(super) fn is_for_good(&self) -> bool {
        self.is_not_allowed()
            || self.is_too_large()
            || self.condition == "amqp:decode-error"
            || self.condition == "amqp:invalid-field"
            || self.condition == "amqp:not-implemented"
    }

    /// Whether another try may succeed without a change of the configuration.
    fn is_passing(&self) -> bool {
        let passing = ["amqp:internal-error", "amqp:link:detach-forced", "amqp:resource-limit"];
        self.is_busy()
            || self.is_time_out()
            || self.condition == DISABLED
            || passing.iter().any(|known| self.condition.starts_with(known))
    }
}

impl std::fmt::Display for Refusal {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match (self.condition.as_str(), self.description.as_str()) {
            (condition, "") => f.write_str(condition),
            (condition, description) => write!(f, "{description} ({condition})"),
        }
    }
}

impl From<definitions::Error> for Refusal {
    fn from(error: definitions::Error) -> Self {
        Self::new(condition(&error.condition), error.description.unwrap_or_default())
    }
}

fn condition(condition: &ErrorCondition) -> String {
    let bytes = serde_amqp::to_vec(condition).ok();
    let symbol: Option<serde_amqp::primitives::Symbol> =
        bytes.and_then(|bytes| serde_amqp::from_slice(&bytes).ok());
    symbol.map(|symbol| symbol.as_str().to_owned()).unwrap_or_default()
}

impl Fault {
    /// What the broker said, where it did.
    pub(super) fn refusal(&self) -> Option<&Refusal> {
        match self {
            Self::Refused(refusal) => Some(refusal),
            Self::Ended(_) | Self::Late(_) => None,
        }
    }

    /// Before anything was sent.
    pub(super) fn not_sent(self, address: &str) -> TransportError {
        match self {
            Self::Refused(refusal) if refusal.is_passing() => {
                Cause::from(refusal.to_string()).unreachable(address)
            }
            Self::Refused(refusal) => Cause::from(refusal.to_string()).rejected(address),
            Self::Ended(cause) => cause.unreachable(address),
            Self::Late(limit) => {
                Cause::from(format!("the broker has not answered within {limit:?}"))
                    .unreachable(address)
            }
        }
    }

    /// After something was sent or received.
    pub(super) fn lost(self, address: &str) -> TransportError {
        match self {
            Self::Refused(refusal) => Cause::from(refusal.to_string()).lost(address),
            Self::Ended(cause) => cause.lost(address),
            Self::Late(limit) => TransportError::Deadline { address: address.to_owned(), limit },
        }
    }
}

impl std::fmt::Display for Fault {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Refused(refusal) => refusal.fmt(f),
            Self::Ended(cause) => cause.fmt(f),
            Self::Late(limit) => write!(f, "the broker has not answered within {limit:?}"),
        }
    }
}

impl From<LinkStateError> for Fault {
    fn from(error: LinkStateError) -> Self {
        match error {
            LinkStateError::RemoteDetachedWithError(error)
            | LinkStateError::RemoteClosedWithError(error) => Self::Refused(error.into()),
            LinkStateError::SessionStopped(_) => Self::Ended(Cause::because(STOPPED, error)),
            LinkStateError::RemoteClosed | LinkStateError::RemoteDetached => {
                Self::Ended(Cause::because("the broker has ended the link", error))
            }
            other => Self::Ended(Cause::of(other)),
        }
    }
}

pub(super) const STOPPED: &str = "the connection to the broker has ended";

impl From<SenderAttachError> for Fault {
    fn from(error: SenderAttachError) -> Self {
        match error {
            SenderAttachError::RemoteClosedWithError(error) => Self::Refused(error.into()),
            other => Self::Ended(Cause::of(other)),
        }
    }
}

impl From<ReceiverAttachError> for Fault {
    fn from(error: ReceiverAttachError) -> Self {
        match error {
            ReceiverAttachError::RemoteClosedWithError(error) => Self::Refused(error.into()),
            other => Self::Ended(Cause::of(other)),
        }
    }
}

impl From<SendError> for Fault {
    fn from(error: SendError) -> Self {
        match error {
            SendError::LinkStateError(error) => error.into(),
            SendError::MessageSizeExceeded(error) => {
                Self::Refused(Refusal::new(TOO_LARGE, error.to_string()))
            }
            other => Self::Ended(Cause::of(other)),
        }
    }
}

impl From<RecvError> for Fault {
    fn from(error: RecvError) -> Self {
        match error {
            RecvError::LinkStateError(error) => error.into(),
            other => Self::Ended(Cause::of(other)),
        }
    }
}

impl From<Fault> for Cause {
    fn from(fault: Fault) -> Self {
        match fault {
            Fault::Ended(cause) => cause,
            other => other.to_string().into(),
        }
    }
}

#[cfg(test)]
mod tests {
    use fe2o3_amqp_types::definitions::AmqpError;
    use fe2o3_amqp_types::primitives::Symbol;

    use super::*;

    #[test]
    fn a_condition_is_known_whether_it_is_the_protocols_or_the_services() {
        let error = definitions::Error::new(AmqpError::NotFound, Some("no queue".into()), None);
        let refusal = Refusal::from(error);
        assert!(refusal.is_not_found());
        assert_eq!(refusal.to_string(), "no queue (amqp:not-found)");
        let condition = ErrorCondition::Custom(Symbol::from(LOCK_LOST));
        let refusal = Refusal::from(definitions::Error::new(condition, None, None));
        assert!(refusal.is_lock_lost() && !refusal.is_for_good());
    }

    #[test]
    fn what_may_pass_is_tried_again_and_what_does_not_is_rejected() {
        let not_sent = |condition: &str| Fault::Refused(Refusal::new(condition, "")).not_sent("a");
        assert!(matches!(not_sent(SERVER_BUSY), TransportError::Unreachable { .. }));
        assert!(matches!(not_sent("amqp:unauthorized-access"), TransportError::Rejected { .. }));
        let late = Fault::Late(Duration::from_secs(1));
        assert!(late.lost("a").may_have_arrived());
    }
}
