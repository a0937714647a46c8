//! Where looks and claims begin: past the rows that are known to be taken.
//!
//! A row that is claimed leaves a dead entry in the index of unowned rows, until a vacuum
//! removes it, which it may not while any transaction of the database has an older snapshot. A look
//! from the start of the index walks over all of them, and so would every claim. So each store
//! remembers for each pair how far it has claimed, and begins there once it has claimed many rows
//! or a look from the start has taken long. What is older all the same is known where this store
//! gives it back, and is found by a *full* look else. Full looks come the more rarely the longer
//! they take, and at least every ten seconds.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use crate::envelope::time::to_micros;
use crate::store::{Incoming, Placement, Subscription};

/// So many rows may be claimed before looks and claims begin past them. Full looks are all there is
/// again where none was claimed between two of them.
const MANY: usize = 1_000;

/// A full look that takes longer has met many dead entries.
const LONG: Duration = Duration::from_millis(100);

/// Full looks take at most a twentieth of the time.
const SHARE: u32 = 20;

const SHORTEST_PAUSE: Duration = Duration::from_millis(100);
const LONGEST_PAUSE: Duration = Duration::from_secs(10);

/// The most rows of one pair that are remembered one by one.
const MOST_RETURNED: usize = 256;

/// The most pairs of which is remembered how far they are claimed, beside those that the node
/// takes: unknown types may be any number. Claims of others read from the start.
const MOST_PAIRS: usize = 1_000;

/// Microseconds before the time of a full look: of a pair for which nothing waited then, what was
/// sent earlier is found by the next full look.
const MARGIN: i64 = 10_000_000;

/// What one store knows about unowned rows.
#[derive(Debug)]
pub(super) struct Frontier {
    state: Mutex<State>,
    many: usize,
}

#[derive(Debug, Default)]
struct State {
    pairs: HashMap<Subscription, Reach>,
    /// Up to where scheduled rows were found due.
    due_since: Option<i64>,
    /// How many rows were claimed since full looks were all there was, and since the last of them.
    claimed: usize,
    claimed_lately: usize,
    /// When the last full look ended, and how long it took; `None`: the next is a full one.
    full: Option<(Instant, Duration)>,
    serial: u64,
}

/// How far the rows of one pair are claimed.
#[derive(Debug)]
struct Reach {
    since: i64,
    /// Older rows that were given back, each with a number that is new whenever that happens.
    returned: BTreeMap<i64, u64>,
}

/// Rows of one pair, by the time at which they were sent; both ends belong to it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Range {
    pub(super) pair: Subscription,
    pub(super) since: i64,
    pub(super) until: i64,
    /// Of a row that was given back.
    serial: Option<u64>,
}

/// What a look reads.
#[derive(Debug)]
pub(super) enum Scope {
    /// Everything. Rows that are given back from this number on may be missed.
    Full(u64),
    /// What lies past the rows that are claimed, and no pair of which this store has not been told.
    Known(Vec<Range>),
}

impl Default for Frontier {
    fn default() -> Self {
        Self { state: Mutex::default(), many: MANY }
    }
}

impl Reach {
    fn new() -> Self {
        Self { since: i64::MIN, returned: BTreeMap::new() }
    }

    fn put_back(&mut self, sent_at: i64, serial: u64) {
        if sent_at >= self.since {
            return;
        }
        self.returned.insert(sent_at, serial);
        if self.returned.len() > MOST_RETURNED {
            self.begin_at(self.returned.first_key_value().map_or(i64::MIN, |(first, _)| *first));
        }
    }

    fn begin_at(&mut self, since: i64) {
        self.since = since;
        self.returned.retain(|sent_at, _| *sent_at < since);
    }

    fn ranges(&self, pair: &Subscription) -> impl Iterator<Item = Range> {
        let of = |(since, serial): (&i64, &u64)| {
            let (since, serial) = (*since, Some(*serial));
            Range { pair: pair.clone(), since, until: since, serial }
        };
        self.returned.iter().map(of).chain([Range::from(pair, self.since)])
    }
}

impl Range {
    fn from(pair: &Subscription, since: i64) -> Self {
        Self { pair: pair.clone(), since, until: i64::MAX, serial: None }
    }
}

impl State {
    fn is_bounded(&self, many: usize) -> bool {
        let is_long = |(_, cost): (Instant, Duration)| self.claimed >= many || cost >= LONG;
        self.full.is_some_and(is_long)
    }

    /// How long there is no full look.
    fn rest(&self) -> Duration {
        self.full.map_or(Duration::ZERO, |(at, cost)| {
            (cost * SHARE).clamp(SHORTEST_PAUSE, LONGEST_PAUSE).saturating_sub(at.elapsed())
        })
    }

    /// Remembers from now on how far these are claimed, as long as there are fewer than `most`.
    fn know(&mut self, pairs: &[Subscription], most: usize) {
        for pair in pairs {
            if self.pairs.len() < most && !self.pairs.contains_key(pair) {
                self.pairs.insert(pair.clone(), Reach::new());
            }
        }
    }

