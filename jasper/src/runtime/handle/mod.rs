//! The way of a message from its queue through its handler to the settlement.

pub(crate) mod answer;
pub(crate) mod consumer;
pub(crate) mod delivery;
pub(crate) mod entry;
pub(crate) mod execute;
pub(crate) mod queue;
pub(crate) mod worker;
