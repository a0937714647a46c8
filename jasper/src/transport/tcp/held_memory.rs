//! Memory that a connection holds for what it has received.

use tokio::sync::OwnedSemaphorePermit;

/// Memory in use; dropped when it is free again.
#[derive(Debug, Default)]
pub(super) struct HeldMemory {
    pub(super) parts: Vec<OwnedSemaphorePermit>,
    pub(super) beyond: Option<OwnedSemaphorePermit>,
}
