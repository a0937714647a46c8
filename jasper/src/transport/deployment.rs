//! What a deployment tells transports.

use std::collections::BTreeMap;
use std::fmt;

use serde::Deserialize;

/// What a deployment tells transports: who they send for, and where the brokers are.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Deployment {
    /// The name of the service.
    pub service: String,
    /// The addresses of brokers: under the name of a transport the one that it uses unless an
    /// endpoint names another, and under `transport-name` the others.
    pub brokers: BTreeMap<String, BrokerAddress>,
}

impl Deployment {
    /// For authors of transports, who test them.
    pub fn new(service: impl Into<String>, brokers: BTreeMap<String, BrokerAddress>) -> Self {
        Self { service: service.into(), brokers }
    }

    /// The brokers of this transport, by the names by which endpoints call them; the usual one has
    /// the empty name.
    pub fn brokers_of(&self, transport: &str) -> impl Iterator<Item = (&str, &BrokerAddress)> {
        self.brokers.iter().filter_map(move |(key, address)| {
            let rest = key.strip_prefix(transport)?;
            let name = if rest.is_empty() { rest } else { rest.strip_prefix('-')? };
            Some((name, address))
        })
    }
}

/// The address of a broker, in which its password may stand. `Debug` shows nothing of it.
#[derive(Clone, PartialEq, Eq, Deserialize)]
#[serde(transparent)]
pub struct BrokerAddress(String);

impl BrokerAddress {
    /// The address, with what is secret in it.
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl From<String> for BrokerAddress {
    fn from(address: String) -> Self {
        Self(address)
    }
}

impl From<&str> for BrokerAddress {
    fn from(address: &str) -> Self {
        Self(address.to_owned())
    }
}

impl fmt::Debug for BrokerAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("BrokerAddress(…)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_transport_finds_its_brokers_and_no_log_shows_an_address() {
        let keys = ["rabbitmq", "rabbitmq-billing", "rabbitmqx", "kafka"];
        let brokers = keys.map(|key| (key.to_owned(), "amqp://u:secret@h".into()));
        let deployment = Deployment::new("shop", brokers.into());
        let names: Vec<_> = deployment.brokers_of("rabbitmq").map(|(name, _)| name).collect();
        assert_eq!(names, ["", "billing"]);
        assert!(!format!("{deployment:?}").contains("secret"));
    }
}
