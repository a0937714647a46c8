//! What a process holds in memory: places and bytes for messages, and how many are in work.

pub(crate) mod activity;
pub(crate) mod budget;
mod bytes;
pub(crate) mod room;
mod rows_in_store;
