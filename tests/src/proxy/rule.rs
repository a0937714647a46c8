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

/// What is lost on a connection that falls silent, before all that comes after it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Lost {
    /// The request: the server waits for it.
    Request,
    /// The answer: the server has done what it was asked for.
    Answer,
}

/// What becomes of a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Fate {
    Cut(Moment),
    Silent(Lost),
}

/// What is cut or falls silent, and how often.
pub(super) struct Rule {
    what: What,
    how: How,
}

#[derive(Debug)]
enum How {
    Cut(Chance),
    /// This many more times.
    Swallow(Lost, u64),
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

impl How {
    fn decide(&mut self) -> Option<Fate> {
        match self {
            Self::Cut(chance) => chance.decide().map(Fate::Cut),
            Self::Swallow(lost, times) => {
                *times = times.checked_sub(1)?;
                Some(Fate::Silent(*lost))
            }
        }
    }
}

impl Rule {
    pub(super) fn commits(chance: Chance) -> Self {
        Self { what: What::Commits, how: How::Cut(chance) }
    }

    pub(super) fn swallow_commits(lost: Lost, times: u64) -> Self {
        Self { what: What::Commits, how: How::Swallow(lost, times) }
    }

    pub(super) fn swallow(
        is_meant: impl FnMut(&[u8]) -> bool + Send + 'static,
        lost: Lost,
        times: u64,
    ) -> Self {
        Self { what: What::Bytes(Box::new(is_meant)), how: How::Swallow(lost, times) }
    }

    pub(super) fn bytes(
        is_meant: impl FnMut(&[u8]) -> bool + Send + 'static,
        chance: Chance,
    ) -> Self {
        Self { what: What::Bytes(Box::new(is_meant)), how: How::Cut(chance) }
    }

    /// What becomes of the connection with these bytes of its client. A commit ends in them, or
    /// not.
    pub(super) fn decide(&mut self, chunk: &[u8], has_commit: bool) -> Option<Fate> {
        let is_meant = match &mut self.what {
            What::Commits => has_commit,
            What::Bytes(is_meant) => is_meant(chunk),
        };
        if is_meant { self.how.decide() } else { None }
    }
}

impl fmt::Debug for Rule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Rule").field("how", &self.how).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_seed_cuts_at_its_rate_and_at_both_moments() {
        let chance = Chance::Sometimes { probability: 0.3, seed: Seed::from_env() };
        let mut rule = Rule::commits(chance);
        let decisions: Vec<_> = (0..10_000).map(|_| rule.decide(b"", true)).collect();
        let count = |moment| decisions.iter().filter(|d| **d == Some(Fate::Cut(moment))).count();
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
        assert_eq!(rule.decide(b"x", false), Some(Fate::Cut(Moment::Answered)));
    }

    #[test]
    fn so_many_connections_fall_silent_and_no_more() {
        let mut rule = Rule::swallow_commits(Lost::Answer, 2);
        let decisions = [true, false, true, true].map(|commit| rule.decide(b"", commit));
        let silent = Some(Fate::Silent(Lost::Answer));
        assert_eq!(decisions, [silent, None, silent, None]);
    }
}
