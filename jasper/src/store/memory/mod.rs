//! A store in memory, with the same rules as the durable ones and no durability.
//!
//! [`guide::memory`](crate::guide::memory) is its page.

mod admin;
mod completion;
mod dead_letters;
mod inbox;
mod nodes;
mod outbox;
mod rows;
mod store;

use std::future::ready;

use futures_util::future::BoxFuture;

use self::completion::MemoryTransaction;
use self::store::NAME;
use super::{
    DeadLetters, Inbox, MessageStore, Nodes, Outbox, StoreAdmin, StoreError, StoreInfo,
    StoreTransaction, TransactionOptions,
};

pub use self::store::MemoryStore;

impl MessageStore for MemoryStore {
    fn info(&self) -> StoreInfo {
        StoreInfo::new(NAME, None, false)
    }

    fn begin(
        &self,
        _options: TransactionOptions,
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
