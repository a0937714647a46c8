//! Why the management has not done what it was asked for.

use crate::transport::TransportError;
use crate::transport::cause::Cause;

/// Why the service has not done what it was asked for.
#[derive(Debug, Clone)]
pub(in super::super) enum Failed {
    /// It cannot be reached, or has not answered, or cannot do it at present.
    Gone(Cause),
    /// It says no.
    Refused(String),
}

impl Failed {
    pub(in super::super) fn not_sent(self, address: &str) -> TransportError {
        let words = |why: &str| format!("the management of the namespace: {why}");
        match self {
            Self::Gone(cause) => Cause::from(words(&cause.to_string())).unreachable(address),
            Self::Refused(why) => Cause::from(words(&why)).rejected(address),
        }
    }
}
