//! Where looks and claims begin: past the rows that are known to be taken.
//!
//! A row that is claimed leaves a dead entry in the index of unowned rows, until a vacuum
//! removes it, which it may not while any transaction of the database has an older snapshot. A look
//! from the start of the index walks over all of them, and so would every claim. So each store
//! remembers for each pair how far it has claimed, and begins there once it has claimed many rows
//! or a look from the start has taken long. What is older all the same is known where this store
//! gives it back, and is found by a *full* look else. Full looks come the more rarely the longer
//! they take, and at least every ten seconds.
//!
//! What changes while a claim or a look is under way may be missed by it, so that is noted for each
//! of them: none goes further than the first such row.

mod asking;
mod change;
mod reach;
#[cfg(test)]
mod tests;

use std::collections::HashMap;
use std::fmt::Debug;
use std::hash::Hash;

use std::time::{Duration, Instant};

use parking_lot::{Mutex, MutexGuard};
use tokio::sync::Notify;

pub(super) use self::asking::Asking;
pub(super) use self::change::{Change, Waits};
pub(super) use self::reach::Range;
use self::reach::{Part, Reach};

/// So many rows may be claimed before looks and claims begin past them. Full looks are all there is
/// again where none was claimed between two of them.
const MANY: usize = 1_000;

/// A full look that takes longer has met many dead entries.
const LONG: Duration = Duration::from_millis(100);

/// Full looks take at most a twentieth of the time.
const SHARE: u32 = 20;

const SHORTEST_PAUSE: Duration = Duration::from_millis(100);
const LONGEST_PAUSE: Duration = Duration::from_secs(10);

/// The most pairs of which is remembered how far they are claimed, beside those that the node
/// takes: unknown types may be any number. Claims of others read from the start.
const MOST_PAIRS: usize = 1_000;

/// Microseconds before the time of a full look: of a pair for which nothing waited then, what was
/// sent earlier is found by the next full look.
const MARGIN: i64 = 10_000_000;

/// What rows wait for.
pub(super) trait Pair: Clone + Debug + Eq + Hash + Send + Sync + 'static {}

impl<P: Clone + Debug + Eq + Hash + Send + Sync + 'static> Pair for P {}

/// What one store knows about unowned rows.
#[derive(Debug)]
pub(super) struct Frontier<P: Pair> {
    state: Mutex<State<P>>,
    many: usize,
    /// A row was noted that a look has missed which came before the note.
    missed: Notify,
}

#[derive(Debug)]
struct State<P> {
    pairs: HashMap<P, Reach>,
    /// Up to where scheduled rows were found due.
    due_since: Option<i64>,
    /// When others will look for what is due, of which this store has told them.
    told: i64,
    /// How many rows were claimed since full looks were all there was, and since the last of them.
    claimed: usize,
    claimed_lately: usize,
    /// When the last full look ended, and how long it took; also of one that failed after a long
    /// time.
    full: Option<(Instant, Duration)>,
    /// Rows that may be older can be claimed, and no full look was asked for since.
    is_stale: bool,
    serial: u64,
    /// How many looks were asked for that are not full.
    known_looks: u64,
    /// By the serial number at which each was asked for.
    under_way: HashMap<u64, Meanwhile<P>>,
}

/// What has changed since a claim or look was asked for.
#[derive(Debug)]
struct Meanwhile<P> {
    /// When the first row of each pair was sent that lies past what is claimed.
    returned: HashMap<P, i64>,
    due_at: Option<i64>,
    is_stale: bool,
}

/// What a look reads.
#[derive(Debug)]
pub(super) enum Scope<P> {
    /// Everything.
    Full,
    /// What lies past the rows that are claimed, and no pair of which this store has not been told.
    Known(Vec<Range<P>>),
}

impl<P: Pair> Default for Frontier<P> {
    fn default() -> Self {
        Self { state: Mutex::default(), many: MANY, missed: Notify::new() }
    }
}

impl<P> Default for State<P> {
    fn default() -> Self {
        Self {
            pairs: HashMap::new(),
            due_since: None,
            told: i64::MIN,
            claimed: 0,
            claimed_lately: 0,
            full: None,
            is_stale: false,
            serial: 0,
            known_looks: 0,
            under_way: HashMap::new(),
        }
    }
}

impl<P> Default for Meanwhile<P> {
    fn default() -> Self {
        Self { returned: HashMap::new(), due_at: None, is_stale: false }
    }
}

impl<P: Pair> State<P> {
    fn is_bounded(&self, many: usize) -> bool {
        let is_long = |(_, cost): (Instant, Duration)| self.claimed >= many || cost >= LONG;
        self.full.is_some_and(is_long)
    }

    /// How long there is no full look.
    fn rest(&self) -> Duration {
        let Some((at, cost)) = self.full else {
            return Duration::ZERO;
        };
        let pause = match self.is_stale {
            // At once, but never nothing else than full looks where they are dear.
            true if cost < LONG => Duration::ZERO,
            true => cost.min(LONGEST_PAUSE),
            false => (cost * SHARE).clamp(SHORTEST_PAUSE, LONGEST_PAUSE),
        };
        pause.saturating_sub(at.elapsed())
    }

