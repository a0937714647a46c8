//! The leases of the nodes that have joined through this store, which the writer extends, too.

use std::time::{Duration, Instant};

use parking_lot::{Mutex, MutexGuard};
use sqlx::SqliteConnection;

use super::sql::SQL;
use super::statement_batch::StatementBatch;
use crate::envelope::time::{now, to_micros};
use crate::store::Owner;
use crate::store::sql::number::micros;

/// How often in each lease a renewal is worth a statement.
const RENEWALS: u32 = 6;

/// Those nodes.
///
/// While a handler holds the writing connection nothing else can renew a lease: the file is locked.
/// So the transaction that the handler shares renews it before its commit. No other connection can
/// have written in the meantime, and one that waits for the lock to end the lease looks at it again
/// once it has the lock.
#[derive(Debug, Default)]
pub(super) struct Leases(Mutex<Vec<Lease>>);

#[derive(Debug)]
struct Lease {
    owner: Owner,
    length: Duration,
    /// When the node last asked for it. One that does not ask any more is let go.
    asked: Instant,
    renewed: Instant,
}

impl Leases {
    /// How long a renewal may take until another way is tried.
    pub(super) fn patience(length: Duration) -> Duration {
        length / RENEWALS
    }

    /// A node has joined; it asked then.
    pub(super) fn join(&self, owner: Owner, length: Duration, asked: Instant) {
        self.all().push(Lease { owner, length, asked, renewed: asked });
    }

    /// A node asks for a renewal.
    pub(super) fn ask(&self, owner: Owner, length: Duration) {
        for lease in self.all().iter_mut().filter(|lease| lease.owner == owner) {
            (lease.length, lease.asked) = (length, Instant::now());
        }
    }

    /// It was renewed, as asked then.
    pub(super) fn renewed(&self, owner: Owner, asked: Instant) {
        for lease in self.all().iter_mut().filter(|lease| lease.owner == owner) {
            lease.renewed = lease.renewed.max(asked);
        }
    }

    /// The node has left or lost its lease.
    pub(super) fn end(&self, owner: Owner) {
        self.all().retain(|lease| lease.owner != owner);
    }

    /// The leases that a transaction which began then is to renew, with their lengths.
    pub(super) fn due(&self, began: Instant) -> Vec<(Owner, Duration)> {
        let is_due = |lease: &&Lease| {
            lease.asked.checked_add(lease.length).is_none_or(|end| end >= began)
                && lease.renewed.elapsed() >= Self::patience(lease.length)
        };
        self.all().iter().filter(is_due).map(|lease| (lease.owner, lease.length)).collect()
    }

    fn all(&self) -> MutexGuard<'_, Vec<Lease>> {
        self.0.lock()
    }
}

/// When a lease that begins now ends.
pub(super) fn lease_until(lease: Duration) -> i64 {
    to_micros(now()).saturating_add(micros(lease))
}

/// Extends a lease that no node has ended. `false`: one has.
pub(super) async fn renew(
    owner: Owner,
    lease: Duration,
    connection: &mut SqliteConnection,
) -> sqlx::Result<bool> {
    let mut batch = StatementBatch::of(SQL.nodes.renew);
    batch.bind(lease_until(lease))?;
    batch.bind(owner.number())?;
    Ok(batch.changes(connection).await? > 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    const LEASE: Duration = Duration::from_secs(6);

    fn ago(seconds: u64) -> Instant {
        Instant::now() - Duration::from_secs(seconds)
    }

    #[test]
    fn a_lease_is_due_a_sixth_of_it_after_its_renewal() {
        let leases = Leases::default();
        let owner = Owner::new(1);
        leases.join(owner, LEASE, ago(2));
        assert_eq!(leases.due(ago(0)), [(owner, LEASE)]);
        leases.renewed(owner, ago(0));
        assert_eq!(leases.due(ago(0)), []);
    }

    #[test]
    fn a_node_that_asked_for_no_renewal_before_a_transaction_is_let_go() {
        let leases = Leases::default();
        let owner = Owner::new(1);
        leases.join(owner, LEASE, ago(20));
        assert_eq!(leases.due(ago(15)), [(owner, LEASE)], "the transaction began in time");
        assert_eq!(leases.due(ago(1)), []);
        leases.ask(owner, LEASE);
        assert_eq!(leases.due(ago(1)), [(owner, LEASE)]);
        leases.end(owner);
        assert_eq!(leases.due(ago(1)), []);
    }
}
