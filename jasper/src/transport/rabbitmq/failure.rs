//! What errors of the broker mean for who sends and listens.

use lapin::protocol::{AMQPErrorKind, AMQPSoftError};
use lapin::{Error, ErrorKind};

use super::connection::error::DialError;
use crate::transport::TransportError;
use crate::transport::cause::Cause;

/// An error that the broker has given itself.
#[derive(Debug, Clone)]
pub(super) struct AmqpFault {
    pub(super) kind: AMQPErrorKind,
    /// What it said.
    pub(super) why: String,
}

/// What the broker said, where it is the broker that did.
pub(super) fn fault_of(error: &Error) -> Option<AmqpFault> {
    match error.kind() {
        ErrorKind::ProtocolError(error) => {
            let why = error.get_message().to_string();
            Some(AmqpFault { kind: error.kind().clone(), why })
        }
        _ => None,
    }
}

/// Whether the broker says that something is not there.
pub(super) fn is_not_found(error: &Error) -> bool {
    let not_found = AMQPErrorKind::Soft(AMQPSoftError::NOTFOUND);
    fault_of(error).is_some_and(|fault| fault.kind == not_found)
}

/// Whether the broker does not let this user do that.
pub(super) fn is_not_permitted(error: &Error) -> bool {
    let refused = AMQPErrorKind::Soft(AMQPSoftError::ACCESSREFUSED);
    fault_of(error).is_some_and(|fault| fault.kind == refused)
}

/// The sizes that the broker names where it refuses a message as too large: its limit.
pub(super) fn size_limit(error: &Error) -> Option<usize> {
    let said = fault_of(error)?.why;
    let (_, limit) = said.split_once("larger than configured max size ")?;
    limit.trim().parse().ok()
}

/// There is no connection, and nothing was sent.
pub(super) fn no_connection(address: &str, error: DialError) -> TransportError {
    match error {
        DialError::Gone(cause) => cause.unreachable(address),
        DialError::Refused(cause) => cause.rejected(address),
    }
}

/// Before anything was sent.
pub(super) fn not_sent(address: &str, error: &Error) -> TransportError {
    match fault_of(error) {
        Some(AmqpFault { kind: AMQPErrorKind::Soft(_), why }) => {
            Cause::because(why, error.clone()).rejected(address)
        }
        Some(AmqpFault { why, .. }) => Cause::because(why, error.clone()).unreachable(address),
        None => Cause::of(error.clone()).unreachable(address),
    }
}

#[cfg(test)]
mod tests {
    use lapin::protocol::AMQPError;

    use super::*;

    #[test]
    fn the_broker_names_its_limit() {
        let said =
            "PRECONDITION_FAILED - message size 70000 is larger than configured max size 65536";
        let error = AMQPError::new(AMQPSoftError::PRECONDITIONFAILED.into(), said.into());
        let error = Error::from(ErrorKind::ProtocolError(error));
        assert_eq!(size_limit(&error), Some(65_536));
        assert!(!is_not_found(&error));
    }
}
