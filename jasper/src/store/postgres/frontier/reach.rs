//! How far the rows of one pair are claimed, and what a claim or look of it is to read.

use std::collections::BTreeMap;

/// The most rows of one pair that are remembered one by one.
pub(super) const MOST_RETURNED: usize = 256;

/// How far the rows of one pair are claimed.
#[derive(Debug)]
pub(super) struct Reach {
    pub(super) since: i64,
    /// Older rows that were given back, each with a number that is new whenever that happens.
    pub(super) returned: BTreeMap<i64, u64>,
}

/// Rows of one pair, by the time at which they were sent; both ends belong to it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in super::super) struct Range<P> {
    pub(in super::super) pair: P,
    pub(in super::super) since: i64,
    pub(in super::super) until: i64,
    pub(super) part: Part,
}

/// What of the rows of its pair a range is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Part {
    /// Those of a time at which one was sent that was given back, with its number.
    Returned(u64),
    /// The others. This is how far the pair was claimed when the range was made, as the range may
    /// begin earlier.
    FromFrontier(i64),
}

impl Default for Reach {
    fn default() -> Self {
        Self { since: i64::MIN, returned: BTreeMap::new() }
    }
}

impl Reach {
    pub(super) fn put_back(&mut self, sent_at: i64, serial: u64) {
        self.returned.insert(sent_at, serial);
        if self.returned.len() > MOST_RETURNED {
            self.start_at(self.returned.first_key_value().map_or(i64::MIN, |(first, _)| *first));
        }
    }

    pub(super) fn start_at(&mut self, since: i64) {
        self.since = since;
        self.returned.retain(|sent_at, _| *sent_at < since);
    }

    pub(super) fn ranges<P: Clone>(&self, pair: &P) -> impl Iterator<Item = Range<P>> {
        let of = |(since, serial): (&i64, &u64)| {
            let (since, part) = (*since, Part::Returned(*serial));
            Range { pair: pair.clone(), since, until: since, part }
        };
        self.returned.iter().map(of).chain([Range::from_frontier(pair, self.since, self.since)])
    }
}

impl<P: Clone> Range<P> {
    /// From `since` on, where the pair is claimed up to `claimed`.
    pub(super) fn from_frontier(pair: &P, since: i64, claimed: i64) -> Self {
        Self { pair: pair.clone(), since, until: i64::MAX, part: Part::FromFrontier(claimed) }
    }
}
