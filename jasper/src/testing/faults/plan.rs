//! Which call fails, and how: by the seed, the operation and the number of the call.

use std::collections::BTreeMap;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::atomic::{AtomicBool, Ordering};

use std::time::Duration;

use fastrand::Rng;
use parking_lot::{Mutex, MutexGuard};

use super::rules::{Fault, Faults};
use crate::store::{StoreError, StoreOperation};

/// What all clones of a store share.
pub(super) struct Plan {
    faults: Faults,
    is_calm: AtomicBool,
    tallies: Mutex<BTreeMap<StoreOperation, Tally>>,
}

#[derive(Debug, Clone, Copy, Default)]
struct Tally {
    calls: u64,
    injected: u64,
}

/// What becomes of one call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct DrawnFault {
    delay: Duration,
    failure: FailurePoint,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum FailurePoint {
    None,
    Before,
    After,
}

impl Plan {
    pub(super) fn new(faults: Faults) -> Self {
        Self { faults, is_calm: AtomicBool::new(false), tallies: Mutex::default() }
    }

    pub(super) fn set_calm(&self, is_calm: bool) {
        self.is_calm.store(is_calm, Ordering::SeqCst);
    }

    pub(super) fn calls(&self, operation: &str) -> u64 {
        let tallies = self.tallies();
        let of_name = tallies.iter().find(|(known, _)| known.as_str() == operation);
        of_name.map_or(0, |(_, tally)| tally.calls)
    }

    pub(super) fn injected(&self) -> BTreeMap<&'static str, u64> {
        let tallies = self.tallies();
        let some = tallies.iter().filter(|(_, tally)| tally.injected > 0);
        some.map(|(operation, tally)| (operation.as_str(), tally.injected)).collect()
    }

    /// Does it, or not, as fate has it.
    pub(super) async fn meet<T>(
        &self,
        operation: StoreOperation,
        call: impl Future<Output = Result<T, StoreError>>,
    ) -> Result<T, StoreError> {
        let fate = self.draw(operation);
        if !fate.delay.is_zero() {
            tokio::time::sleep(fate.delay).await;
        }
        match fate.failure {
            FailurePoint::None => call.await,
            FailurePoint::Before => Err(injected(operation, "before it was done")),
            FailurePoint::After => match call.await {
                Ok(_unheard) => Err(injected(operation, "after it was done")),
                Err(error) => Err(error),
            },
        }
    }

    fn draw(&self, operation: StoreOperation) -> DrawnFault {
        let mut fate = DrawnFault { delay: Duration::ZERO, failure: FailurePoint::None };
        let mut tallies = self.tallies();
        let tally = tallies.entry(operation).or_default();
        tally.calls += 1;
        if self.is_calm.load(Ordering::SeqCst) {
            return fate;
        }
        for (number, rule) in self.faults.rules.iter().enumerate() {
            let is_drawn = || self.fraction(operation, tally.calls, number) < rule.rate;
            if rule.operation != operation || !is_drawn() {
                continue;
            }
            match rule.fault {
                Fault::Delay(delay) => fate.delay += delay,
                Fault::Fail if fate.failure == FailurePoint::None => {
                    fate.failure = FailurePoint::Before;
                }
                Fault::FailAfter if fate.failure == FailurePoint::None => {
                    fate.failure = FailurePoint::After;
                }
                Fault::Fail | Fault::FailAfter => {}
            }
        }
        let is_fault = !fate.delay.is_zero() || fate.failure != FailurePoint::None;
        tally.injected += u64::from(is_fault);
        fate
    }

    /// From 0 to 1: what this call draws for this rule.
    fn fraction(&self, operation: StoreOperation, call: u64, rule: usize) -> f64 {
        // A seed for each, so that calls of other operations in between change nothing.
        let mut hasher = DefaultHasher::new();
        (self.faults.seed, operation.as_str(), call, rule).hash(&mut hasher);
        Rng::with_seed(hasher.finish()).f64()
    }

    fn tallies(&self) -> MutexGuard<'_, BTreeMap<StoreOperation, Tally>> {
        self.tallies.lock()
    }
}

fn injected(operation: StoreOperation, when: &str) -> StoreError {
    StoreError::Unreachable {
        place: "a faulty store".to_owned(),
        detail: format!("injected in `{operation}`, {when}"),
        source: None,
    }
}

#[cfg(test)]
mod tests {
    use std::future::ready;

    use super::*;

    fn plan(faults: Faults) -> Plan {
        Plan::new(faults)
    }

    fn fates(plan: &Plan, operation: StoreOperation) -> Vec<DrawnFault> {
        (0..10_000).map(|_| plan.draw(operation)).collect()
    }

    #[test]
    fn the_same_seed_draws_the_same_fates_and_another_one_others() {
        let of =
            |seed| fates(&plan(Faults::seeded(seed).fail("store", 0.5)), StoreOperation::Store);
        assert_eq!(of(7), of(7));
        assert_ne!(of(7), of(8));
    }

    #[test]
    fn faults_come_at_their_rates_and_are_counted() {
        let faults = Faults::seeded(7).fail("store", 0.1).fail_after("store", 0.2);
        let plan = plan(faults.delay("claim", 0.3, Duration::from_millis(1)));
        let count = |failure| {
            fates(&plan, StoreOperation::Store).iter().filter(|f| f.failure == failure).count()
        };
        assert!((900..1_100).contains(&count(FailurePoint::Before)));
        assert!((1_650..1_950).contains(&count(FailurePoint::After)), "0.2 of those that are left");
        let delayed =
            fates(&plan, StoreOperation::Claim).iter().filter(|fate| !fate.delay.is_zero()).count();
        assert!((2_800..3_200).contains(&delayed), "{delayed}");
        assert_eq!(plan.injected()["claim"], delayed as u64);
        assert_eq!(
            fates(&plan, StoreOperation::Settle).iter().find(|f| f.failure != FailurePoint::None),
            None
        );
        assert_eq!(plan.injected().get("settle"), None);
    }

    #[tokio::test]
    async fn a_call_fails_without_being_made_or_after_it_was_made() {
        for (faults, made) in [
            (Faults::seeded(7).fail("store", 1.0), false),
            (Faults::seeded(7).fail_after("store", 1.0), true),
        ] {
            let (plan, is_made) = (plan(faults), AtomicBool::new(false));
            let call = async {
                is_made.store(true, Ordering::SeqCst);
                Ok(())
            };
            let error = plan.meet(StoreOperation::Store, call).await.unwrap_err();
            assert!(error.is_transient() && error.to_string().contains("injected"), "{error}");
            assert_eq!(is_made.load(Ordering::SeqCst), made);
            plan.set_calm(true);
            plan.meet(StoreOperation::Store, ready(Ok(()))).await.unwrap();
            plan.set_calm(false);
            plan.meet(StoreOperation::Store, ready(Ok(()))).await.unwrap_err();
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_delayed_call_is_made_later() {
        let second = Duration::from_secs(1);
        let plan = plan(Faults::seeded(7).delay("store", 1.0, second));
        let started = tokio::time::Instant::now();
        plan.meet(StoreOperation::Store, ready(Ok(()))).await.unwrap();
        assert_eq!(started.elapsed(), second);
    }

    #[test]
    #[should_panic(expected = "a store has no operation `stroe`")]
    fn an_operation_that_is_mistyped_does_not_go_unnoticed() {
        drop(Faults::seeded(7).fail("stroe", 1.0));
    }
}
