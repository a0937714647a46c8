//! What happens to a message whose handler has failed.

use std::time::Duration;

/// How many attempts a message has, and how long it waits before each further one.
///
/// The first retries follow at once; the delays stand before the last attempts. A message that
/// waits holds no worker; one that is stored waits in the store, any other in memory.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ErrorPolicy {
    attempts: u32,
    delays: Vec<Duration>,
}

/// What to do with a message that has failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// Run the handler again now.
    RetryNow,
    /// Let it wait this long.
    RetryAfter(Duration),
    /// Make it a dead letter.
    GiveUp,
}

/// Retries that follow at once where nothing else is said.
const QUICK_RETRIES: u32 = 3;

/// Delays after the quick retries where nothing else is said.
const DELAYS: [Duration; 3] =
    [Duration::from_secs(10), Duration::from_secs(60), Duration::from_secs(300)];

impl Default for ErrorPolicy {
    /// Seven attempts: three retries at once, then after 10 s, 1 min and 5 min.
    fn default() -> Self {
        Self::of(None, None)
    }
}

impl ErrorPolicy {
    /// The policy that `#[handler(attempts = …, delays = […])]` asks for.
    ///
    /// Without `delays`, attempts beyond the quick retries wait 10 s, 1 min, then 5 min each.
    /// Without `attempts`, the delays follow three quick retries. Of more delays than there are
    /// further attempts, the first are taken.
    pub fn of(attempts: Option<u32>, delays: Option<&[Duration]>) -> Self {
        match (attempts, delays) {
            (None, delays) => Self::quick_then(delays.unwrap_or(&DELAYS).to_vec()),
            (Some(attempts), Some(delays)) => {
                let attempts = attempts.max(1);
                let waiting = delays.len().min(attempts as usize - 1);
                Self { attempts, delays: delays[..waiting].to_vec() }
            }
            (Some(attempts), None) => {
                let waiting = attempts.saturating_sub(1 + QUICK_RETRIES);
                let last = DELAYS[DELAYS.len() - 1];
                let delays = (0..waiting as usize).map(|n| DELAYS.get(n).copied().unwrap_or(last));
                Self { attempts: attempts.max(1), delays: delays.collect() }
            }
        }
    }

    fn quick_then(delays: Vec<Duration>) -> Self {
        let waiting = u32::try_from(delays.len()).unwrap_or(u32::MAX);
        Self { attempts: waiting.saturating_add(1 + QUICK_RETRIES), delays }
    }

    /// The same number of attempts, of which each follows at once.
    #[must_use]
    pub fn without_delays(self) -> Self {
        Self { delays: Vec::new(), ..self }
    }

    /// The most attempts, the first included.
    pub const fn attempts(&self) -> u32 {
        self.attempts
    }

    /// What follows when attempt number `attempt`, counted from 1, has failed.
    pub fn verdict(&self, attempt: u32) -> Verdict {
        if attempt >= self.attempts {
            return Verdict::GiveUp;
        }
        let left = (self.attempts - attempt) as usize;
        match self.delays.len().checked_sub(left) {
            Some(next) => Verdict::RetryAfter(self.delays[next]),
            None => Verdict::RetryNow,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn verdicts(policy: &ErrorPolicy) -> Vec<Verdict> {
        (1..=policy.attempts()).map(|n| policy.verdict(n)).collect()
    }

    #[test]
    fn the_default_retries_three_times_at_once_then_waits_three_times_then_gives_up() {
        let [a, b, c] = DELAYS.map(Verdict::RetryAfter);
        let now = Verdict::RetryNow;
        assert_eq!(verdicts(&ErrorPolicy::default()), [now, now, now, a, b, c, Verdict::GiveUp]);
    }

    #[test]
    fn without_delays_there_are_as_many_attempts() {
        let policy = ErrorPolicy::default().without_delays();
        let now = Verdict::RetryNow;
        assert_eq!(verdicts(&policy), [now, now, now, now, now, now, Verdict::GiveUp]);
    }

    #[test]
    fn one_attempt_means_no_retry() {
        assert_eq!(verdicts(&ErrorPolicy::of(Some(1), None)), [Verdict::GiveUp]);
    }

    #[test]
    fn given_delays_stand_before_the_last_attempts() {
        let second = Duration::from_secs(1);
        let policy = ErrorPolicy::of(Some(3), Some(&[second]));
        assert_eq!(
            verdicts(&policy),
            [Verdict::RetryNow, Verdict::RetryAfter(second), Verdict::GiveUp]
        );
    }

    #[test]
    fn many_attempts_repeat_the_longest_delay() {
        let policy = ErrorPolicy::of(Some(9), None);
        assert_eq!(policy.verdict(8), Verdict::RetryAfter(DELAYS[2]));
        assert_eq!(policy.verdict(7), Verdict::RetryAfter(DELAYS[2]));
    }

    #[test]
    fn an_attempt_beyond_the_last_gives_up() {
        assert_eq!(ErrorPolicy::default().verdict(100), Verdict::GiveUp);
    }
}
