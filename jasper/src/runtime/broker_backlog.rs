//! What waits at brokers for an application.

use crate::envelope::Address;
use crate::transport::{BrokerCounts, TransportError};

/// What waits at a broker where an application listens.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct BrokerBacklog {
    /// The address of the listener.
    pub address: Address,
    /// What the broker says, or why it says nothing.
    pub counts: Result<BrokerCounts, TransportError>,
}
