//! Connections to a broker: how they are opened, and whether they are of use.

mod connections;
mod dial;
pub(super) mod error;
mod kit;

pub(super) use self::connections::Connections;
pub(super) use self::dial::{BrokerConnection, Connected};
