//! This process as a node among those that share the store.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};
use std::time::Duration;

use tokio::sync::watch;
use tokio::time::Instant;

use super::local_lease::LocalLease;
use super::owned_rows::OwnedRows;
use crate::store::{Gone, Owner};

/// This process as a node among those that share the store.
#[derive(Debug)]
pub(crate) struct Node {
    owner: AtomicI64,
    local_lease: LocalLease,
    may_own: AtomicBool,
    gone: watch::Sender<Option<Gone>>,
    rows: Arc<OwnedRows>,
}

impl Node {
    /// A node that has just joined.
    pub(crate) fn new(owner: Option<Owner>, lease: Duration, rows: Arc<OwnedRows>) -> Self {
        Self {
            owner: AtomicI64::new(owner.map_or(0, Owner::number)),
            local_lease: LocalLease::until(Instant::now() + lease),
            may_own: AtomicBool::new(true),
            gone: watch::Sender::new(None),
            rows,
        }
    }

    /// The incarnation under which this process owns rows.
    pub(crate) fn owner(&self) -> Owner {
        Owner::new(self.owner.load(Ordering::Acquire))
    }

    /// Goes on under another incarnation.
    pub(crate) fn set_owner(&self, owner: Owner) {
        self.owner.store(owner.number(), Ordering::Release);
    }

    /// Until when this node may take its rows for its own.
    pub(crate) const fn local_lease(&self) -> &LocalLease {
        &self.local_lease
    }

    /// Whether this node may own rows in the store, as far as its last renewal says. A row that it
    /// is given later is found with the next renewal.
    pub(crate) fn may_own(&self) -> bool {
        self.may_own.load(Ordering::Acquire)
    }

    pub(crate) fn set_may_own(&self, may_own: bool) {
        self.may_own.store(may_own, Ordering::Release);
    }

    /// What the last renewal has found of owners that are gone; `None`: they are to be asked for.
    pub(crate) const fn gone(&self) -> &watch::Sender<Option<Gone>> {
        &self.gone
    }

    /// What is held in memory of the rows that this process owns.
    pub(crate) const fn rows(&self) -> &Arc<OwnedRows> {
        &self.rows
    }
}
