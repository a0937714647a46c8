//! The endpoints of an application: where their names lead.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use super::endpoint::Endpoint;
use super::target::Target;
use crate::envelope::Address;
use crate::message::MessageType;

/// The endpoints of an application: where their names lead.
#[derive(Debug, Default)]
pub(crate) struct EndpointTable {
    /// By name, or by the address that stands in place of one.
    by_name: BTreeMap<String, Target>,
    /// Those of other processes, by what stands for them in rows.
    by_destination: HashMap<Address, Arc<Endpoint>>,
    /// To which of them events are published.
    publications: HashMap<MessageType, Vec<Arc<Endpoint>>>,
}

impl EndpointTable {
    /// These endpoints, to which these events are published.
    pub(crate) fn of(
        by_name: BTreeMap<String, Target>,
        publications: &[(MessageType, String)],
    ) -> Self {
        let mut table = Self { by_name, ..Self::default() };
        for target in table.by_name.values() {
            if let Target::Remote(endpoint) = target {
                let destination = endpoint.id.destination.clone();
                table.by_destination.insert(destination, Arc::clone(endpoint));
            }
        }
        for (message_type, name) in publications {
            if let Some(Target::Remote(endpoint)) = table.by_name.get(name) {
                let of_type = table.publications.entry(message_type.clone()).or_default();
                of_type.push(Arc::clone(endpoint));
            }
        }
        table
    }

    /// Those of other processes, in no order.
    pub(crate) fn remote(&self) -> impl Iterator<Item = &Arc<Endpoint>> {
        self.by_destination.values()
    }

    /// The endpoint for which this stands in a row.
    pub(crate) fn of_destination(&self, destination: &Address) -> Option<&Arc<Endpoint>> {
        self.by_destination.get(destination)
    }

    /// Where the endpoint of this name leads.
    pub(crate) fn named(&self, name: &str) -> Option<&Target> {
        self.by_name.get(name)
    }

    /// To which of them events of this type are published.
    pub(crate) fn published(&self, event: &MessageType) -> &[Arc<Endpoint>] {
        self.publications.get(event).map_or(&[], Vec::as_slice)
    }
}
