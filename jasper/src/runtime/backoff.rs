//! Pauses that grow from one failure to the next.

use std::time::Duration;

/// The pause before what failed is tried again: 50 ms at first, then each twice as long, up to 5 s.
#[derive(Debug)]
pub(crate) struct Backoff(Duration);

impl Backoff {
    pub(crate) const FIRST: Duration = Duration::from_millis(50);
    pub(crate) const LONGEST: Duration = Duration::from_secs(5);

    pub(crate) const fn new() -> Self {
        Self(Self::FIRST)
    }

    /// The pause that comes next.
    pub(crate) fn next(&mut self) -> Duration {
        let now = self.0;
        self.0 = (now * 2).min(Self::LONGEST);
        now
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_grow_up_to_the_longest() {
        let mut backoff = Backoff::new();
        let pauses: Vec<_> = (0..10).map(|_| backoff.next()).collect();
        assert_eq!(pauses[..3], [1, 2, 4].map(|times| Backoff::FIRST * times));
        assert!(pauses.is_sorted());
        assert_eq!(pauses[9], Backoff::LONGEST);
    }
}
