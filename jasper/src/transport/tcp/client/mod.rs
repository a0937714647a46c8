//! The side that dials: one connection for each place, shared by all who send there.

mod dial;
mod in_flight;
mod link;
mod sender;

pub(super) use self::dial::{Dialler, PeerConnection};
pub(super) use self::sender::TcpSender;
