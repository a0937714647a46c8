//! What many callers ask of the tables of messages at once, gathered: inserts in queues,
//! settlements in a coalescer for each table.

use std::fmt;

use super::coalescer::Coalescer;
use super::insert_queues::{InsertQueues, Keyed};
use super::ports::messages::MessageRow;
use crate::store::{
    Incoming, Inserted, Outgoing, OutgoingSettlement, Settled, Settlement, StoreError,
};

/// Both tables of one store.
pub(crate) struct WriteBatchers {
    pub(crate) incoming: InsertQueues<Incoming>,
    pub(crate) outgoing: InsertQueues<Outgoing>,
    pub(crate) settlements: Coalescer<Settlement, Settled>,
    pub(crate) outgoing_settlements: Coalescer<OutgoingSettlement, Settled>,
}

/// A row of one of the tables.
pub(crate) trait GatheredRow: MessageRow + Keyed {
    fn inserts(batchers: &WriteBatchers) -> &InsertQueues<Self>;

    fn settlements(batchers: &WriteBatchers) -> &Coalescer<Self::Settlement, Settled>;
}

impl GatheredRow for Incoming {
    fn inserts(batchers: &WriteBatchers) -> &InsertQueues<Self> {
        &batchers.incoming
    }

    fn settlements(batchers: &WriteBatchers) -> &Coalescer<Settlement, Settled> {
        &batchers.settlements
    }
}

impl GatheredRow for Outgoing {
    fn inserts(batchers: &WriteBatchers) -> &InsertQueues<Self> {
        &batchers.outgoing
    }

    fn settlements(batchers: &WriteBatchers) -> &Coalescer<OutgoingSettlement, Settled> {
        &batchers.outgoing_settlements
    }
}

impl WriteBatchers {
    /// Stores these rows together with those of others.
    pub(crate) async fn store<R: GatheredRow>(
        &self,
        rows: Vec<R>,
    ) -> Result<Vec<Inserted>, StoreError> {
        R::inserts(self).submit(rows).await
    }

    /// Settles rows of a table together with those of others.
    pub(crate) async fn settle<R: GatheredRow>(
        &self,
        settlements: Vec<R::Settlement>,
    ) -> Result<Vec<Settled>, StoreError> {
        R::settlements(self).submit(settlements).await
    }
}

impl fmt::Debug for WriteBatchers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("WriteBatchers").finish_non_exhaustive()
    }
}
