//! Why a namespace cannot be used.

use crate::transport::TransportError;
use crate::transport::cause::Cause;

/// Why there is no connection.
#[derive(Debug, Clone)]
pub(in super::super) enum DialError {
    /// The broker cannot be reached.
    Gone(Cause),
    /// It refuses this process.
    Refused(Cause),
}

impl From<DialError> for Cause {
    fn from(error: DialError) -> Self {
        match error {
            DialError::Gone(cause) | DialError::Refused(cause) => cause,
        }
    }
}

impl DialError {
    /// There is no connection, and nothing was sent.
    pub(in super::super) fn not_sent(self, address: &str) -> TransportError {
        match self {
            Self::Gone(cause) => cause.unreachable(address),
            Self::Refused(cause) => cause.rejected(address),
        }
    }
}
