//! One connection to send and one to listen, to each namespace.

use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;

use parking_lot::Mutex;

use super::super::namespace::Access;
use super::super::settings::{Reached, Settings};
use super::dial::{BrokerConnection, Dialler};
use crate::transport::Direction;

/// The connections of a transport.
#[derive(Default)]
pub(in super::super) struct Connections(Mutex<HashMap<(String, bool), Arc<BrokerConnection>>>);

impl fmt::Debug for Connections {
    /// Keys of namespaces are in the keys.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.0.lock().values()).finish()
    }
}

impl Connections {
    /// The connection to this namespace for this direction.
    pub(in super::super) fn connection(
        &self,
        settings: &Settings,
        reached: Reached,
        direction: Direction,
    ) -> Arc<BrokerConnection> {
        // With what opens it: two keys are two connections.
        let access = match &reached.namespace.access {
            Access::Key { name, key } => format!("{name} {key}"),
            Access::Signature(signature) => signature.clone(),
            Access::Credential => String::new(),
        };
        let key = format!("{} {access}", reached.namespace);
        let sends = direction == Direction::Send;
        let what = if sends { "send" } else { "listen" };
        let mut connections = self.0.lock();
        let connection = connections.entry((key, sends)).or_insert_with(|| {
            let name = format!("{} ({what})", settings.service());
            BrokerConnection::new(Dialler { reached, name, patience: settings.patience })
        });
        Arc::clone(connection)
    }
}
