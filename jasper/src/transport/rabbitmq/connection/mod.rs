//! Connections to a broker: how they are opened, and whether they are of use.

mod dial;
pub(super) mod error;
mod kit;
mod sides;

pub(super) use self::dial::{Connected, Slot};
pub(super) use self::sides::Sides;
