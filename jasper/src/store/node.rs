//! The node port: leases under incarnation numbers that are never used twice.

use std::fmt;
use std::time::{Duration, SystemTime};

use futures_util::future::BoxFuture;

use super::error::StoreError;
use crate::envelope::Address;

/// The number of one incarnation of a node. A process that joins again gets another.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Owner(i64);

impl Owner {
    /// The owner with this number.
    ///
    /// # Panics
    /// Never; numbers below 1 are taken for 1, as 0 stands for no owner in the tables.
    pub fn new(number: i64) -> Self {
        Self(number.max(1))
    }

    /// The number, from 1.
    pub const fn number(self) -> i64 {
        self.0
    }

    /// A list as it stands in the tables: a space before each.
    pub fn to_text(list: &[Self]) -> String {
        list.iter().map(|owner| format!(" {owner}")).collect()
    }

    /// The list that [`to_text`](Self::to_text) wrote, or what a cut has left of its end; what is
    /// no number of an owner is left out.
    pub fn from_text(text: &str) -> Vec<Self> {
        let numbers = entries(text).filter_map(|number| number.parse().ok());
        numbers.filter(|number| *number > 0).map(Self).collect()
    }
}

/// The entries of a text that has a space before each. A first one without it was cut, and is left
/// out.
pub(super) fn entries(text: &str) -> impl Iterator<Item = &str> {
    text.split(' ').skip(1)
}

impl fmt::Display for Owner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.0, f)
    }
}

/// What a node takes: messages of one type at one destination.
///
/// Nodes of several versions may share a database, so that both count: a newer version of a type at
/// the same destination is for the nodes that know it.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Subscription {
    /// The destination.
    pub destination: Address,
    /// The message type as it stands in the row.
    pub message_type: String,
}

impl Subscription {
    /// A list as it stands in the table of nodes, one line for each.
    pub fn to_lines(list: &[Self]) -> String {
        let lines = list.iter().map(|s| format!("{} {}\n", s.message_type, s.destination));
        lines.collect()
    }

    /// The list that [`to_lines`](Self::to_lines) wrote; lines that are none are left out.
    pub fn from_lines(lines: &str) -> Vec<Self> {
        let parse = |line: &str| {
            let (message_type, destination) = line.split_once(' ')?;
            let destination = destination.parse().ok()?;
            Some(Self { destination, message_type: message_type.to_owned() })
        };
        lines.lines().filter_map(parse).collect()
    }
}

/// A node whose lease runs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LiveNode {
    /// Its incarnation.
    pub owner: Owner,
    /// What it takes.
    pub takes: Vec<Subscription>,
    /// The numbers that its process had before and has lost, as
    /// [`note_earlier`](Nodes::note_earlier) was told.
    pub earlier: Vec<Owner>,
}

impl LiveNode {
    /// Whether its process has, or had, this number.
    pub fn is_or_was(&self, owner: Owner) -> bool {
        self.owner == owner || self.earlier.contains(&owner)
    }
}

