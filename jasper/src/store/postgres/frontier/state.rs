//! What is known of unowned rows, and what changes while a claim or look is under way.

use std::collections::HashMap;
use std::fmt::Debug;
use std::hash::Hash;
use std::time::{Duration, Instant};

use super::reach::{Part, Range, Reach};

/// A full look that takes longer has met many dead entries.
pub(super) const LONG: Duration = Duration::from_millis(100);

/// Full looks take at most a twentieth of the time.
const SHARE: u32 = 20;

const SHORTEST_PAUSE: Duration = Duration::from_millis(100);
pub(super) const LONGEST_PAUSE: Duration = Duration::from_secs(10);

/// What rows wait for.
pub(in super::super) trait Pair:
    Clone + Debug + Eq + Hash + Send + Sync + 'static
{
}

impl<P: Clone + Debug + Eq + Hash + Send + Sync + 'static> Pair for P {}

#[derive(Debug)]
pub(super) struct UnownedRows<P> {
    pub(super) pairs: HashMap<P, Reach>,
    /// Up to where scheduled rows were found due.
    pub(super) due_since: Option<i64>,
    /// When others will look for what is due, as this store has announced it.
    pub(super) announced: i64,
    /// How many rows were claimed since full looks were all there was, and since the last of them.
    pub(super) claimed: usize,
    pub(super) claimed_lately: usize,
    /// When the last full look ended, and how long it took; also of one that failed after a long
    /// time.
    pub(super) full: Option<(Instant, Duration)>,
    /// Rows that may be older can be claimed, and no full look was asked for since.
    pub(super) is_stale: bool,
    pub(super) serial: u64,
    /// How many looks were asked for that are not full.
    pub(super) known_looks: u64,
    /// By the serial number at which each was asked for.
    pub(super) under_way: HashMap<u64, SinceStart<P>>,
}

/// What has changed since a claim or look was asked for.
#[derive(Debug)]
pub(super) struct SinceStart<P> {
    /// When the first row of each pair was sent that lies past what is claimed.
    pub(super) returned: HashMap<P, i64>,
    pub(super) due_at: Option<i64>,
    pub(super) is_stale: bool,
}

impl<P> Default for UnownedRows<P> {
    fn default() -> Self {
        Self {
            pairs: HashMap::new(),
            due_since: None,
            announced: i64::MIN,
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

impl<P> Default for SinceStart<P> {
    fn default() -> Self {
        Self { returned: HashMap::new(), due_at: None, is_stale: false }
    }
}

impl<P: Pair> UnownedRows<P> {
    pub(super) fn is_bounded(&self, many: usize) -> bool {
        let is_long = |(_, cost): (Instant, Duration)| self.claimed >= many || cost >= LONG;
        self.full.is_some_and(is_long)
    }

    /// How long there is no full look.
    pub(super) fn remaining_pause(&self) -> Duration {
        let Some((at, cost)) = self.full else {
            return Duration::ZERO;
        };
        let pause = if !self.is_stale {
            (cost * SHARE).clamp(SHORTEST_PAUSE, LONGEST_PAUSE)
        } else if cost < LONG {
            Duration::ZERO
        } else {
            // As soon as possible, but full looks that are dear leave time for others.
            cost.min(LONGEST_PAUSE)
        };
        pause.saturating_sub(at.elapsed())
    }

    /// Remembers from now on how far these are claimed, as long as there are fewer than `most`.
    pub(super) fn know(&mut self, pairs: &[P], most: usize) {
        for pair in pairs {
            if self.pairs.len() < most && !self.pairs.contains_key(pair) {
                self.pairs.insert(pair.clone(), Reach::default());
            }
        }
    }

    /// `true`: a look that is not full finds it only by this note.
    pub(super) fn put_back(&mut self, pair: &P, sent_at: i64) -> bool {
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
    pub(super) fn scheduled(&mut self, due_at: i64) -> bool {
        for meanwhile in self.under_way.values_mut() {
            meanwhile.due_at = Some(meanwhile.due_at.map_or(due_at, |first| first.min(due_at)));
        }
        let is_past = self.due_since.is_some_and(|since| due_at < since);
        if is_past {
            self.due_since = Some(due_at);
        }
        is_past
    }

    pub(super) fn forget(&mut self, pair: &P, returned: i64, serial: u64) {
        if let Some(reach) = self.pairs.get_mut(pair)
            && reach.returned.get(&returned) == Some(&serial)
        {
            reach.returned.remove(&returned);
        }
    }

    /// Begins elsewhere, unless that was changed since `range` was asked for.
    pub(super) fn advance(&mut self, range: &Range<P>, since: i64, meanwhile: &SinceStart<P>) {
        let Part::FromFrontier(claimed) = range.part else {
            return;
        };
        let since = meanwhile.until(&range.pair, since);
        if let Some(reach) = self.pairs.get_mut(&range.pair)
            && reach.since == claimed
        {
            reach.start_at(reach.since.max(since));
        }
    }

    /// All rows that were due before this time are made so.
    pub(super) fn due(&mut self, since: i64, meanwhile: &SinceStart<P>) {
        self.due_since = Some(meanwhile.due_at.map_or(since, |due_at| due_at.min(since)));
    }
}

impl<P: Pair> SinceStart<P> {
    /// How far it may go that would have gone to `since`.
    pub(super) fn until(&self, pair: &P, since: i64) -> i64 {
        self.returned.get(pair).map_or(since, |first| since.min(*first))
    }
}