    /// Remembers from now on how far these are claimed, as long as there are fewer than `most`.
    fn know(&mut self, pairs: &[P], most: usize) {
        for pair in pairs {
            if self.pairs.len() < most && !self.pairs.contains_key(pair) {
                self.pairs.insert(pair.clone(), Reach::default());
            }
        }
    }

    /// `true`: a look that is not full finds it only by this note.
    fn put_back(&mut self, pair: &P, sent_at: i64) -> bool {
        self.serial += 1;
        let reach = self.pairs.get_mut(pair);
        if let Some(reach) = reach.filter(|reach| sent_at < reach.since) {
            reach.put_back(sent_at, self.serial);
            return true;
        }
        for meanwhile in self.under_way.values_mut() {
            let first = meanwhile.returned.entry(pair.clone()).or_insert(sent_at);
            *first = sent_at.min(*first);
        }
        false
    }

    /// `true`: as above.
    fn scheduled(&mut self, due_at: i64) -> bool {
        for meanwhile in self.under_way.values_mut() {
            meanwhile.due_at = Some(meanwhile.due_at.map_or(due_at, |first| first.min(due_at)));
        }
        let is_past = self.due_since.is_some_and(|since| due_at < since);
        if is_past {
            self.due_since = Some(due_at);
        }
        is_past
    }

    fn forget(&mut self, pair: &P, returned: i64, serial: u64) {
        if let Some(reach) = self.pairs.get_mut(pair)
            && reach.returned.get(&returned) == Some(&serial)
        {
            reach.returned.remove(&returned);
        }
    }

    /// Begins elsewhere, unless that was changed since `range` was asked for.
    fn advance(&mut self, range: &Range<P>, since: i64, meanwhile: &Meanwhile<P>) {
        let Part::Rest(claimed) = range.part else {
            return;
        };
        let since = meanwhile.until(&range.pair, since);
        if let Some(reach) = self.pairs.get_mut(&range.pair)
            && reach.since == claimed
        {
            reach.begin_at(reach.since.max(since));
        }
    }

    /// All rows that were due before this time are made so.
    fn due(&mut self, since: i64, meanwhile: &Meanwhile<P>) {
        self.due_since = Some(meanwhile.due_at.map_or(since, |due_at| due_at.min(since)));
    }
}

impl<P: Pair> Meanwhile<P> {
    /// How far it may go that would have gone to `since`.
    fn until(&self, pair: &P, since: i64) -> i64 {
        self.returned.get(pair).map_or(since, |first| since.min(*first))
    }
}

impl<P: Pair> Frontier<P> {
    fn state(&self) -> MutexGuard<'_, State<P>> {
        self.state.lock()
    }

    /// This store claims rows of these.
    pub(super) fn takes(&self, pairs: &[P]) {
        self.state().know(pairs, usize::MAX);
    }

    /// A claim of these, and what it is to read.
    pub(super) fn claim(&self, pairs: &[P]) -> (Asking<'_, P>, Vec<Range<P>>) {
        let mut state = self.state();
        state.know(pairs, MOST_PAIRS);
        let is_bounded = state.is_bounded(self.many);
        let mut ranges = Vec::with_capacity(pairs.len());
        for pair in pairs {
            match state.pairs.get(pair) {
                Some(reach) if is_bounded => ranges.extend(reach.ranges(pair)),
                reach => {
                    let claimed = reach.map_or(i64::MIN, |reach| reach.since);
                    ranges.push(Range::rest(pair, i64::MIN, claimed));
                }
            }
        }
        (Asking::of(self, &mut state, false), ranges)
    }

    /// The next look, what it is to read, and from when on rows are due.
    pub(super) fn look(&self) -> (Asking<'_, P>, Scope<P>, i64) {
        let mut state = self.state();
        if !state.is_bounded(self.many) || state.rest().is_zero() {
            return (Asking::of(self, &mut state, true), Scope::Full, i64::MIN);
        }
        state.known_looks += 1;
        let ranges = state.pairs.iter().flat_map(|(pair, reach)| reach.ranges(pair));
        let (scope, due_since) = (Scope::Known(ranges.collect()), state.due_since);
        (Asking::of(self, &mut state, false), scope, due_since.unwrap_or(i64::MIN))
    }

    /// A look at everything, although that may be dear.
    pub(super) fn full_look(&self) -> Asking<'_, P> {
        Asking::of(self, &mut self.state(), true)
    }

    /// What this store is about to change. A look that comes before the change is noted may miss
    /// it.
    pub(super) fn change(&self) -> Change<'_, P> {
        Change::new(self, self.state().known_looks)
    }

    /// When others will look for what is due, as far as this store has told them.
    pub(super) fn told(&self) -> i64 {
        self.state().told
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
