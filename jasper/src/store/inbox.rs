//! The inbox port: at-least-once receipt, claims, and settlement by compare-and-set.

use std::any::Any;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use futures_util::future::BoxFuture;

use super::dead_letter::DeadLetterCause;
use super::dead_letter::DeadLetterReason;
use super::error::StoreError;
#[cfg(any(
    feature = "sqlite",
    feature = "postgres",
    feature = "mysql",
    feature = "sqlserver"
))]
use super::node::entries;
use super::node::{Owner, Subscription};
use super::portions::{PORTION, Weigh};
use super::record::{Incoming, Ownership};
use crate::envelope::{DecodeError, Envelope};

/// Messages that handlers of this application have yet to handle.
///
/// A row is `incoming`, `scheduled` or `handled`. It is keyed by message id and destination.
pub trait Inbox: Send + Sync {
    /// Stores rows and returns after they are committed, one answer for each row in order.
    ///
    /// A row whose key is already there changes nothing and is answered [`Inserted::Duplicate`].
    ///
    /// # Errors
    /// Nothing is known about any row; storing the same rows again is safe, and the runtime does
    /// not do so by itself. `Bus::send` gives the error to its caller, after 30 s at the latest;
    /// the call goes on then, and what it stores is handled. Of what a listener has received, a
    /// [transient](StoreError::is_transient) error defers all, so that the sender sends them again;
    /// after any other one each message is stored by itself when it comes again, and those that are
    /// not taken then are refused: they become dead letters of their sender.
    fn store(&self, rows: Vec<Incoming>) -> BoxFuture<'_, Result<Vec<Inserted>, StoreError>>;

    /// Stores rows through the user's own connection, inside the transaction that is open on it.
    ///
    /// # Errors
    /// `connection` is not of this store's type ([`StoreError::WrongConnection`], for the caller
    /// `SendError::ForeignTransaction`), or the database refused. The caller of `Bus::enlist` gets
    /// it; the transaction is the caller's, so nothing is repeated or rolled back.
    ///
    /// # Cancel safety
    /// Dropped before it returns, the rows may or may not be part of the transaction.
    fn store_within<'a>(
        &'a self,
        connection: &'a mut (dyn Any + Send),
        rows: Vec<Incoming>,
    ) -> BoxFuture<'a, Result<Vec<Inserted>, StoreError>>;

    /// Looks what can be claimed by any node: all that the request takes, and a page of the rest.
    ///
    /// This is when scheduled rows become claimable whose time has come, in the store's own time:
    /// at most a thousand in one look. It costs no more for many rows than for few, and no more
    /// than a page for any number of other subscriptions.
    ///
    /// # Errors
    /// Nothing was found. The runtime logs a warning and looks again after the poll interval.
    fn claimable(&self, request: ClaimableRequest) -> BoxFuture<'_, Result<Claimable, StoreError>>;

    /// Takes unowned rows for `request.owner`, oldest first by `sent_at`. It takes no further row
    /// once those that it has are 8 MiB together.
    ///
    /// A row that was not tried yet comes back with its first attempt counted. A row with
    /// attempts keeps its count: the next one is counted by [`Settlement::Attempt`] when the
    /// handler is about to run.
    ///
    /// A row whose bytes cannot be read is claimed too, with the error in
    /// [`Claimed::envelope`]: the runtime makes it an invalid message.
    ///
    /// # Errors
    /// Rows may have been taken all the same. The runtime logs a warning, releases by
    /// [`owned`](Self::owned) what it does not have, and claims again after the poll interval.
    fn claim(&self, request: ClaimRequest) -> BoxFuture<'_, Result<Vec<Claimed>, StoreError>>;

    /// Ends or changes ownership of rows, one answer for each in order; all are committed on
    /// return.
    ///
    /// Each compares first: a row with another owner, with another count of attempts, that is not
    /// being handled or that is not there is [`Settled::Fenced`], changes nothing and is no error.
    ///
    /// # Errors
    /// Nothing is known about any row. The runtime repeats the same settlements until it has an
    /// answer or the application ends, so a repeat must be safe: where the first call was
    /// carried out it is fenced, but for [`Settlement::Attempt`], which is done again and counts no
    /// more. A dead letter that is refused with [`StoreError::Database`] is settled once more
    /// without the text of its error.
    fn settle(
        &self,
        settlements: Vec<Settlement>,
    ) -> BoxFuture<'_, Result<Vec<Settled>, StoreError>>;

    /// Makes at most `limit` rows of `owner` claimable by any node, and says how many there were.
    ///
    /// Used for owners that are gone; attempts stay as they are counted, and the owner is noted in
    /// the row for [`Claimed::interrupted_by`], unless another is for the same count.
    ///
    /// # Errors
    /// The rows of this call stay with their owner. The runtime logs a warning and tries again when
    /// it next looks for owners that are gone; at a stop `Jasper::stop` gives the error to its
    /// caller, and other nodes recover the rows.
    fn release(&self, owner: Owner, limit: usize) -> BoxFuture<'_, Result<u64, StoreError>>;

    /// At most `limit` rows that `owner` holds, in no order.
    ///
    /// After a call that may or may not have been carried out, an owner may hold rows of which it
    /// does not know; it finds them so, and gives them back.
    ///
    /// # Errors
    /// The rows cannot be read. The runtime asks again, at the latest with the next comparison.
    fn owned(
        &self,
        owner: Owner,
        limit: usize,
    ) -> BoxFuture<'_, Result<Vec<Ownership>, StoreError>>;
}

