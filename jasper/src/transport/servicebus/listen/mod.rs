//! The side that listens.

mod consume;
mod intake;
mod link;
mod listener;
mod locks;
mod pump;
mod settlement;
mod take;

pub(super) use self::link::check;
pub(super) use self::listener::{Listening, ServiceBusListener};
pub(super) use self::locks::Locks;
