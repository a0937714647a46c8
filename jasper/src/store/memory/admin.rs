//! Housekeeping in memory.

use futures_util::future::BoxFuture;

use super::rows::{Key, Status};
use super::store::MemoryStore;
use crate::envelope::time;
use crate::store::{Counts, StoreAdmin, StoreError};

impl StoreAdmin for MemoryStore {
    fn prepare(&self) -> BoxFuture<'_, Result<(), StoreError>> {
        self.with(|_state| ())
    }

    fn counts(&self) -> BoxFuture<'_, Result<Counts, StoreError>> {
        self.with(|state| {
            let now = time::now();
            let mut counts = Counts {
                outgoing: state.outgoing.len() as u64,
                dead_letters: state.dead_letters.len() as u64,
                ..Counts::default()
            };
            for row in state.incoming.values() {
                match row.status {
                    Status::Handled(_) => counts.handled += 1,
                    Status::Scheduled(due_at) if due_at > now => counts.scheduled += 1,
                    Status::Scheduled(_) | Status::Unowned | Status::Owned(_) => {
                        counts.incoming += 1;
                    }
                }
            }
            counts
        })
    }

    fn purge(&self, limit: usize) -> BoxFuture<'_, Result<u64, StoreError>> {
        self.with(move |state| {
            let now = time::now();
            let over = |status| matches!(status, Status::Handled(until) if until <= now);
            let rows = state.incoming.iter().filter(|(_, row)| over(row.status));
            let keys: Vec<Key> = rows.take(limit).map(|(key, _)| key.clone()).collect();
            for key in &keys {
                state.incoming.remove(key);
            }
            keys.len() as u64
        })
    }

    fn clear(&self) -> BoxFuture<'_, Result<(), StoreError>> {
        self.with(|state| {
            state.incoming.clear();
            state.outgoing.clear();
            state.dead_letters.clear();
        })
    }

    fn check(&self) -> BoxFuture<'_, Result<(), StoreError>> {
        self.with(|_state| ())
    }

    fn rebuild(&self) -> BoxFuture<'_, Result<(), StoreError>> {
        self.with(|state| {
            state.incoming.clear();
            state.outgoing.clear();
            state.dead_letters.clear();
            // The numbers go on.
            state.nodes.clear();
        })
    }
}