    fn forget(&mut self, returned: &Range) {
        if let Some(reach) = self.pairs.get_mut(&returned.pair)
            && reach.returned.get(&returned.since) == returned.serial.as_ref()
        {
            reach.returned.remove(&returned.since);
        }
    }

    /// Begins elsewhere, unless that was changed since `range` was asked for.
    fn advance(&mut self, range: &Range, since: i64) {
        if let Some(reach) = self.pairs.get_mut(&range.pair)
            && reach.since == range.since
        {
            reach.begin_at(reach.since.max(since));
        }
    }
}

impl Frontier {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// This store claims rows of these.
    pub(super) fn takes(&self, pairs: &[Subscription]) {
        self.state().know(pairs, usize::MAX);
    }

    /// What a claim of these is to read.
    pub(super) fn ranges(&self, pairs: &[Subscription]) -> Vec<Range> {
        let mut state = self.state();
        state.know(pairs, MOST_PAIRS);
        let is_bounded = state.is_bounded(self.many);
        let mut ranges = Vec::with_capacity(pairs.len());
        for pair in pairs {
            match state.pairs.get(pair).filter(|_| is_bounded) {
                Some(reach) => ranges.extend(reach.ranges(pair)),
                None => ranges.push(Range::from(pair, i64::MIN)),
            }
        }
        ranges
    }

    /// A claim of these has taken `rows`, the newest of which was sent at `last`, as many as it
    /// asked for or `all` there were.
    pub(super) fn claimed(&self, ranges: &[Range], rows: usize, last: i64, all: bool) {
        let mut state = self.state();
        state.claimed = state.claimed.saturating_add(rows);
        state.claimed_lately = state.claimed_lately.saturating_add(rows);
        for range in ranges {
            match range.serial {
                Some(_) if all || range.until < last => state.forget(range),
                Some(_) => (),
                None if range.since == i64::MIN => {
                    // Not bounded: it has begun before everything that is known.
                    if let Some(reach) = state.pairs.get_mut(&range.pair) {
                        reach.begin_at(reach.since.max(last));
                    }
                }
                None => state.advance(range, last),
            }
        }
    }

    /// These can be claimed again, or now, although they may have been sent long ago.
    pub(super) fn put_back(&self, rows: impl IntoIterator<Item = (Subscription, i64)>) {
        let mut state = self.state();
        for (pair, sent_at) in rows {
            state.serial += 1;
            let serial = state.serial;
            if let Some(reach) = state.pairs.get_mut(&pair) {
                reach.put_back(sent_at, serial);
            }
        }
    }

