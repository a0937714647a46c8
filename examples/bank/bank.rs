//! A bank in some database: what each has to bring, so that the rest need not know which it is.

use jasper::runtime::Builder;
use jasper::store::MessageStore;
use jasper::{Bus, SendError};

use crate::Outcome;

/// The accounts, numbered from 1.
pub(crate) const ACCOUNTS: i64 = 100;
/// What each of them holds at first.
pub(crate) const BALANCE: i64 = 1_000;

/// Messages belong to their one handler and a handler to its connection's type, so each database
/// has messages of its own, made from this.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Order {
    pub(crate) id: i64,
    pub(crate) from: i64,
    pub(crate) to: i64,
    pub(crate) amount: i64,
}

/// The name of the node that handles a message, for its handlers to write down.
pub(crate) struct Node(pub(crate) String);

pub(crate) trait Bank {
    /// The store, with its tables made.
    fn store(&self) -> &dyn MessageStore;

    /// An application on this store, with this database's handlers and no others.
    fn application(&self) -> Builder;

    /// Creates tables and accounts that are not there yet.
    async fn setup(&self) -> Outcome<()>;

    /// Sends a transfer, once for each id.
    async fn send(&self, bus: &Bus, order: Order) -> Result<(), SendError>;

    /// The id of a transfer and `debit` or `credit`, for each time that a handler committed.
    async fn effects(&self) -> Outcome<Vec<(i64, String)>>;

    /// What all accounts hold together.
    async fn sum(&self) -> Outcome<i64>;

    /// The ids of the messages that nodes of this name own.
    async fn owned_by(&self, node: &str) -> Outcome<Vec<Vec<u8>>>;

    /// Whether a message has still to be handled.
    async fn is_waiting(&self, id: &[u8]) -> Outcome<bool>;
}
