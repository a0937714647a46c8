//! Which settlements one statement can do together.

use crate::store::Settlement;

/// What a settlement in the inbox does. Those of a kind differ in their rows and values alone.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum SettlementKind {
    Handled,
    Attempt,
    Schedule,
    Release,
    DeadLetter,
}

impl SettlementKind {
    /// In the order in which their statements follow each other.
    pub(crate) const ALL: &'static [Self] =
        &[Self::Handled, Self::Attempt, Self::Schedule, Self::Release, Self::DeadLetter];

    pub(crate) const fn of(settlement: &Settlement) -> Self {
        match settlement {
            Settlement::Handled(_) => Self::Handled,
            Settlement::Attempt(_) => Self::Attempt,
            Settlement::Schedule(..) => Self::Schedule,
            Settlement::Release { .. } => Self::Release,
            Settlement::DeadLetter { .. } => Self::DeadLetter,
        }
    }
}
