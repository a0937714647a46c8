//! Which stored messages are in memory here.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use parking_lot::{Mutex, MutexGuard};
use tokio::time::Instant;

use crate::envelope::{Address, MessageId};
use crate::runtime::claim::pace::pause_after;
use crate::store::{Owner, Ownership};

/// The stored messages that are in memory or about to be stored for it.
///
/// A call of the store may be carried out although its answer is an error, or lost with the
/// connection. The rows that such a call has made this node's own are in no memory; they are
/// found by comparing what the store lists with what is held here.
#[derive(Debug, Default)]
pub(crate) struct RowsInMemory {
    rows: Mutex<HashMap<RowKey, u32>>,
    /// Until when what the store lists is to be compared with this.
    reconcile_end: Mutex<Option<Instant>>,
    /// When what the store lists was compared last, and for how long it is not compared again.
    compared: Mutex<Option<(Instant, Duration)>>,
    /// Rows are claimed, and not all noted yet.
    claiming: AtomicBool,
}

/// Where a list of rows takes long, it is asked for in at most a fifth of the time.
const SHARE: u32 = 4;

const LONGEST_PAUSE: Duration = Duration::from_secs(10);

/// What was in memory at one moment.
#[derive(Debug)]
pub(crate) struct RowsSnapshot(HashSet<RowKey>);

impl RowsSnapshot {
    pub(crate) fn contains(&self, row: &Ownership) -> bool {
        self.0.contains(&key(row))
    }
}

/// The owner is part of it: a message in memory under an owner number that this node has lost does
/// not stand for the row under the new number.
type RowKey = (MessageId, Address, Owner);

/// One message in memory, as long as this lives.
#[derive(Debug)]
pub(crate) struct InMemoryGuard {
    held: Arc<RowsInMemory>,
    key: RowKey,
}

/// A claim, until its rows are noted as held or it has failed.
#[derive(Debug)]
pub(crate) struct Claiming(Arc<RowsInMemory>);

impl Drop for Claiming {
    fn drop(&mut self) {
        self.0.claiming.store(false, Ordering::SeqCst);
    }
}

impl RowsInMemory {
    /// Notes that rows are about to be claimed, for as long as the answer lives.
    pub(crate) fn claiming(self: &Arc<Self>) -> Claiming {
        self.claiming.store(true, Ordering::SeqCst);
        Claiming(Arc::clone(self))
    }

    /// Whether rows may be this node's own that are not noted yet.
    pub(crate) fn is_claiming(&self) -> bool {
        self.claiming.load(Ordering::SeqCst)
    }

    /// Notes a message before the store may make it this node's own.
    pub(crate) fn register(
        self: &Arc<Self>,
        id: MessageId,
        destination: &Address,
        owner: Owner,
    ) -> InMemoryGuard {
        let key = (id, destination.clone(), owner);
        *self.rows().entry(key.clone()).or_default() += 1;
        InMemoryGuard { held: Arc::clone(self), key }
    }

    /// How many there are.
    pub(crate) fn count(&self) -> usize {
        self.rows().len()
    }

    /// Whether some are held under this incarnation.
    pub(crate) fn has_rows_of(&self, owner: Owner) -> bool {
        self.rows().keys().any(|(.., of)| *of == owner)
    }

    /// Those that are not in memory.
    pub(crate) fn missing(&self, owned: Vec<Ownership>) -> Vec<Ownership> {
        let rows = self.rows();
        owned.into_iter().filter(|row| !rows.contains_key(&key(row))).collect()
    }

    /// Whether a row is in memory.
    pub(crate) fn contains(&self, row: &Ownership) -> bool {
        self.rows().contains_key(&key(row))
    }

    /// A call has failed and may have been carried out: what the store lists is to be compared, up
    /// to this moment, as the call may still be on its way.
    pub(crate) fn reconcile_until(&self, end: Instant) {
        *self.reconcile_end.lock() = Some(end);
    }