/// What became of a row given to [`Inbox::store`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Inserted {
    /// It is there now.
    New,
    /// A row with its key was there before.
    Duplicate,
}

/// What [`Inbox::claimable`] is to look for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ClaimableRequest {
    /// Of these, all that wait are found.
    pub takes: Arc<[Subscription]>,
    /// How many subscriptions are found at most beside those, whichever node takes them.
    pub page: usize,
    /// After which one the page begins, as [`NextPage::After`] gave it; `None` for the first page.
    pub after: Option<Subscription>,
}

impl Default for ClaimableRequest {
    /// The first page alone, of a thousand.
    fn default() -> Self {
        Self { takes: Arc::default(), page: 1000, after: None }
    }
}

/// What [`Inbox::claimable`] finds.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Claimable {
    /// What unowned rows wait for, each once, sorted.
    pub now: Vec<Subscription>,
    /// Where the next page begins.
    pub next_page: NextPage,
    /// In how long the next scheduled row is due; `None` where none is scheduled.
    pub next_due: Option<Duration>,
}

/// Which page comes after a look.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum NextPage {
    /// The first: this look has found the last one.
    #[default]
    First,
    /// The one after this subscription, the last one of a full page in the store's order.
    After(Subscription),
    /// The one that was asked for: this look has found what waits for its node, and no page.
    Unseen,
}

impl From<Option<Subscription>> for NextPage {
    /// After the last one of a full page, if it is one.
    fn from(last: Option<Subscription>) -> Self {
        last.map_or(Self::First, Self::After)
    }
}

/// Which rows to claim.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ClaimRequest {
    /// Who claims.
    pub owner: Owner,
    /// What to claim.
    pub subscriptions: Vec<Subscription>,
    /// The most rows to take.
    pub limit: usize,
    /// Whether the claim counts the first attempt of rows that have none yet, so that they need no
    /// further call before they run. It must not where a handler has only one attempt: a message
    /// whose process is killed while it waits in memory would have none left.
    pub count_attempt: bool,
}

/// A row taken by [`Inbox::claim`].
#[derive(Debug, Clone)]
pub struct Claimed {
    /// What the claimer holds now.
    pub ownership: Ownership,
    /// The stored envelope with the attempts of the row, or why its bytes cannot be read.
    pub envelope: Result<Envelope, DecodeError>,
    /// Whether the claim counted the first attempt, so that the handler may run without a further
    /// [`Settlement::Attempt`].
    pub attempt_counted: bool,
    /// For each counted attempt after which the row was [released](Inbox::release), the owner that
    /// had it: it may have been cut short with the lease of that owner. The latest last, at least
    /// the last ten.
    pub interrupted_by: Vec<Owner>,
}

