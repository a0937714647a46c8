//! A store that fails by chance: errors before, errors after, and delays, by operation and rate.

mod plan;
mod ports;
mod transaction;

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use self::plan::Plan;
use crate::store::{MessageStore, StoreOperation};

/// Something that goes wrong with a call of a store.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Fault {
    /// It answers with an error, and nothing was done.
    Fail,
    /// It is done, and answers with an error all the same: a caller cannot tell it from
    /// [`Fail`](Self::Fail).
    FailAfter,
    /// It begins so much later.
    Delay(Duration),
}

/// What goes wrong, and how often: for a [`FaultyStore`].
///
/// The operations are those of the metric `jasper.store.errors`:
///
/// | port | operations |
/// | --- | --- |
/// | transactions | `begin`, `commit`, `rollback` |
/// | inbox | `store`, `store_within`, `claimable`, `claim`, `settle`, `release`, `owned` |
/// | outbox | `outbox_store`, `outbox_store_within`, `destinations` |
/// | outbox | `outbox_claim`, `outbox_settle`, `outbox_release`, `outbox_owned` |
/// | nodes | `now`, `join`, `renew`, `expired`, `alive` |
/// | nodes | `note_earlier`, `leave`, `forget`, `wait_for_notification` |
/// | dead letters | `dead_letter_store`, `dead_letter_list` |
/// | dead letters | `dead_letter_replay`, `dead_letter_discard` |
/// | housekeeping | `prepare`, `counts`, `purge`, `clear` |
///
/// They are those of [`StoreOperation`].
#[derive(Debug, Clone)]
pub struct Faults {
    seed: u64,
    rules: Vec<Rule>,
}

#[derive(Debug, Clone, Copy)]
struct Rule {
    operation: StoreOperation,
    fault: Fault,
    rate: f64,
}

impl Faults {
    /// None so far. The same seed lets the same calls of each operation fail, counted from its
    /// first.
    pub const fn seeded(seed: u64) -> Self {
        Self { seed, rules: Vec::new() }
    }

    /// Lets calls of this operation fail before anything is done, at a rate from 0 to 1.
    ///
    /// # Panics
    /// There is no such operation.
    #[must_use]
    pub fn fail(self, operation: &str, rate: f64) -> Self {
        self.with(operation, Fault::Fail, rate)
    }

    /// Lets calls of this operation answer with an error after they are done, at a rate from 0 to
    /// 1.
    ///
    /// # Panics
    /// There is no such operation.
    #[must_use]
    pub fn fail_after(self, operation: &str, rate: f64) -> Self {
        self.with(operation, Fault::FailAfter, rate)
    }

    /// Lets calls of this operation begin later, at a rate from 0 to 1.
    ///
    /// # Panics
    /// There is no such operation.
    #[must_use]
    pub fn delay(self, operation: &str, rate: f64, delay: Duration) -> Self {
        self.with(operation, Fault::Delay(delay), rate)
    }

    /// Adds a fault, at a rate from 0 to 1. Each that is added decides by itself; delays add up,
    /// and of those that fail the first one counts.
    ///
    /// # Panics
    /// There is no such operation: a name that is mistyped would test nothing.
    #[must_use]
    pub fn with(mut self, operation: &str, fault: Fault, rate: f64) -> Self {
        let known = StoreOperation::ALL.iter().find(|known| known.as_str() == operation);
        let known = known.unwrap_or_else(|| panic!("a store has no operation `{operation}`"));
        let operation = *known;
        self.rules.push(Rule { operation, fault, rate });
        self
    }
}

/// A store around another one, whose calls fail by chance. Clones share chance and counts.
///
/// What a store answers while it is away is [`StoreError::Unreachable`], and so are the errors
/// here.
///
/// ```standalone_crate
/// use std::time::Duration;
///
/// use jasper::prelude::*;
/// use jasper::store::memory::MemoryStore;
/// use jasper::testing::{Faults, FaultyStore};
/// use serde::{Deserialize, Serialize};
///
/// #[derive(Command, Serialize, Deserialize)]
/// struct Pay {
///     amount: i64,
/// }
///
/// #[handler]
/// #[durable]
/// async fn pay(_cmd: Pay) {}
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), jasper::Error> {
/// let faults = Faults::seeded(7)
///     .fail("store", 0.2)
///     .fail_after("settle", 0.5)
///     .delay("claim", 0.1, Duration::from_millis(5));
/// let store = FaultyStore::new(MemoryStore::new(), faults);
/// let app = Jasper::builder().store(store.clone()).start().await?;
/// for amount in 0..10 {
///     // With a deduplication key, what may have been accepted can be sent again.
///     while app.bus().send(Pay { amount }).deduplicate(amount.to_string()).await.is_err() {}
/// }
/// store.calm();
/// app.until_idle().await?;
/// println!("{:?}", store.injected());
/// app.stop().await
/// # }
/// ```
///
/// [`StoreError::Unreachable`]: crate::store::StoreError::Unreachable
pub struct FaultyStore<S> {
    store: Arc<S>,
    plan: Arc<Plan>,
}

impl<S: MessageStore> FaultyStore<S> {
    /// The store with these faults, from now on.
    pub fn new(store: S, faults: Faults) -> Self {
        Self { store: Arc::new(store), plan: Arc::new(Plan::new(faults)) }
    }

    /// The store inside, which has no faults but its own.
    pub fn inner(&self) -> &S {
        &self.store
    }

    /// Lets nothing fail from now on, so that what is left can be worked off.
    pub fn calm(&self) {
        self.plan.set_calm(true);
    }

    /// Lets calls fail again after [`calm`](Self::calm).
    pub fn resume(&self) {
        self.plan.set_calm(false);
    }

    /// How many faults there were by now, by operation; delays count too.
    pub fn injected(&self) -> BTreeMap<&'static str, u64> {
        self.plan.injected()
    }

    /// How many calls of this operation there were by now, whether or not they failed.
    pub fn calls(&self, operation: &str) -> u64 {
        self.plan.calls(operation)
    }

    /// How many faults there were by now in this operation.
    pub fn count(&self, operation: &str) -> u64 {
        self.plan.injected().get(operation).copied().unwrap_or(0)
    }
}

impl<S> Clone for FaultyStore<S> {
    fn clone(&self) -> Self {
        Self { store: Arc::clone(&self.store), plan: Arc::clone(&self.plan) }
    }
}

impl<S: fmt::Debug> fmt::Debug for FaultyStore<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FaultyStore").field("store", &self.store).finish_non_exhaustive()
    }
}
