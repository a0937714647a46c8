//! A bank in some database: what each has to bring, so that the rest need not know which it is.

use std::time::SystemTime;

use jasper::runtime::Builder;
use jasper::store::MessageStore;
use jasper::{Bus, SendError};

use crate::Outcome;

/// The accounts, numbered from 1.
pub(crate) const ACCOUNTS: i64 = 100;
/// What each of them holds at first.
pub(crate) const BALANCE: i64 = 1_000;

/// How often a message is tried whose handler harms its own transaction, as its attribute says.
pub(crate) const ATTEMPTS: u32 = 3;

/// Messages belong to their one handler and a handler to its connection's type, so each database
/// has messages of its own, made from this.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Order {
    pub(crate) id: i64,
    pub(crate) from: i64,
    pub(crate) to: i64,
    pub(crate) amount: i64,
}

/// How long ago a time was, in microseconds.
pub(crate) fn micros_since(time: SystemTime) -> i64 {
    let waited = time.elapsed().unwrap_or_default();
    i64::try_from(waited.as_micros()).unwrap_or(i64::MAX)
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

    /// Sends a message whose handler harms its own transaction, once for each id.
    async fn harm(&self, _bus: &Bus, _order: Order) -> Outcome<()> {
        Err("in this database no handler harms its transaction".into())
    }

    /// The id of such a message, for each time that its handler ran.
    async fn harms(&self) -> Outcome<Vec<i64>> {
        Ok(Vec::new())
    }

    /// The id of a transfer and `debit` or `credit`, for each time that a handler committed.
    async fn effects(&self) -> Outcome<Vec<(i64, String)>>;

    /// How long transfers waited for their first handler, in microseconds, the shortest first.
    async fn waits(&self) -> Outcome<Vec<i64>>;

    /// What all accounts hold together.
    async fn sum(&self) -> Outcome<i64>;

    /// The ids of the messages that nodes of this name own.
    async fn owned_by(&self, node: &str) -> Outcome<Vec<Vec<u8>>>;

    /// Whether a message has still to be handled.
    async fn is_waiting(&self, id: &[u8]) -> Outcome<bool>;
}
