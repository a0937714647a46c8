//! The port to a database: what the runtime asks of a message store.
//!
//! A *message store* is meant in the sense of durable messaging: inbox, outbox, dead letters and
//! nodes in the user's own database. Implement [`MessageStore`] to bring a store of your own, and
//! run the clauses of `jasper::testing::conformance` against it.

mod dead_letter;
pub(crate) mod error;
mod inbox;
pub mod memory;
mod migration_script;
#[cfg(feature = "mysql")]
pub mod mysql;
mod node;
mod operation;
mod outbox;
mod portions;
#[cfg(feature = "postgres")]
pub mod postgres;
mod record;
#[cfg(any(feature = "sqlite", feature = "postgres", feature = "mysql", feature = "sqlserver"))]
mod sql;
#[cfg(feature = "sqlite")]
pub mod sqlite;
#[cfg(feature = "sqlserver")]
pub mod sqlserver;
mod transaction;
mod weights;

use std::any::TypeId;
use std::error::Error;
use std::fmt;

use futures_util::future::BoxFuture;

pub use self::dead_letter::{
    DeadLetter, DeadLetterId, DeadLetterPlace, DeadLetterQuery, DeadLetterReason, DeadLetters,
};
pub use self::error::StoreError;
#[cfg(any(
    feature = "sqlite",
    feature = "postgres",
    feature = "mysql",
    feature = "sqlserver"
))]
pub(crate) use self::inbox::interrupted_by;
pub(crate) use self::inbox::may_have_left;
pub use self::inbox::{
    ClaimRequest, Claimable, ClaimableRequest, Claimed, Inbox, Inserted, NextPage, Settled,
    Settlement,
};
pub use self::migration_script::MigrationScript;
pub use self::node::{Gone, LiveNode, NodeLease, Nodes, Owner, Pulse, Subscription};
pub use self::operation::StoreOperation;
pub use self::outbox::{Outbox, OutgoingSettlement};
pub use self::record::{Incoming, Outgoing, Ownership, Placement};
pub use self::transaction::{
    Committed, Completion, Connection, ConnectionType, StoreTransaction, TransactionOptions,
    TransactionScope,
};

/// Inbox, outbox, dead letters and nodes over one database.
///
/// Many tasks may call the methods at the same time. Each call has to return at some time. The
/// runtime gives most calls a deadline of 30 s and drops the future when it passes, so every method
/// must be safe to drop at any await: a call that was dropped is done whole or not at all. Calls
/// whose outcome has to be known ([`Inbox::store`], claims, commits, settlements) have none.
///
/// # Errors of the methods, and what follows
/// A method may give any [`StoreError`]; what follows depends on the call, and stands there. Common
/// to all of them:
///
/// - The metric [`STORE_ERRORS`](crate::telemetry::STORE_ERRORS) counts it, under the name of the
///   call in [`StoreOperation`].
/// - What the runtime repeats, it repeats after 50 ms at first, then twice as long each time, up to
///   5 s; at once when another call shows that the store is well.
/// - After a call that writes, the runtime takes for possible that it was carried out all the same:
///   it compares the rows that its node [owns](Inbox::owned) with those in its memory, and releases
///   what it does not have.
/// - A panic is an error like another: [`StoreError::Database`].
///
/// Three distinctions count, so they have to be right: [`is_transient`](StoreError::is_transient)
/// (the same call may succeed later), [`blames_handler`](StoreError::blames_handler) (the run is at
/// fault, and costs an attempt), and [`StoreError::Database`] (the database refuses these values,
/// and will the next time).
pub trait MessageStore: fmt::Debug + Send + Sync + 'static {
    /// What this store is and can do, as data.
    fn info(&self) -> StoreInfo;

    /// Opens a transaction: for a run of a durable handler, or for messages that are to be stored
    /// together.
    ///
    /// # Errors
    /// There is no transaction, for whatever reason. Before a run of a handler that takes the
    /// connection this costs no attempt: the run begins once there is one, however long that takes.
    /// A handler without a connection has run by then, and the error is one of its
    /// [commit](StoreTransaction::commit). `Bus::send` and `Bus::invoke` give it to their caller.
    fn begin(
        &self,
        options: TransactionOptions,
    ) -> BoxFuture<'_, Result<Box<dyn StoreTransaction>, StoreError>>;

    /// Messages that handlers of this application have yet to handle.
    fn inbox(&self) -> &dyn Inbox;

    /// Messages that are to leave for other processes.
    fn outbox(&self) -> &dyn Outbox;

    /// Messages that are not tried again unless a person says so.
    fn dead_letters(&self) -> &dyn DeadLetters;

    /// The processes that share the database.
    fn nodes(&self) -> &dyn Nodes;

    /// Schema and housekeeping.
    fn admin(&self) -> &dyn StoreAdmin;
}

/// Schema and housekeeping of a store.
pub trait StoreAdmin: Send + Sync {
    /// Creates or upgrades the tables. Safe to call at every start and from several processes at
    /// once.
    ///
    /// # Errors
    /// The database cannot be reached or written ([`StoreError::Unreachable`],
    /// [`NotADatabase`](StoreError::NotADatabase), [`ReadOnly`](StoreError::ReadOnly)), cannot hold
    /// what is written ([`Unsuitable`](StoreError::Unsuitable), [`Pooler`](StoreError::Pooler)),
    /// its role may not make the tables ([`Forbidden`](StoreError::Forbidden)), or its schema is
    /// newer than this build ([`NewerSchema`](StoreError::NewerSchema)). The application does not
    /// start; nothing is repeated.
    fn prepare(&self) -> BoxFuture<'_, Result<(), StoreError>>;

