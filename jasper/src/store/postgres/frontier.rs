//! Where looks and claims begin in the index: behind the rows that are known to be claimed.
//!
//! A row that is claimed leaves a dead entry in the index of unowned rows, until a vacuum
//! removes it, which it may not while any transaction of the database has an older snapshot. A look
//! from the start of the index walks over all of them, and so would every claim. So each store
//! remembers for each pair how far it has claimed, and begins there once it has claimed many rows
//! or a look from the start has taken long. Older rows that this store
//! has released itself are remembered, and all others are found by a *full* look. The longer a full
//! look takes, the less often it is made, but at least every ten seconds.
//!
//! What changes while a claim or a look is under way may be missed by it, so that is noted for each
//! of them: none goes further than the first such row.

mod asking;
mod change;
mod reach;
mod state;
#[cfg(test)]
mod tests;

use parking_lot::{Mutex, MutexGuard};
use tokio::sync::Notify;

pub(super) use self::asking::FrontierRead;
pub(super) use self::change::{FrontierUpdate, RowAvailability};
pub(super) use self::reach::Range;
pub(super) use self::state::Pair;
use self::state::UnownedRows;

/// After this number of claimed rows, looks and claims start behind them. A look reads everything
/// again where nothing was claimed since the one before.
const MANY: usize = 1_000;

/// The most pairs of which is remembered how far they are claimed, beside those that the node
/// takes: unknown types may be any number. Claims of others read from the start.
const MOST_PAIRS: usize = 1_000;

/// What is known in one store about unowned rows.
#[derive(Debug)]
pub(super) struct Frontier<P: Pair> {
    state: Mutex<UnownedRows<P>>,
    many: usize,
    /// Wakes where a look missed a row that was noted after it.
    missed: Notify,
}

/// What a look reads.
#[derive(Debug)]
pub(super) enum Scope<P> {
    /// Everything.
    Full,
    /// What lies past the rows that are claimed, and no pair that this store has not met.
    Known(Vec<Range<P>>),
}

impl<P: Pair> Default for Frontier<P> {
    fn default() -> Self {
        Self { state: Mutex::default(), many: MANY, missed: Notify::new() }
    }
}

impl<P: Pair> Frontier<P> {
    fn state(&self) -> MutexGuard<'_, UnownedRows<P>> {
        self.state.lock()
    }

    /// This store claims rows of these.
    pub(super) fn takes(&self, pairs: &[P]) {
        self.state().know(pairs, usize::MAX);
    }

    /// A claim of these, and what it is to read.
    pub(super) fn claim(&self, pairs: &[P]) -> (FrontierRead<'_, P>, Vec<Range<P>>) {
        let mut state = self.state();
        state.know(pairs, MOST_PAIRS);
        let is_bounded = state.is_bounded(self.many);
        let mut ranges = Vec::with_capacity(pairs.len());
        for pair in pairs {
            match state.pairs.get(pair) {
                Some(reach) if is_bounded => ranges.extend(reach.ranges(pair)),
                reach => {
                    let claimed = reach.map_or(i64::MIN, |reach| reach.since);
                    ranges.push(Range::from_frontier(pair, i64::MIN, claimed));
                }
            }
        }
        (FrontierRead::of(&self.state, &mut state, false), ranges)
    }

    /// The next look, what it is to read, and from when on rows are due.
    pub(super) fn look(&self) -> (FrontierRead<'_, P>, Scope<P>, i64) {
        let mut state = self.state();
        if !state.is_bounded(self.many) || state.remaining_pause().is_zero() {
            return (FrontierRead::of(&self.state, &mut state, true), Scope::Full, i64::MIN);
        }
        state.known_looks += 1;
        let ranges = state.pairs.iter().flat_map(|(pair, reach)| reach.ranges(pair));
        let (scope, due_since) = (Scope::Known(ranges.collect()), state.due_since);
        (FrontierRead::of(&self.state, &mut state, false), scope, due_since.unwrap_or(i64::MIN))
    }

    /// A look at everything, although that may be dear.
    pub(super) fn full_look(&self) -> FrontierRead<'_, P> {
        FrontierRead::of(&self.state, &mut self.state(), true)
    }

    /// What this store is about to change. A look that comes before the change is noted may miss
    /// it.
    pub(super) fn change(&self) -> FrontierUpdate<'_, P> {
        FrontierUpdate::new(&self.state, &self.missed, self.state().known_looks)
    }

    /// When others will look for what is due, as far as this store has announced it.
    pub(super) fn announced(&self) -> i64 {
        self.state().announced
    }

    /// Rows that may be older can be claimed: the next look is a full one.
    pub(super) fn start_over(&self) {
        let mut state = self.state();
        state.is_stale = true;
        state.under_way.values_mut().for_each(|meanwhile| meanwhile.is_stale = true);
    }

    /// Waits until a row was noted that a look has missed which came before the note.
    ///
    /// # Cancel safety
    /// Dropped, nothing is lost.
    pub(super) async fn missed(&self) {
        self.missed.notified().await;
    }
}
