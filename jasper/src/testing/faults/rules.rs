//! Which faults there are, and how often.

use std::time::Duration;

use crate::store::StoreOperation;

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

/// What goes wrong, and how often: for a [`FaultyStore`](super::FaultyStore).
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
/// | housekeeping | `prepare`, `counts`, `purge`, `clear`, `check`, `rebuild` |
///
/// They are those of [`StoreOperation`].
#[derive(Debug, Clone)]
pub struct Faults {
    pub(super) seed: u64,
    pub(super) rules: Vec<Rule>,
}

#[derive(Debug, Clone, Copy)]
pub(super) struct Rule {
    pub(super) operation: StoreOperation,
    pub(super) fault: Fault,
    pub(super) rate: f64,
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
        let known = StoreOperation::ALL
            .iter()
            .find(|known| known.as_str() == operation)
            .unwrap_or_else(|| panic!("a store has no operation `{operation}`"));
        let operation = *known;
        self.rules.push(Rule { operation, fault, rate });
        self
    }
}
