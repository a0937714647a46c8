//! How the clauses get at a store and at the user's own rows in its database.

use std::any::Any;
use std::future::{Future, ready};

use futures_util::future::BoxFuture;

use crate::store::MessageStore;

/// Opens stores for the clauses.
pub trait StoreFixture: Send + Sync {
    /// The store under test.
    type Store: MessageStore;

    /// Whatever must live as long as the store, such as a directory that goes away with it.
    type Guard: Send + Sync;

    /// A new store with nothing in it, prepared, that shares its database with no other.
    fn open(&self) -> impl Future<Output = (Self::Store, Self::Guard)> + Send;

    /// A new store in whose database nothing is made yet. `None` for a store without migrations.
    fn open_unprepared(&self) -> impl Future<Output = Option<(Self::Store, Self::Guard)>> + Send {
        ready(None)
    }

    /// Executes a script in the database of a store, as a person does who applies a migration by
    /// hand.
    fn execute(&self, _store: &Self::Store, _script: &str) -> impl Future<Output = ()> + Send {
        ready(())
    }

    /// Closes a durable store and opens its database again. `None` for one that is not durable.
    fn reopen(
        &self,
        store: Self::Store,
        _guard: &Self::Guard,
    ) -> impl Future<Output = Option<Self::Store>> + Send {
        drop(store);
        ready(None)
    }

    /// How many runs may share one of the transactions that the clauses begin.
    fn share(&self) -> u32 {
        1
    }

    /// Whether transactions that write different rows do not wait for each other, as where a
    /// database locks rows and not the whole file.
    fn locks_rows(&self) -> bool {
        false
    }

    /// How to write rows as a user does. `None` for a store without connections.
    fn effects(&self) -> Option<&dyn Effects<Self::Store>> {
        None
    }
}

/// Rows of a user's own, in a table that the fixture makes when it opens a store.
pub trait Effects<S>: Sync {
    /// Inserts a row with this number through the connection of a store's transaction.
    fn write<'a>(&'a self, connection: &'a mut (dyn Any + Send), number: i64) -> BoxFuture<'a, ()>;

    /// Counts the rows that are committed.
    fn count<'a>(&'a self, store: &'a S) -> BoxFuture<'a, u64>;

    /// Opens a transaction on a connection of the user's own.
    fn begin<'a>(&'a self, store: &'a S) -> BoxFuture<'a, Box<dyn OwnTransaction>>;
}

/// A transaction on a connection of the user's own.
pub trait OwnTransaction: Send {
    /// The connection, as it is given to `store_within`.
    fn connection(&mut self) -> &mut (dyn Any + Send);

    /// Commits it.
    fn commit(self: Box<Self>) -> BoxFuture<'static, ()>;

    /// Rolls it back.
    fn rollback(self: Box<Self>) -> BoxFuture<'static, ()>;
}