/// The owners out of what stands in the row: for each attempt a space, its number, a colon and its
/// owner. What a cut has left of an entry at the start is left out.
#[cfg(any(feature = "sqlite", feature = "postgres", feature = "mysql", feature = "sqlserver"))]
pub(crate) fn interrupted_by(text: &str) -> Vec<Owner> {
    let owner = |entry: &str| {
        let (attempt, owner) = entry.split_once(':')?;
        let is_attempt = attempt.parse::<i64>().is_ok_and(|attempt| attempt > 0);
        let owner = owner.parse().ok().filter(|owner| is_attempt && *owner > 0)?;
        Some(Owner::new(owner))
    };
    entries(text).filter_map(owner).collect()
}

/// Whether a claim of at most `limit` rows may have left some: it has as many rows, or as many
/// bytes as are given at once.
pub(crate) fn may_have_left<'e>(
    envelopes: impl IntoIterator<Item = Option<&'e Envelope>>,
    limit: usize,
) -> bool {
    let (mut rows, mut bytes) = (0, 0);
    for envelope in envelopes {
        rows += 1;
        bytes += envelope.map_or(PORTION, Weigh::weight);
    }
    rows >= limit || bytes >= PORTION
}

/// What is to become of an owned row.
#[derive(Debug, Clone)]
pub enum Settlement {
    /// The message is handled: the row is deleted, or marked as handled where it has a
    /// `retention`.
    Handled(Ownership),
    /// One more attempt is about to begin; the row stays with its owner.
    ///
    /// Asked for again by the same owner after an answer was lost, it is done and counts no more: a
    /// row of its owner with one attempt more than `attempts` is this attempt.
    Attempt(Ownership),
    /// The message waits until this time for any node to claim it.
    Schedule(Ownership, SystemTime),
    /// The row is released, for any node to claim. Where `attempt_began` is false, the attempt
    /// that was counted already is subtracted again.
    Release {
        /// The row.
        ownership: Ownership,
        /// Whether the attempt that is counted began.
        attempt_began: bool,
    },
    /// The message becomes a dead letter or an invalid message, with the bytes of the row.
    DeadLetter {
        /// The row.
        ownership: Ownership,
        /// Why.
        reason: DeadLetterReason,
        /// The type of the error, for grouping.
        error_type: String,
        /// The error in words.
        error_message: String,
    },
}

impl Settlement {
    /// Gives back a row whose coming attempt has not begun: a first one was counted in advance, by
    /// the insert or the claim, and a later one is counted only when it begins.
    pub(crate) fn release_unbegun(ownership: Ownership) -> Self {
        let attempt_began = ownership.attempts != 1;
        Self::Release { ownership, attempt_began }
    }

    /// The row that it is about.
    pub const fn ownership(&self) -> &Ownership {
        match self {
            Self::Handled(ownership)
            | Self::Attempt(ownership)
            | Self::Schedule(ownership, _)
            | Self::Release { ownership, .. }
            | Self::DeadLetter { ownership, .. } => ownership,
        }
    }

    /// Why the row becomes a dead letter, where it does.
    pub(super) fn cause(&self) -> Option<DeadLetterCause<'_>> {
        match self {
            Self::DeadLetter { ownership, reason, error_type, error_message } => {
                Some(DeadLetterCause::new(ownership, *reason, error_type, error_message))
            }
            _ => None,
        }
    }
}

/// What became of a [`Settlement`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Settled {
    /// It is done.
    Done,
    /// The row is no longer held as the settlement says; nothing was changed.
    Fenced,
}

#[cfg(all(
    test,
    any(feature = "sqlite", feature = "postgres", feature = "mysql", feature = "sqlserver")
))]
mod tests {
    use super::*;

    #[test]
    fn interrupted_attempts_are_read_from_a_row_however_it_is_cut() {
        let text = " 0:5 1:7 2:1234567 3:-1 x:8 4:89";
        let owners = [7, 1_234_567, 89].map(Owner::new);
        assert_eq!(interrupted_by(text), owners);
        for cut in 0..=text.len() {
            let left = interrupted_by(&text[cut..]);
            assert!(owners.ends_with(&left), "{left:?}");
        }
    }
}
