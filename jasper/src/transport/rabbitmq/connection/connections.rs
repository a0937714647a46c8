//! One connection to send and one to listen, to each broker.

use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;

use parking_lot::Mutex;

use super::super::settings::{Reached, Settings};
use super::dial::{BrokerConnection, Dialler};
use crate::transport::Direction;

/// The connections of a transport. A broker that blocks who sends to it does not block who listens.
#[derive(Default)]
pub(in super::super) struct Connections(Mutex<HashMap<(String, bool), Arc<BrokerConnection>>>);

impl fmt::Debug for Connections {
    /// Passwords are in the keys.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.0.lock().values()).finish()
    }
}

impl Connections {
    /// The connection to this broker for this direction.
    pub(in super::super) fn connection(
        &self,
        settings: &Settings,
        reached: Reached,
        direction: Direction,
    ) -> Arc<BrokerConnection> {
        // The whole address, with the user: two users are two connections.
        let user = &reached.broker.uri.authority.userinfo;
        let key = format!("{} {} {}", reached.broker, user.username, user.password);
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
