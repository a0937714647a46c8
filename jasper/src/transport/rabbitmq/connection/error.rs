//! Why a broker cannot be used.
use crate::transport::cause::Cause;

/// Why there is no connection.
#[derive(Debug, Clone)]
pub(in super::super) enum DialError {
    /// The broker cannot be reached.
    Gone(Cause),
    /// It refuses this process: its user, its password, its virtual host.
    Refused(Cause),
}
