//! Why a broker does not do what a test asks for.

use std::net::SocketAddr;

use super::refusal::Refusal;

/// Why the broker could not do what a test asked for.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum BrokerError {
    /// The port cannot be listened on.
    #[error("cannot listen on {address}: {source}")]
    Bind {
        /// The address with the port.
        address: SocketAddr,
        /// What the system said.
        source: std::io::Error,
    },
    /// The certificate or its key cannot be used.
    #[error("the certificate cannot be used: {0}")]
    Certificate(String),
    /// The entity is there already, or what it belongs to is missing.
    #[error("{0}")]
    Entity(String),
}

impl From<Refusal> for BrokerError {
    fn from(refusal: Refusal) -> Self {
        Self::Entity(refusal.description)
    }
}
