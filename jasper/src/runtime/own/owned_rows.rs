//! The rows of the store that this process holds in memory.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::Notify;
use tokio::time::Instant;

use super::rows_in_memory::RowsInMemory;
use crate::store::Owner;

/// What is held in memory of the rows that this process owns, in the inbox and for each endpoint.
#[derive(Debug)]
pub(crate) struct OwnedRows {
    inbox: Arc<RowsInMemory>,
    endpoints: Vec<Arc<RowsInMemory>>,
    /// For how long a call of the store may still be on its way.
    lease: Duration,
    /// Wakes the task that looks for rows of the outbox.
    outbox: Arc<Notify>,
}

impl OwnedRows {
    pub(crate) fn new(
        endpoints: Vec<Arc<RowsInMemory>>,
        lease: Duration,
        outbox: Arc<Notify>,
    ) -> Self {
        Self { inbox: Arc::default(), endpoints, lease, outbox }
    }

    /// The rows of the inbox that are in memory here.
    pub(crate) const fn inbox(&self) -> &Arc<RowsInMemory> {
        &self.inbox
    }

    /// This process may own rows that it does not know of, or soon will: for as long as a call may
    /// still be on its way, what the store lists is compared with the memory.
    pub(crate) fn reconcile(&self) {
        let end = Instant::now() + self.lease;
        self.inbox.reconcile_until(end);
        for endpoint in &self.endpoints {
            endpoint.reconcile_until(end);
        }
        // Nothing else wakes a relay at rest.
        self.outbox.notify_one();
    }

    /// The same for the rows of the inbox alone.
    pub(crate) fn reconcile_inbox(&self) {
        self.inbox.reconcile_until(Instant::now() + self.lease);
    }

    /// Whether messages are in memory here that this incarnation owns.
    pub(crate) fn has_rows_of(&self, owner: Owner) -> bool {
        let all = std::iter::once(&self.inbox).chain(&self.endpoints);
        all.into_iter().any(|held| held.has_rows_of(owner))
    }
}
