//! What a store itself changes about unowned rows.

use parking_lot::Mutex;
use tokio::sync::Notify;

use super::state::{Pair, UnownedRows};

/// What a store is about to change, from before the statement on that does it.
#[derive(Debug)]
pub(in super::super) struct FrontierUpdate<'f, P: Pair> {
    known: &'f Mutex<UnownedRows<P>>,
    /// Notified where a look has missed a row that is noted.
    missed: &'f Notify,
    known_looks: u64,
}

/// What a row waits for once it is stored.
#[derive(Debug, PartialEq, Eq)]
pub(in super::super) enum RowAvailability<P> {
    /// To be claimed, with when it was sent.
    Unowned(P, i64),
    /// To be due. Other nodes may look for it already.
    Scheduled { due_at: i64, is_notified: bool },
}

impl<'f, P: Pair> FrontierUpdate<'f, P> {
    pub(super) const fn new(
        known: &'f Mutex<UnownedRows<P>>,
        missed: &'f Notify,
        known_looks: u64,
    ) -> Self {
        Self { known, missed, known_looks }
    }

    /// These wait now, maybe, although they may have been sent long ago.
    pub(in super::super) fn note(&self, rows: impl IntoIterator<Item = RowAvailability<P>>) {
        let mut state = self.known.lock();
        let (mut is_hidden, mut announced) = (false, None);
        for row in rows {
            is_hidden |= match row {
                RowAvailability::Unowned(pair, sent_at) => state.put_back(&pair, sent_at),
                RowAvailability::Scheduled { due_at, is_notified } => {
                    if is_notified {
                        announced = Some(announced.map_or(due_at, |first: i64| first.min(due_at)));
                    }
                    state.scheduled(due_at)
                }
            };
        }
        state.announced = announced.unwrap_or(state.announced);
        if is_hidden && state.known_looks > self.known_looks {
            // The notification of the change may have led to that look, and is not repeated.
            self.missed.notify_one();
        }
    }
}
