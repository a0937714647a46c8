//! The way of a message from its queue through its handler to the settlement.

pub(crate) mod answer;
mod attempts;
pub(crate) mod consumer;
pub(crate) mod delivery;
pub(crate) mod entry;
pub(crate) mod execute;
pub(crate) mod handled;
pub(crate) mod metrics;
pub(crate) mod queue;
mod settle;
pub(crate) mod table;
mod waiting;
pub(crate) mod worker;
