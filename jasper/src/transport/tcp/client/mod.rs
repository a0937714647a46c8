//! The side that dials: one connection for each place, shared by all who send there.

mod dial;
mod in_flight;
mod link;
mod sender;
mod slot;

pub(super) use self::dial::Dialler;
pub(super) use self::sender::TcpSender;
pub(super) use self::slot::LinkSlot;
