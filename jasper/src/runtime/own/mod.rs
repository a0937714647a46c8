//! What this process owns in the store: its lease, and the rows of nodes that are gone.

pub(crate) mod comparison;
pub(crate) mod jitter;
pub(crate) mod local_lease;
pub(crate) mod node;
pub(crate) mod owned_rows;
pub(crate) mod purge;
pub(crate) mod recovery;
pub(crate) mod renewal;
pub(crate) mod rows_in_memory;
pub(crate) mod watchdog;
