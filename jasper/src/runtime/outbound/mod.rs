//! The way out: endpoints of other processes, and the relays that send to them.

pub(crate) mod circuit;
pub(crate) mod endpoint;
pub(crate) mod look;
pub(crate) mod options;
pub(crate) mod relay;
pub(crate) mod send_queue;
pub(crate) mod table;
pub(crate) mod target;
