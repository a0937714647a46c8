//! The transaction in which a durable handler runs.

use std::any::{Any, TypeId, type_name};
use std::fmt;
use std::time::Duration;

use futures_util::future::BoxFuture;

use super::error::StoreError;
use super::inbox::{Inserted, Settled};
use super::record::{Incoming, Outgoing, Ownership};

/// A connection that a durable handler may take as `&mut`.
///
/// Each store implements it for its own type, such as `sqlx::SqliteConnection`.
#[diagnostic::on_unimplemented(
    message = "`&mut {Self}` is not a connection of any store",
    label = "no store hands this out",
    note = "a `#[durable]` handler takes the connection of its store, such as \
            `&mut sqlx::SqliteConnection`",
    note = "everything else is taken by value, for example `State<T>`"
)]
pub trait Connection: Any + Send {}

/// A connection type as data, so that handlers and store can be compared at start.
#[derive(Clone, Copy)]
pub struct ConnectionType {
    id: fn() -> TypeId,
    name: fn() -> &'static str,
}

impl ConnectionType {
    /// The type `C`.
    pub const fn of<C: Connection>() -> Self {
        Self { id: TypeId::of::<C>, name: type_name::<C> }
    }

    /// Its Rust path.
    pub fn name(self) -> &'static str {
        (self.name)()
    }
}

impl PartialEq for ConnectionType {
    fn eq(&self, other: &Self) -> bool {
        (self.id)() == (other.id)()
    }
}

impl fmt::Debug for ConnectionType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// A transaction of the user's own, into which `Bus::enlist` writes messages.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not an open transaction",
    label = "messages cannot join this",
    note = "begin one and enlist it: `let mut tx = pool.begin().await?; bus.enlist(&mut tx)`"
)]
pub trait TransactionScope: Send {
    /// The connection on which it is open.
    type Connection: Connection;

    /// That connection.
    fn connection(&mut self) -> &mut Self::Connection;
}

/// What a transaction is for, and how many runs may share it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TransactionOptions {
    /// What it is for, as logs name it: the name of the handler.
    pub label: &'static str,
    /// How many runs of the handler may share one transaction, each in a savepoint of its own. 1
    /// means that it is shared with none; a store that always or never shares ignores it.
    pub share: u32,
    /// Set where the run may be what spoiled a shared transaction: it shares with none, also in a
    /// store that always shares.
    pub isolated: bool,
    /// How long the handler may take, after which the runtime drops the transaction. Together with
    /// some reserve it is the time after which the server may end a session that does nothing.
    /// Zero where no handler runs in it.
    pub limit: Duration,
}

impl TransactionOptions {
    /// A transaction under this label, shared with none, in which no handler runs.
    pub const fn of(label: &'static str) -> Self {
        Self { label, share: 1, isolated: false, limit: Duration::ZERO }
    }
}

/// One transaction for one run of a durable handler.
///
/// Dropping it rolls it back, also where a time-out drops the handler in the middle.
pub trait StoreTransaction: Send {
    /// The connection, of the type that the store's info names; `None` for a store without
    /// connections.
    fn connection(&mut self) -> Option<&mut (dyn Any + Send)>;

    /// Writes the completion and commits all, or nothing.
    ///
    /// Returns [`Settled::Fenced`] where `completion.handled` is no longer owned as it says: then
    /// everything is rolled back, the handler's rows too.
    ///
    /// # Errors
    /// [`StoreError::TransactionEnded`] and [`StoreError::CommitRefused`]: nothing is committed,
    /// and the handler is at fault. It costs the message an attempt; the handler's policy says
    /// whether it is tried again or becomes a dead letter.
    ///
    /// Any other: the commit may or may not have happened. The run is repeated once the store is
    /// well, in a transaction that is shared with none; it is fenced if the commit has happened.
    /// The first five of these cost no attempt, each further one does. `Bus::invoke` is never
    /// repeated: its caller gets the error.
    ///
    /// # Cancel safety
    /// The runtime goes on with it when its own caller is gone. Dropped all the same, as at the end
    /// of a stop, all of it is committed or nothing.
    fn commit(
        self: Box<Self>,
        completion: Completion,
    ) -> BoxFuture<'static, Result<Committed, StoreError>>;

    /// Undoes all that was done in it. Called after a run that failed; the next run of the message
    /// does not begin before it returns.
    ///
    /// # Errors
    /// Nothing is committed in either case. A [transient](StoreError::is_transient) error takes the
    /// place of the handler's failure, which may only follow from it: the run is repeated as after
    /// a [commit](Self::commit) that failed. Any other one is logged, and the handler's failure
    /// counts.
    fn rollback(self: Box<Self>) -> BoxFuture<'static, Result<(), StoreError>>;
}

/// What is written with the handler's own rows.
#[derive(Debug, Clone, Default)]
pub struct Completion {
    /// The handled message; `None` for a handler that was invoked.
    pub handled: Option<Ownership>,
    /// Messages for handlers of this application.
    pub incoming: Vec<Incoming>,
    /// Messages for other processes.
    pub outgoing: Vec<Outgoing>,
}

/// How a commit ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Committed {
    /// Whether the handled message was still owned.
    pub settled: Settled,
    /// What became of each of `completion.incoming`; empty if fenced.
    pub incoming: Vec<Inserted>,
    /// What became of each of `completion.outgoing`; empty if fenced.
    pub outgoing: Vec<Inserted>,
}
