//! Claims and looks that are under way, and what they have found.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use parking_lot::Mutex;

use super::reach::{Part, Range};
use super::state::{LONG, Pair, SinceStart, UnownedRows};

/// Microseconds before the time of a full look: of a pair for which nothing waited then, what was
/// sent earlier is found by the next full look.
pub(super) const MARGIN: i64 = 10_000_000;

/// A claim or look that is under way. Dropped without an answer, it has failed.
#[derive(Debug)]
pub(in super::super) struct FrontierRead<'f, P: Pair> {
    known: &'f Mutex<UnownedRows<P>>,
    /// Rows that are given back with a higher one may be missed.
    serial: u64,
    pub(super) began: Instant,
    is_full: bool,
}

impl<'f, P: Pair> FrontierRead<'f, P> {
    pub(super) fn of(
        known: &'f Mutex<UnownedRows<P>>,
        state: &mut UnownedRows<P>,
        is_full: bool,
    ) -> Self {
        state.serial += 1;
        state.under_way.insert(state.serial, SinceStart::default());
        Self { known, serial: state.serial, began: Instant::now(), is_full }
    }

    /// A claim has taken `rows`, the newest of which was sent at `last`, as many as it asked for or
    /// `all` there were.
    pub(in super::super) fn claimed(self, ranges: &[Range<P>], rows: usize, last: i64, all: bool) {
        let mut state = self.known.lock();
        let meanwhile = self.end(&mut state);
        state.claimed = state.claimed.saturating_add(rows);
        state.claimed_lately = state.claimed_lately.saturating_add(rows);
        for range in ranges {
            match range.part {
                Part::FromFrontier(_) => state.advance(range, last, &meanwhile),
                Part::Returned(serial) if all || range.until < last => {
                    state.forget(&range.pair, range.since, serial);
                }
                Part::Returned(_) => (),
            }
        }
    }

    /// Records a full look: its time, its cost, and for each pair that was found the time at which
    /// its oldest row was sent. A pair for which `is_seen` is true and that was not found has no
    /// row. All rows that were due before `due_since` wait like any other now.
    pub(in super::super) fn looked(
        self,
        now: i64,
        cost: Duration,
        due_since: i64,
        found: &HashMap<P, i64>,
        is_seen: impl Fn(&P) -> bool,
    ) {
        let mut state = self.known.lock();
        let meanwhile = self.end(&mut state);
        state.due(due_since, &meanwhile);
        if state.full.is_some_and(|(at, _)| at > self.began) {
            // What another one has found is newer.
            state.is_stale |= meanwhile.is_stale;
            return;
        }
        for (pair, reach) in state.pairs.iter_mut().filter(|(pair, _)| is_seen(pair)) {
            reach.returned.retain(|_, serial| *serial > self.serial);
            let since = *found.get(pair).unwrap_or(&now.saturating_sub(MARGIN));
            reach.start_at(meanwhile.until(pair, since));
        }
        if std::mem::take(&mut state.claimed_lately) == 0 {
            state.claimed = 0;
        }
        state.is_stale = meanwhile.is_stale;
        state.full = Some((Instant::now(), cost));
    }

    /// A look at these has found the first of their rows there, and none in the others. Says in how
    /// long there may be more.
    pub(in super::super) fn looked_at(
        self,
        ranges: &[Range<P>],
        firsts: &HashMap<usize, i64>,
        due_since: i64,
    ) -> Duration {
        let mut state = self.known.lock();
        let meanwhile = self.end(&mut state);
        state.due(due_since, &meanwhile);
        for (at, range) in ranges.iter().enumerate() {
            match (firsts.get(&at), range.part) {
                (Some(first), Part::FromFrontier(_)) => state.advance(range, *first, &meanwhile),
                (None, Part::Returned(serial)) => {
                    state.forget(&range.pair, range.since, serial);
                }
                _ => (),
            }
        }
        state.remaining_pause()
    }

    fn end(&self, state: &mut UnownedRows<P>) -> SinceStart<P> {
        state.under_way.remove(&self.serial).unwrap_or_default()
    }
}

impl<P: Pair> Drop for FrontierRead<'_, P> {
    fn drop(&mut self) {
        let mut state = self.known.lock();
        let failed = state.under_way.remove(&self.serial).is_some();
        let cost = self.began.elapsed();
        if failed && self.is_full && cost >= LONG {
            state.full = Some((Instant::now(), cost));
        }
    }
}
