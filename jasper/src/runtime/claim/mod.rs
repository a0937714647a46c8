//! From the store into memory: what is claimable is claimed as there is room.

pub(crate) mod enlisted_polls;
mod intake;
mod missing;
pub(crate) mod next_poll;
pub(crate) mod pace;
pub(crate) mod pager;
mod unhandled_rows;
mod unhandled_types;
pub(crate) mod wakeups;
