//! From the store into memory: what is claimable is claimed as there is room.

pub(crate) mod agenda;
pub(crate) mod pace;
pub(crate) mod pager;
pub(crate) mod unhandled;
pub(crate) mod wakers;
pub(crate) mod wakeups;
