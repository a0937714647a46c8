//! A store that fails by chance: errors before, errors after, and delays, by operation and rate.

mod plan;
mod ports;
mod rules;
mod transaction;

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use self::plan::Plan;
use crate::store::MessageStore;

pub use self::rules::{Fault, Faults};

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
