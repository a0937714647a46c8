//! The outbox port: messages that are committed here before they leave for another process.

use std::any::Any;

use futures_util::future::BoxFuture;

use super::dead_letter::DeadLetterCause;
use super::dead_letter::DeadLetterReason;
use super::error::StoreError;
use super::inbox::{Inserted, Settled};
use super::node::Owner;
use super::record::{Outgoing, Ownership};
use crate::envelope::{Address, Envelope};

/// Messages that are to leave for other processes. Keyed by message id and destination.
pub trait Outbox: Send + Sync {
    /// Stores rows and returns after they are committed, one answer for each row in order.
    ///
    /// A row whose key is already there changes nothing and is answered [`Inserted::Duplicate`].
    ///
    /// # Errors
    /// As [`Inbox::store`](super::Inbox::store): nothing is known about any row, and the sender
    /// gets the error.
    fn store(&self, rows: Vec<Outgoing>) -> BoxFuture<'_, Result<Vec<Inserted>, StoreError>>;

    /// Stores rows through the user's own connection, inside the transaction that is open on it.
    ///
    /// # Errors
    /// As [`Inbox::store_within`](super::Inbox::store_within).
    ///
    /// # Cancel safety
    /// As [`Inbox::store_within`](super::Inbox::store_within).
    fn store_within<'a>(
        &'a self,
        connection: &'a mut (dyn Any + Send),
        rows: Vec<Outgoing>,
    ) -> BoxFuture<'a, Result<Vec<Inserted>, StoreError>>;

    /// Takes at most `limit` unowned rows for one destination, oldest first by `sent_at`. It takes
    /// no further row once those that it has are 8 MiB together.
    ///
    /// A row whose bytes cannot be read is not given: the store makes it a dead letter with the
    /// reason [`DeadLetterReason::Undecodable`], as part of the claim.
    ///
    /// # Errors
    /// Rows may have been taken all the same. The runtime logs a warning, releases by
    /// [`owned`](Self::owned) what it does not have, and claims again after the poll interval.
    fn claim(
        &self,
        owner: Owner,
        destination: &Address,
        limit: usize,
    ) -> BoxFuture<'_, Result<Vec<Envelope>, StoreError>>;

    /// Ends ownership of rows, one answer for each in order; all are committed on return.
    ///
    /// Each compares first, as [`Inbox::settle`](super::Inbox::settle) does.
    ///
    /// # Errors
    /// Nothing is known about any row. The runtime repeats the same settlements until it has an
    /// answer or the application ends. What was sent meanwhile is not sent again by this node. A
    /// [refusal](OutgoingSettlement::Refused) that the store does not take
    /// ([`StoreError::Database`]) is settled once more without its text.
    fn settle(
        &self,
        settlements: Vec<OutgoingSettlement>,
    ) -> BoxFuture<'_, Result<Vec<Settled>, StoreError>>;

    /// Makes at most `limit` rows of `owner` claimable by any node, and says how many there were.
    ///
    /// # Errors
    /// As [`Inbox::release`](super::Inbox::release).
    fn release(&self, owner: Owner, limit: usize) -> BoxFuture<'_, Result<u64, StoreError>>;

    /// At most `limit` rows that `owner` holds, in no order.
    ///
    /// It finds rows of which it does not know, as by [`Inbox::owned`](super::Inbox::owned).
    ///
    /// # Errors
    /// As [`Inbox::owned`](super::Inbox::owned).
    fn owned(
        &self,
        owner: Owner,
        limit: usize,
    ) -> BoxFuture<'_, Result<Vec<Ownership>, StoreError>>;

    /// The destinations for which unowned rows wait.
    ///
    /// # Errors
    /// They cannot be read. The runtime logs a warning and asks again after the poll interval.
    fn destinations(&self) -> BoxFuture<'_, Result<Vec<Address>, StoreError>>;
}

/// What is to become of an owned row of the outbox.
#[derive(Debug, Clone)]
pub enum OutgoingSettlement {
    /// The receiver has it: the row is deleted.
    Sent(Ownership),
    /// It could not be sent: one attempt is counted and any node may claim it.
    Failed(Ownership),
    /// It was not tried: no attempt is counted and any node may claim it.
    Released(Ownership),
    /// It will never be sent, for example as it has expired: the row is deleted.
    Discarded(Ownership),
    /// Its receiver will never take it: it becomes a dead letter with the bytes of the row, for the
    /// reason [`DeadLetterReason::Refused`] and with the error type `refused`.
    Refused {
        /// The row.
        ownership: Ownership,
        /// What the receiver said, in words.
        error_message: String,
    },
}

impl OutgoingSettlement {
    /// The row that it is about.
    pub const fn ownership(&self) -> &Ownership {
        match self {
            Self::Sent(ownership)
            | Self::Failed(ownership)
            | Self::Released(ownership)
            | Self::Discarded(ownership)
            | Self::Refused { ownership, .. } => ownership,
        }
    }

    /// Why the row becomes a dead letter, where it does.
    pub(super) fn cause(&self) -> Option<DeadLetterCause<'_>> {
        match self {
            Self::Refused { ownership, error_message } => {
                let reason = DeadLetterReason::Refused;
                Some(DeadLetterCause::new(ownership, reason, reason.as_str(), error_message))
            }
            _ => None,
        }
    }
}
