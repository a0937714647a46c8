//! The runtime's calls of the store: deadlines, health, and settlements that are repeated until the
//! store answers.

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::BoxFuture;
use tokio_util::sync::CancellationToken;

use super::health::{Health, Retries};
use crate::runtime::own::owned_rows::OwnedRows;
use crate::store::error::unless_it_panics;
use crate::store::{
    MessageStore, OutgoingSettlement, Settled, Settlement, StoreError, StoreOperation,
};
use crate::telemetry;

/// The application's store, if it has one, as the runtime calls it.
#[derive(Debug)]
pub(crate) struct StoreClient {
    store: Option<Arc<dyn MessageStore>>,
    /// How long a call may take whose outcome need not be known.
    deadline: Duration,
    health: Health,
    rows: Arc<OwnedRows>,
}

impl StoreClient {
    pub(crate) fn new(
        store: Option<Arc<dyn MessageStore>>,
        deadline: Duration,
        rows: Arc<OwnedRows>,
        ending: CancellationToken,
    ) -> Self {
        Self { store, deadline, health: Health::new(ending), rows }
    }

    /// The store itself.
    pub(crate) fn get(&self) -> Option<&dyn MessageStore> {
        self.store.as_deref()
    }

    /// The same, for work that goes on after its caller.
    pub(crate) const fn get_arc(&self) -> Option<&Arc<dyn MessageStore>> {
        self.store.as_ref()
    }

    /// Whether the application has a store.
    pub(crate) const fn is_configured(&self) -> bool {
        self.store.is_some()
    }

    /// How long a call may take whose outcome need not be known.
    pub(crate) const fn deadline(&self) -> Duration {
        self.deadline
    }

    pub(crate) const fn health(&self) -> &Health {
        &self.health
    }

    /// Whether the store notifies of rows that become claimable, so that polls may be rare.
    pub(crate) fn is_notified(&self) -> bool {
        self.store.as_ref().is_some_and(|store| store.nodes().is_notified())
    }

    /// A call whose outcome has to be known, however long it takes: to give up waiting would not
    /// undo it.
    pub(crate) async fn call_without_deadline<T>(
        &self,
        operation: StoreOperation,
        call: impl Future<Output = Result<T, StoreError>>,
    ) -> Result<T, StoreError> {
        let result = unless_it_panics(call).await;
        if result.is_err() {
            metrics::counter!(telemetry::STORE_ERRORS, "op" => operation.as_str()).increment(1);
            if !operation.only_reads() {
                // It may have been carried out all the same.
                self.rows.reconcile();
            }
            self.health.note_failure();
        } else if operation.shows_health() {
            self.health.note_success();
        }
        result
    }

    /// A call that may be given up, with its deadline.
    pub(crate) async fn call<T>(
        &self,
        operation: StoreOperation,
        call: impl Future<Output = Result<T, StoreError>>,
    ) -> Result<T, StoreError> {
        let limit = self.deadline;
        let call = tokio::time::timeout(limit, call);
        let known = async { call.await.unwrap_or(Err(StoreError::Deadline { limit })) };
        self.call_without_deadline(operation, known).await
    }

    /// Settles a row, however long the store is away. `None`: the application ended first.
    pub(crate) async fn settle(&self, settlement: Settlement) -> Option<Settled> {
        let settled = self.settle_all(vec![settlement]).await?;
        settled.first().copied()
    }

    /// Settles rows in one call, however long the store is away. `None`: the application ended
    /// first.
    pub(crate) async fn settle_all(&self, settlements: Vec<Settlement>) -> Option<Vec<Settled>> {
        let store = self.store.as_deref()?;
        let settle = || store.inbox().settle(settlements.clone());
        self.settled(StoreOperation::Settle, settle).await
    }

    /// Settles rows in one call, and tries it once.
    pub(crate) async fn settle_once(&self, settlements: Vec<Settlement>) -> Result<(), StoreError> {
        let Some(store) = self.store.as_deref() else {
            return Ok(());
        };
        let settle = || store.inbox().settle(settlements);
        self.settled_once(StoreOperation::Settle, settle).await.map(drop)
    }

    /// Settles rows of the outbox in one call, however long the store is away.
    pub(crate) async fn settle_outgoing(&self, settlements: Vec<OutgoingSettlement>) {
        let Some(store) = self.store.as_deref().filter(|_| !settlements.is_empty()) else {
            return;
        };
        let settle = || store.outbox().settle(settlements.clone());
        // Where the application ends first, its rows are given back.
        self.settled(StoreOperation::SettleOutgoing, settle).await;
    }

    async fn settled<'store>(
        &self,
        operation: StoreOperation,
        settle: impl Fn() -> BoxFuture<'store, Result<Vec<Settled>, StoreError>>,
    ) -> Option<Vec<Settled>> {
        let mut retries = Retries::new();
        loop {
            match self.settled_once(operation, &settle).await {
                Ok(settled) => return Some(settled),
                Err(error) => retries.wait(&self.health, operation, &error).await?,
            }
        }
    }

    async fn settled_once<'store>(
        &self,
        operation: StoreOperation,
        settle: impl FnOnce() -> BoxFuture<'store, Result<Vec<Settled>, StoreError>>,
    ) -> Result<Vec<Settled>, StoreError> {
        // A store can panic before it gives its future, too.
        let settled = self.call_without_deadline(operation, async { settle().await }).await?;
        self.note_fenced(operation, &settled);
        Ok(settled)
    }

    /// Notes that rows were not held as they were thought to be.
    pub(crate) fn note_fenced(&self, operation: StoreOperation, settled: &[Settled]) {
        let fenced = settled.iter().filter(|s| **s == Settled::Fenced).count();
        if fenced > 0 {
            let fenced = fenced as u64;
            metrics::counter!(telemetry::FENCED, "op" => operation.as_str()).increment(fenced);
            self.rows.reconcile();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_store_that_panics_before_it_gives_a_future_has_failed() {
        let limit = Duration::from_secs(1);
        let rows = Arc::new(OwnedRows::new(Vec::new(), limit, Arc::default()));
        let client = StoreClient::new(None, limit, rows, CancellationToken::new());
        let settle = || panic!("this panic is part of the test");
        client.settled_once(StoreOperation::Settle, settle).await.unwrap_err();
    }
}