    /// These are stored, maybe.
    pub(super) fn stored<'r>(&self, rows: impl IntoIterator<Item = &'r Incoming>) {
        for row in rows {
            match row.placement {
                Placement::Owned(_) => {}
                Placement::Unowned => {
                    let (envelope, sent_at) = (&row.envelope, to_micros(row.envelope.sent_at));
                    let (destination, message_type) =
                        (envelope.destination.clone(), envelope.message_type.to_string());
                    self.put_back([(Subscription { destination, message_type }, sent_at)]);
                }
                Placement::Scheduled(due_at) => self.scheduled(to_micros(due_at)),
            }
        }
    }

    /// A row waits for this time.
    pub(super) fn scheduled(&self, due_at: i64) {
        let mut state = self.state();
        state.due_since = state.due_since.map(|since| since.min(due_at));
    }

    /// Rows that may be older can be claimed: the next look is a full one.
    pub(super) fn start_over(&self) {
        self.state().full = None;
    }

    /// What the next look is to read, and from when on rows are due.
    pub(super) fn scope(&self) -> (Scope, i64) {
        let state = self.state();
        if !state.is_bounded(self.many) || state.rest().is_zero() {
            return (Scope::Full(state.serial), i64::MIN);
        }
        let ranges = state.pairs.iter().flat_map(|(pair, reach)| reach.ranges(pair));
        (Scope::Known(ranges.collect()), state.due_since.unwrap_or(i64::MIN))
    }

    /// A full look at this time has taken so long, and found these, with when the first was sent.
    /// Others wait for none if they would be `is_seen`.
    pub(super) fn looked(
        &self,
        asked: u64,
        now: i64,
        cost: Duration,
        found: &HashMap<Subscription, i64>,
        is_seen: impl Fn(&Subscription) -> bool,
    ) {
        let mut state = self.state();
        for (pair, reach) in state.pairs.iter_mut().filter(|(pair, _)| is_seen(pair)) {
            reach.returned.retain(|_, serial| *serial > asked);
            reach.begin_at(*found.get(pair).unwrap_or(&now.saturating_sub(MARGIN)));
        }
        if std::mem::take(&mut state.claimed_lately) == 0 {
            state.claimed = 0;
        }
        state.full = Some((Instant::now(), cost));
    }

    /// A look at these has found the first of their rows there, and none in the others. Says in how
    /// long there may be more.
    pub(super) fn looked_at(&self, ranges: &[Range], firsts: &HashMap<usize, i64>) -> Duration {
        let mut state = self.state();
        for (at, range) in ranges.iter().enumerate() {
            match (firsts.get(&at), range.serial) {
                (Some(first), None) => state.advance(range, *first),
                (None, Some(_)) => state.forget(range),
                _ => (),
            }
        }
        state.rest()
    }

    /// All rows that were due before this time are made so.
    pub(super) fn due(&self, since: i64) {
        self.state().due_since = Some(since);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::envelope::Address;

    const NOW: i64 = 1_000_000_000;

    fn pair() -> Subscription {
        let destination = Address::local("queue", "handler");
        Subscription { destination, message_type: "type@1".to_owned() }
    }

    /// One that has looked at a row of each pair that waits, and found it at 100.
    fn looked(many: usize, cost: Duration) -> Frontier {
        let frontier = Frontier { many, ..Frontier::default() };
        frontier.takes(&[pair()]);
        let Scope::Full(asked) = frontier.scope().0 else { panic!("the first look is full") };
        frontier.looked(asked, NOW, cost, &HashMap::from([(pair(), 100)]), |_| true);
        frontier
    }

    fn ends(frontier: &Frontier) -> Vec<(i64, i64)> {
        let ranges = frontier.ranges(&[pair()]).into_iter();
        ranges.map(|range| (range.since, range.until)).collect()
    }

    fn claim(frontier: &Frontier, rows: usize, last: i64, all: bool) {
        frontier.claimed(&frontier.ranges(&[pair()]), rows, last, all);
    }

    #[test]
    fn few_rows_are_claimed_from_the_start() {
        let frontier = looked(10, Duration::ZERO);
        claim(&frontier, 9, 200, false);
        assert_eq!(ends(&frontier), [(i64::MIN, i64::MAX)]);
        assert!(matches!(frontier.scope().0, Scope::Full(_)));
    }

    #[test]
    fn many_rows_are_claimed_past_the_last_and_those_of_its_time_again() {
        let frontier = looked(10, Duration::ZERO);
        claim(&frontier, 10, 200, false);
        assert_eq!(ends(&frontier), [(200, i64::MAX)]);
        claim(&frontier, 10, 300, false);
        assert_eq!(ends(&frontier), [(300, i64::MAX)]);
        assert!(matches!(frontier.scope().0, Scope::Known(_)));
    }

    #[test]
    fn where_a_look_took_long_the_first_claim_begins_at_what_it_found() {
        let frontier = looked(usize::MAX, LONG);
        assert_eq!(ends(&frontier), [(100, i64::MAX)]);
    }

    #[test]
    fn what_is_given_back_is_asked_for_until_it_was_claimed() {
        let frontier = looked(0, LONG);
        claim(&frontier, 10, 500, false);
        frontier.put_back([(pair(), 200), (pair(), 600), (pair(), 300)]);
        assert_eq!(ends(&frontier), [(200, 200), (300, 300), (500, i64::MAX)]);
        claim(&frontier, 1, 200, false);
        // There may be more of that time.
        assert_eq!(ends(&frontier), [(200, 200), (300, 300), (500, i64::MAX)]);
        claim(&frontier, 2, 300, false);
        assert_eq!(ends(&frontier), [(300, 300), (500, i64::MAX)]);
        claim(&frontier, 1, 300, true);
        assert_eq!(ends(&frontier), [(500, i64::MAX)]);
    }

    #[test]
    fn what_is_given_back_during_a_claim_is_not_lost() {
        let frontier = looked(0, LONG);
        claim(&frontier, 10, 500, false);
        frontier.put_back([(pair(), 200)]);
        let asked = frontier.ranges(&[pair()]);
        frontier.put_back([(pair(), 200)]);
        frontier.claimed(&asked, 1, 700, true);
        assert_eq!(ends(&frontier), [(200, 200), (700, i64::MAX)]);
    }

    #[test]
    fn more_than_is_remembered_begins_at_the_oldest() {
        let frontier = looked(0, LONG);
        claim(&frontier, 10, NOW, false);
        let asked = frontier.ranges(&[pair()]);
        frontier.put_back((0..=MOST_RETURNED as i64).map(|at| (pair(), 1_000 + at)));
        assert_eq!(ends(&frontier), [(1_000, i64::MAX)]);
        frontier.claimed(&asked, 1, NOW + 1, true);
        assert_eq!(ends(&frontier), [(1_000, i64::MAX)], "that claim began later");
    }

    #[test]
    fn a_full_look_that_finds_something_older_begins_there() {
        let frontier = looked(0, LONG);
        claim(&frontier, 10, 500, false);
        frontier.looked(0, NOW, LONG, &HashMap::from([(pair(), 50)]), |_| true);
        assert_eq!(ends(&frontier), [(50, i64::MAX)]);
        frontier.looked(0, NOW, LONG, &HashMap::new(), |_| true);
        assert_eq!(ends(&frontier), [(NOW - MARGIN, i64::MAX)]);
    }

    #[test]
    fn after_an_unknown_change_all_is_looked_at() {
        let frontier = looked(0, LONG);
        assert!(matches!(frontier.scope().0, Scope::Known(_)));
        frontier.start_over();
        assert!(matches!(frontier.scope().0, Scope::Full(_)));
        assert_eq!(ends(&frontier), [(i64::MIN, i64::MAX)]);
    }
}
