//! The node port: leases under incarnation numbers that are never used twice.

use std::fmt;
use std::time::Duration;

use futures_util::future::BoxFuture;

use super::StoreError;

/// The number of one incarnation of a node. A process that joins again gets another.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Owner(i64);

impl Owner {
    /// The owner with this number.
    ///
    /// # Panics
    /// Never; numbers below 1 are taken for 1, as 0 stands for nobody in the tables.
    pub fn new(number: i64) -> Self {
        Self(number.max(1))
    }

    /// The number, from 1.
    pub const fn number(self) -> i64 {
        self.0
    }
}

impl fmt::Display for Owner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.0, f)
    }
}

/// The processes that share the database. Leases are counted in the database's time.
pub trait Nodes: Send + Sync {
    /// Joins under a new incarnation whose lease runs for `lease`.
    ///
    /// A store that can prove that no other process is alive ends the leases of all others here, so
    /// that their work is recovered at once.
    fn join(&self, name: &str, lease: Duration) -> BoxFuture<'_, Result<NodeLease, StoreError>>;

    /// Extends the lease. `false`: it had run out or was taken away, and this incarnation must not
    /// write again.
    fn renew(&self, owner: Owner, lease: Duration) -> BoxFuture<'_, Result<bool, StoreError>>;

    /// The owners that are gone, by lease or by leaving, and may still own rows.
    ///
    /// Also owners of rows that are not known as nodes: one that was forgotten may have written
    /// after that.
    fn expired(&self) -> BoxFuture<'_, Result<Vec<Owner>, StoreError>>;

    /// The owners whose leases run.
    fn alive(&self) -> BoxFuture<'_, Result<Vec<Owner>, StoreError>>;

    /// Ends the lease of an owner that stops. Its rows, if any are left, are recovered by others.
    fn leave(&self, owner: Owner) -> BoxFuture<'_, Result<(), StoreError>>;

    /// Forgets an owner that is gone and owns nothing any more.
    fn forget(&self, owner: Owner) -> BoxFuture<'_, Result<(), StoreError>>;
}

/// Membership, as [`Nodes::join`] gives it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NodeLease {
    /// The new incarnation.
    pub owner: Owner,
    /// For how long it is trusted unless renewed.
    pub lease: Duration,
}
