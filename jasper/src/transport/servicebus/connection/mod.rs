//! Connections to a namespace: how they are opened, what opens their entities, and what the broker
//! says on them.

mod connections;
mod dial;
pub(super) mod error;
mod frames;
mod management;
mod outcomes;
mod request_link;
mod socket;
mod tokens;

pub(super) use self::connections::Connections;
pub(super) use self::dial::{BrokerConnection, Connected};
pub(super) use self::management::Management;
pub(super) use self::outcomes::Outcomes;
