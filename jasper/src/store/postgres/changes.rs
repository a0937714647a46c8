//! What a transaction is about to store, for those who look for it after the commit.

use super::frontier::FrontierUpdate;
use super::internal_pool::InternalPool;
use super::rows::Insert;
use crate::envelope::Address;
use crate::store::{Completion, Subscription};

/// What a completion is about to store.
#[derive(Debug)]
pub(super) struct FrontierUpdates<'d> {
    incoming: FrontierUpdate<'d, Subscription>,
    outgoing: FrontierUpdate<'d, Address>,
}

impl FrontierUpdates<'_> {
    /// These are stored, maybe.
    pub(super) fn note<'c>(&self, all: impl IntoIterator<Item = &'c Completion>) {
        for Completion { incoming, outgoing, .. } in all {
            self.incoming.note(incoming.iter().filter_map(Insert::waits));
            self.outgoing.note(outgoing.iter().filter_map(Insert::waits));
        }
    }
}

impl InternalPool {
    /// To be asked for before the commit of what is to be noted.
    pub(super) fn changes(&self) -> FrontierUpdates<'_> {
        FrontierUpdates {
            incoming: self.frontier.change(),
            outgoing: self.outgoing_frontier.change(),
        }
    }
}
