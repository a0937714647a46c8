//! Connections to a broker: how they are opened, and whether they are of use.

mod dial;
mod kit;
mod sides;

pub(super) use self::dial::{Connected, DialError, Dialler};
pub(super) use self::sides::Sides;

/// The one connection to a broker for one direction.
pub(super) type Slot = crate::transport::slot::Slot<Dialler>;
