//! From the store into memory: what is claimable is claimed as there is room.

pub(crate) mod agenda;
mod intake;
mod missing;
pub(crate) mod pace;
pub(crate) mod pager;
mod strays;
mod unhandled;
pub(crate) mod wakers;
pub(crate) mod wakeups;
