//! What the namespace says of the messages that an endpoint is to receive.

use std::sync::Arc;
use std::time::Duration;

use super::administration::{Administrator, counts_of};
use super::connection::{BrokerConnection, Connected, Management};
use super::endpoint::ServiceBusEndpoint;
use super::failure::Fault;
use super::settings::Reached;
use crate::transport::{BrokerCounts, TransportError};

/// The most sessions that are counted: each page of them is a request.
const MOST_SESSIONS: usize = 10_000;

/// How many messages the entity of this endpoint has, by the management of the namespace.
///
/// # Errors
/// The management cannot be reached, says no, or has no such entity.
pub(super) async fn counts(
    reached: Reached,
    address: &str,
    endpoint: &ServiceBusEndpoint,
    patience: Duration,
) -> Result<BrokerCounts, TransportError> {
    let mut administrator = Administrator::new(reached, patience);
    let found = administrator.get(&endpoint.entity.path()).await;
    let found = found.map_err(|failed| failed.not_sent(address))?;
    let Some(counts) = found.as_ref().and_then(counts_of) else {
        let (kind, path) = (endpoint.entity.kind(), endpoint.entity.path());
        let why = format!("the namespace has no {kind} `{path}` with counts");
        return Err(TransportError::Mismatch { address: address.to_owned(), why });
    };
    Ok(if endpoint.listening.is_of_dead_letters {
        BrokerCounts::new(counts.dead_lettered, 0, 0)
    } else {
        counts
    })
}

/// How many sessions the entity of this endpoint has.
///
/// # Errors
/// The namespace cannot be reached, or says no.
pub(super) async fn sessions(
    connection: &Arc<BrokerConnection>,
    address: &str,
    endpoint: &ServiceBusEndpoint,
) -> Result<u64, TransportError> {
    let connected = connection.get_or_connect().await.map_err(|error| error.not_sent(address))?;
    let counted = count_sessions(&connected, &endpoint.path()).await;
    counted.map_err(|fault| fault.not_sent(address))
}

async fn count_sessions(connected: &Arc<Connected>, path: &str) -> Result<u64, Fault> {
    connected.authorize(path).await?;
    let management = Management::attach(connected, path).await?;
    let mut count = 0;
    loop {
        let page = management.sessions(count).await?;
        count += page;
        if page == 0 || count >= MOST_SESSIONS {
            return Ok(count.min(MOST_SESSIONS) as u64);
        }
    }
}
