//! The side that dials: one connection for each place, shared by all who send there.

mod dial;
mod link;
mod pending;
mod sender;

pub(super) use self::dial::Dialler;
pub(super) use self::sender::TcpSender;

/// The one connection to a place.
pub(super) type Slot = crate::transport::slot::Slot<Dialler>;
