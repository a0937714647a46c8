//! When a connection is cut.

use std::fmt;

use crate::Seed;

/// How often a connection is cut where it could be.
#[derive(Debug, Clone)]
pub enum Chance {
    /// Each time, and then.
    Always(Moment),
    /// With this probability, and then at either moment.
    Sometimes {
        /// From 0 to 1.
        probability: f64,
        /// What decides.
        seed: Seed,
    },
}

/// When, after a request was forwarded, the connection is closed. The client cannot tell which.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Moment {
    /// After the server has answered, so that it has done what it was asked for. The answer is
    /// lost.
    Answered,
    /// At once: the server may do it, or not, and may do it later.
    Forwarded,
}

/// What is cut, and how often.
pub(super) struct Rule {
    what: What,
    chance: Chance,
}

enum What {
    Commits,
    Bytes(Predicate),
}

type Predicate = Box<dyn FnMut(&[u8]) -> bool + Send>;

impl Chance {
    fn decide(&mut self) -> Option<Moment> {
        match self {
            Self::Always(moment) => Some(*moment),
            Self::Sometimes { probability, seed } => {
                let (is_cut, is_early) = (seed.fraction() < *probability, seed.fraction() < 0.5);
                let moment = if is_early { Moment::Forwarded } else { Moment::Answered };
                is_cut.then_some(moment)
            }
        }
    }
}

impl Rule {
    pub(super) fn commits(chance: Chance) -> Self {
        Self { what: What::Commits, chance }
    }

    pub(super) fn bytes(
        is_meant: impl FnMut(&[u8]) -> bool + Send + 'static,
        chance: Chance,
    ) -> Self {
        Self { what: What::Bytes(Box::new(is_meant)), chance }
    }

    /// Whether to cut the connection after these bytes of its client, and whether at once. A commit
    /// ends in them, or not.
    pub(super) fn decide(&mut self, chunk: &[u8], has_commit: bool) -> Option<Moment> {
        let is_meant = match &mut self.what {
            What::Commits => has_commit,
            What::Bytes(is_meant) => is_meant(chunk),
        };
        if is_meant { self.chance.decide() } else { None }
    }
}

impl fmt::Debug for Rule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Rule").field("chance", &self.chance).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_seed_cuts_as_often_as_it_is_told_and_at_both_moments() {
        let chance = Chance::Sometimes { probability: 0.3, seed: Seed::from_env() };
        let mut rule = Rule::commits(chance);
        let decisions: Vec<_> = (0..10_000).map(|_| rule.decide(b"", true)).collect();
        let count = |moment| decisions.iter().filter(|d| **d == Some(moment)).count();
        let (answered, forwarded) = (count(Moment::Answered), count(Moment::Forwarded));
        assert!((1_200..1_800).contains(&answered), "{answered} of 10000 after the answer");
        assert!((1_200..1_800).contains(&forwarded), "{forwarded} of 10000 at once");
    }

    #[test]
    fn nothing_is_cut_where_nothing_is_meant() {
        let always = Chance::Always(Moment::Answered);
        assert_eq!(Rule::commits(always.clone()).decide(b"COMMIT", false), None);
        let mut rule = Rule::bytes(|bytes| bytes.starts_with(b"x"), always);
        assert_eq!(rule.decide(b"y", true), None);
        assert_eq!(rule.decide(b"x", false), Some(Moment::Answered));
    }
}