/// The processes that share the database. Leases are counted in the database's time.
pub trait Nodes: Send + Sync {
    /// The present in the database's time, in which leases are counted and messages become due.
    /// `None`: it has no time of its own, and the machine's counts.
    ///
    /// # Errors
    /// The database does not answer. At a start, the application does not start; later the clock
    /// goes on from what it had, and the runtime asks again with the next renewal.
    fn now(&self) -> BoxFuture<'_, Result<Option<SystemTime>, StoreError>> {
        Box::pin(async { Ok(None) })
    }

    /// Joins under a new incarnation whose lease runs for `lease`, and says what this node takes.
    ///
    /// A store that can prove that no other process is alive ends the leases of all others here, so
    /// that their work is recovered at once.
    ///
    /// # Errors
    /// The node has no number. At a start, the application does not start. After a lost lease the
    /// runtime tries again every twelfth of a lease, and handles nothing until it has joined.
    fn join(
        &self,
        name: &str,
        lease: Duration,
        takes: &[Subscription],
    ) -> BoxFuture<'_, Result<NodeLease, StoreError>>;

    /// Extends the lease, also one that has run out where no other node has ended it since.
    /// `false`: it was ended, and this incarnation must not write again.
    ///
    /// It must not wait for what a handler holds: neither a lock nor a connection of the pool.
    ///
    /// # Errors
    /// Nothing is known of the lease. No answer within a third of the lease is an error too, and
    /// the future is dropped. The runtime tries again every twelfth of a lease. When the lease has
    /// ended by its own clock, the node claims nothing and begins no run until a renewal succeeds;
    /// runs under way commit if their rows are still theirs.
    fn renew(&self, owner: Owner, lease: Duration) -> BoxFuture<'_, Result<bool, StoreError>>;

    /// Renews the lease of a node that has nothing to do, and says what else there is to know, in
    /// as few trips to the database as the store can.
    ///
    /// It renews at least; what it does not look for, the answer leaves open.
    ///
    /// # Errors
    /// As [`renew`](Self::renew).
    fn pulse(&self, owner: Owner, lease: Duration) -> BoxFuture<'_, Result<Pulse, StoreError>> {
        let renewal = self.renew(owner, lease);
        Box::pin(async move { Ok(Pulse { is_renewed: renewal.await?, gone: None, may_own: true }) })
    }

    /// Ends the leases that have run out, except that of the node that `asks`, and gives the owners
    /// that are gone and may still own rows: none of them can renew its lease any more. Says too
    /// when the next of the others' leases ends, so that it can be ended then.
    ///
    /// Also owners of rows that are not known as nodes: one that was forgotten may have written
    /// after that. A store whose sessions live in a server ends those that such an owner has left
    /// there, where it may: their locks would keep its rows from others.
    ///
    /// # Errors
    /// No owner is known to be gone. The runtime logs a warning and asks again after a fraction of
    /// a lease.
    fn expired(&self, asks: Option<Owner>) -> BoxFuture<'_, Result<Gone, StoreError>>;

    /// The nodes whose leases run, by their numbers.
    ///
    /// # Errors
    /// They cannot be read. Before a run that depends on it the runtime asks until it has an
    /// answer, at no cost of an attempt; a look for messages ends, and begins anew after the poll
    /// interval.
    fn alive(&self) -> BoxFuture<'_, Result<Vec<LiveNode>, StoreError>>;

    /// Notes the numbers that the process of `owner` had before and has lost: it lives on, and did
    /// not die of a message that it had.
    ///
    /// # Errors
    /// They are not noted. The runtime logs a warning and tries again with the next renewal.
    fn note_earlier(
        &self,
        owner: Owner,
        earlier: &[Owner],
    ) -> BoxFuture<'_, Result<(), StoreError>>;

    /// Ends the lease of an owner that stops. Its rows, if any are left, are recovered by others.
    ///
    /// # Errors
    /// The lease runs on until its end. `Jasper::stop` gives the error to its caller; nothing is
    /// repeated.
    fn leave(&self, owner: Owner) -> BoxFuture<'_, Result<(), StoreError>>;

    /// Forgets an owner that is gone and owns nothing any more; any other stays.
    ///
    /// # Errors
    /// It stays, also where its sessions in the database could not be ended yet. The runtime logs a
    /// warning and tries again when it next looks for owners that are gone; at a stop
    /// `Jasper::stop` gives the error to its caller.
    fn forget(&self, owner: Owner) -> BoxFuture<'_, Result<(), StoreError>>;

    /// Waits until rows may have become claimable by something else: another process, or a
    /// transaction of the user's own.
    ///
    /// It may return when there is nothing to claim, and a notification is lost while the
    /// connection is; polls find what was missed. In a store that does not notify, as
    /// its [`StoreInfo`](super::StoreInfo) says, it never returns.
    ///
    /// # Errors
    /// The store cannot notify at present. The runtime looks once, waits for the poll interval and
    /// calls it again; polls go on meanwhile, and are frequent while
    /// [`is_notified`](Self::is_notified) is `false`.
    ///
    /// # Cancel safety
    /// Dropped at a stop; nothing is lost by it.
    fn wait_for_notification(&self) -> BoxFuture<'_, Result<(), StoreError>> {
        Box::pin(std::future::pending())
    }

    /// Whether notifications arrive now, so that polls may be rare: not while the connection for
    /// them is lost.
    fn is_notified(&self) -> bool {
        false
    }
}

/// What [`Nodes::expired`] has found.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Gone {
    /// The owners that are gone and may still own rows.
    pub owners: Vec<Owner>,
    /// How long it is until the first of the leases ends that run, unless its node renews it; not
    /// that of the node that asks. Zero: one is over that this look has not ended. `None`: none
    /// runs.
    pub next_end: Option<Duration>,
}

/// What [`Nodes::pulse`] has found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pulse {
    /// As [`Nodes::renew`] says it.
    pub is_renewed: bool,
    /// What [`Nodes::expired`] would say; `None`: it is to be asked.
    pub gone: Option<Gone>,
    /// Whether the node may own rows. `false`: it owned none.
    pub may_own: bool,
}

/// Membership, as [`Nodes::join`] gives it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NodeLease {
    /// The new incarnation.
    pub owner: Owner,
    /// For how long it is trusted unless renewed.
    pub lease: Duration,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_list_of_owners_that_is_cut_at_its_start_loses_what_is_cut() {
        let owners = [7, 1_234_567, 89].map(Owner::new);
        let text = Owner::to_text(&owners);
        assert_eq!(Owner::from_text(&text), owners);
        let cuts = (0..=text.len()).map(|cut| Owner::from_text(&text[cut..]));
        for cut in cuts {
            assert!(owners.ends_with(&cut), "{cut:?}");
        }
    }

    #[test]
    fn what_is_no_number_of_an_owner_is_left_out() {
        assert_eq!(Owner::from_text(" -3 0 x 99999999999999999999  5"), [Owner::new(5)]);
    }
}
