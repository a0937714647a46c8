//! The store as the runtime calls it.

pub(crate) mod client;
pub(crate) mod dead_letters;
pub(crate) mod health;
pub(crate) mod tries;
