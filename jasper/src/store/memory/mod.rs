//! A store in memory, with the same rules as the durable ones and no durability.

mod admin;
mod completion;
mod dead_letters;
mod inbox;
mod nodes;
mod outbox;
mod rows;

use std::fmt;
use std::future::ready;
use std::sync::Arc;

use futures_util::future::BoxFuture;
use parking_lot::{Mutex, MutexGuard};

use self::completion::MemoryTransaction;
use self::rows::State;
use super::{
    DeadLetters, Inbox, MessageStore, Nodes, Outbox, StoreAdmin, StoreError, StoreInfo,
    StoreTransaction, TransactionOptions,
};

/// What it is called in logs and errors.
const NAME: &str = "memory";

/// A message store that forgets everything with its process, for tests and for applications that
/// need no more. Clones share one state.
#[derive(Clone, Default)]
pub struct MemoryStore {
    state: Arc<Mutex<State>>,
}

impl MemoryStore {
    /// An empty store.
    pub fn new() -> Self {
        Self::default()
    }

    /// The state, for as long as nothing is awaited.
    ///
    /// A panic under the lock leaves each row as it was or as it should be, so it spoils nothing
    /// for others.
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock()
    }

    /// Does something under the lock, when the future is polled.
    fn with<'a, T: Send + 'a>(
        &'a self,
        act: impl FnOnce(&mut State) -> T + Send + 'a,
    ) -> BoxFuture<'a, Result<T, StoreError>> {
        Box::pin(async move { Ok(act(&mut self.state())) })
    }
}

impl fmt::Debug for MemoryStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MemoryStore").finish_non_exhaustive()
    }
}

impl MessageStore for MemoryStore {
    fn info(&self) -> StoreInfo {
        StoreInfo::new(NAME, None, false)
    }

    fn begin(
        &self,
        _begin: TransactionOptions,
    ) -> BoxFuture<'_, Result<Box<dyn StoreTransaction>, StoreError>> {
        let transaction = MemoryTransaction::new(self.clone());
        Box::pin(ready(Ok(Box::new(transaction) as Box<dyn StoreTransaction>)))
    }

    fn inbox(&self) -> &dyn Inbox {
        self
    }

    fn outbox(&self) -> &dyn Outbox {
        self
    }

    fn dead_letters(&self) -> &dyn DeadLetters {
        self
    }

    fn nodes(&self) -> &dyn Nodes {
        self
    }

    fn admin(&self) -> &dyn StoreAdmin {
        self
    }
}

/// There is no connection that could be of this store's type.
fn no_connection<T: Send + 'static>() -> BoxFuture<'static, Result<T, StoreError>> {
    Box::pin(ready(Err(StoreError::WrongConnection { store: NAME, given: "connection" })))
}