    /// Whether it is to be compared, and was not within `pause` before now; each comparison costs a
    /// query.
    pub(crate) fn start_comparison_if_due(&self, pause: Duration) -> bool {
        let mut compared = self.compared.lock();
        let is_early = |(at, own): (Instant, Duration)| at.elapsed() < pause.max(own);
        if !self.is_comparison_requested() || compared.is_some_and(is_early) {
            return false;
        }
        *compared = Some((Instant::now(), Duration::ZERO));
        self.take_request()
    }

    /// The store has taken so long to list the rows, or to fail.
    pub(crate) fn note_compared(&self, cost: Duration) {
        let pause = pause_after(cost, SHARE, LONGEST_PAUSE);
        let mut compared = self.compared.lock();
        *compared = Some((Instant::now(), pause));
    }

    /// All that are in memory now.
    pub(crate) fn rows_now(&self) -> RowsSnapshot {
        RowsSnapshot(self.rows().keys().cloned().collect())
    }

    /// Whether it is to be compared, however long ago that was done.
    pub(crate) fn is_comparison_requested(&self) -> bool {
        self.reconcile_end.lock().is_some()
    }

    /// Whether it is to be compared; asked after the end of that, it is so for the last time.
    fn take_request(&self) -> bool {
        let mut until = self.reconcile_end.lock();
        let end = *until;
        *until = until.filter(|end| *end > Instant::now());
        end.is_some()
    }

    fn rows(&self) -> MutexGuard<'_, HashMap<RowKey, u32>> {
        self.rows.lock()
    }
}

fn key(row: &Ownership) -> RowKey {
    (row.id, row.destination.clone(), row.owner)
}

impl Drop for InMemoryGuard {
    fn drop(&mut self) {
        let mut rows = self.held.rows();
        let left = rows.get_mut(&self.key).map(|count| {
            *count -= 1;
            *count
        });
        if left == Some(0) {
            rows.remove(&self.key);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::runtime::claim::pace::LONG;

    fn row(id: MessageId, destination: &Address) -> Ownership {
        Ownership { id, destination: destination.clone(), owner: Owner::new(1), attempts: 1 }
    }

    #[test]
    fn a_row_is_missing_once_nothing_holds_it() {
        let (held, id) = (Arc::new(RowsInMemory::default()), MessageId::new());
        let (here, there) = (Address::local("q", "here"), Address::local("q", "there"));
        let twice = [(); 2].map(|()| held.register(id, &here, Owner::new(1)));
        let _of_another = held.register(id, &there, Owner::new(2));
        let owned = || vec![row(id, &here), row(id, &there)];
        assert_eq!(held.missing(owned()), [row(id, &there)]);
        assert!(held.contains(&row(id, &here)) && !held.contains(&row(id, &there)));
        let [first, second] = twice;
        drop(first);
        assert_eq!(held.missing(owned()), [row(id, &there)]);
        drop(second);
        assert_eq!(held.missing(owned()), owned());
        assert_eq!(held.count(), 1);
    }

    #[tokio::test(start_paused = true)]
    async fn what_takes_long_to_list_is_not_asked_for_at_once() {
        let held = RowsInMemory::default();
        let is_due = || held.start_comparison_if_due(Duration::ZERO);
        held.reconcile_until(Instant::now() + 2 * LONGEST_PAUSE);
        assert!(is_due() && is_due());
        held.note_compared(LONG);
        assert!(is_due());
        held.note_compared(2 * LONG);
        assert!(!is_due());
        tokio::time::advance(2 * LONG * SHARE).await;
        assert!(is_due());
        held.note_compared(LONGEST_PAUSE);
        assert!(!is_due());
        tokio::time::advance(LONGEST_PAUSE).await;
        assert!(is_due());
    }

    #[tokio::test(start_paused = true)]
    async fn it_is_to_be_compared_until_that_was_asked_for_after_its_end() {
        let held = RowsInMemory::default();
        assert!(!held.take_request());
        held.reconcile_until(Instant::now() + std::time::Duration::from_secs(1));
        assert!(held.take_request());
        tokio::time::advance(std::time::Duration::from_secs(2)).await;
        assert!(held.take_request());
        assert!(!held.take_request());
    }
}