    /// How many rows there are, by state.
    ///
    /// # Errors
    /// The rows cannot be read. `Jasper::until_idle` repeats it where the error is
    /// [transient](StoreError::is_transient), and gives it to its caller otherwise.
    fn counts(&self) -> BoxFuture<'_, Result<Counts, StoreError>>;

    /// Deletes at most `limit` handled rows whose time of keeping is over, and says how many there
    /// were.
    ///
    /// # Errors
    /// Nothing of this call was deleted. The runtime logs a warning and calls it again a minute
    /// later.
    fn purge(&self, limit: usize) -> BoxFuture<'_, Result<u64, StoreError>>;

    /// Deletes every message and dead letter; nodes and schema stay. For tests. Several processes
    /// may do it at once.
    ///
    /// # Errors
    /// The role may not delete rows ([`StoreError::Forbidden`]), or the store fails; the caller of
    /// `Jasper::clear_messages` or of the start gets it, and nothing is repeated.
    fn clear(&self) -> BoxFuture<'_, Result<(), StoreError>>;

    /// Finds out whether the tables are there in a version that this build works with, and changes
    /// nothing.
    ///
    /// # Errors
    /// They are not ([`StoreError::OutdatedSchema`]), are newer than this build
    /// ([`StoreError::NewerSchema`]), or the database cannot be read. The application does not
    /// start; nothing is repeated.
    fn check(&self) -> BoxFuture<'_, Result<(), StoreError>>;

    /// Drops all that this store has made in its database, in whatever version it is, and makes it
    /// anew; what is not the store's own stays. For tests. Several processes may do it at once.
    ///
    /// All nodes are gone with it, and no number that one of them had is given again: what such a
    /// node still writes is fenced, and its next renewal tells it that its lease has ended.
    ///
    /// # Errors
    /// The database cannot be written, its role may not drop what is there
    /// ([`StoreError::Forbidden`]), or, in PostgreSQL, something of the user's depends on it
    /// ([`StoreError::Database`]). Then all is as before. The caller gets it, and nothing is
    /// repeated.
    fn rebuild(&self) -> BoxFuture<'_, Result<(), StoreError>>;

    /// The steps that [`prepare`](Self::prepare) takes in an empty database, as text. Applied by
    /// hand in this order, from the first that is missing, they bring the schema to the newest
    /// version. Empty for a store without a schema.
    fn migrations(&self) -> Vec<MigrationScript> {
        Vec::new()
    }
}

/// What a store is and can do.
#[derive(Debug, Clone, Copy)]
#[non_exhaustive]
pub struct StoreInfo {
    /// A short name such as `sqlite`, used in logs and telemetry.
    pub name: &'static str,
    /// What `&mut` argument its durable handlers may take; `None` for a store without connections.
    pub connection: Option<ConnectionType>,
    /// Whether what it holds outlives the process.
    pub durable: bool,
    /// Whether [`Nodes::wait_for_notification`] returns when rows become claimable.
    pub notifies: bool,
    /// Whether an error, by itself and without its causes, says that a transaction met another one
    /// and may well succeed when it is run again.
    pub is_conflict: IsConflict,
    /// Whether all writes share one connection, so that what is sent waits while a durable handler
    /// runs.
    pub single_writer: bool,
    /// The type of the pool by which the application reaches the same database; `None` where there
    /// is none. What a durable handler writes over one is not in its transaction, which a start
    /// warns of.
    pub pool: Option<TypeId>,
}

/// Looks at one error of a handler or at one of its causes; see [`StoreInfo::is_conflict`].
pub type IsConflict = fn(&(dyn Error + 'static)) -> bool;

impl StoreInfo {
    /// For authors of stores.
    pub const fn new(
        name: &'static str,
        connection: Option<ConnectionType>,
        durable: bool,
    ) -> Self {
        let is_conflict = |_error: &(dyn Error + 'static)| false;
        Self {
            name,
            connection,
            durable,
            notifies: false,
            is_conflict,
            single_writer: false,
            pool: None,
        }
    }

    /// Of a store whose database the application reaches by pools of the type `P`.
    #[must_use]
    pub const fn with_pool<P: 'static>(mut self) -> Self {
        self.pool = Some(TypeId::of::<P>());
        self
    }

    /// Of a store that knows the errors of its database with which a transaction met another one.
    #[must_use]
    pub const fn with_conflicts(mut self, is_conflict: IsConflict) -> Self {
        self.is_conflict = is_conflict;
        self
    }

    /// Of a store whose writes share one connection.
    #[must_use]
    pub const fn with_single_writer(mut self) -> Self {
        self.single_writer = true;
        self
    }

    /// Of a store that notifies: see [`Nodes::wait_for_notification`].
    #[must_use]
    pub const fn with_notifications(mut self) -> Self {
        self.notifies = true;
        self
    }
}

/// How many rows a store holds.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Counts {
    /// Waiting or running in the inbox, not later than now.
    pub incoming: u64,
    /// In the inbox for a later time.
    pub scheduled: u64,
    /// Handled and kept to recognise duplicates.
    pub handled: u64,
    /// Waiting in the outbox.
    pub outgoing: u64,
    /// Dead letters and invalid messages.
    pub dead_letters: u64,
}
