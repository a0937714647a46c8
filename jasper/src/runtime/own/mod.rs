//! What this process owns in the store: its lease, and the rows of nodes that are gone.

pub(crate) mod comparison;
pub(crate) mod held;
pub(crate) mod node;
pub(crate) mod trust;
pub(crate) mod watchdog;
