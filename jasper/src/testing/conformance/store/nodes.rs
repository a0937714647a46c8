//! Nodes: who is alive, under numbers that are never used twice.

use std::collections::HashSet;
use std::time::Duration;

use super::StoreFixture;
use super::subject::{LONG, Subject, envelope, taken_at};
use crate::store::{Gone, Incoming, MessageStore, Outgoing, Owner, Placement, Settled, Settlement};

/// Short enough to wait for its end.
const SHORT: Duration = Duration::from_millis(30);

/// Not even of one that is forgotten.
pub async fn a_number_is_never_given_twice<F: StoreFixture>(fixture: &F) {
    let subject = Subject::of(fixture).await;
    let mut given = HashSet::new();
    for _ in 0..5 {
        let owner = subject.join().await;
        assert!(given.insert(owner), "{owner} was given before");
        leave(&subject, owner).await;
        forget(&subject, owner).await;
    }
}

/// The second incarnation does not end the first.
pub async fn one_store_that_joins_twice_is_two_nodes<F: StoreFixture>(fixture: &F) {
    let subject = Subject::of(fixture).await;
    let first = subject.join().await;
    let second = subject.join().await;
    assert_ne!(first, second);
    assert!(renew(&subject, first, LONG).await);
    assert!(renew(&subject, second, LONG).await);
    assert!(expired(&subject).await.is_empty());
}

/// The lease that is granted is the one that was asked for.
pub async fn a_lease_is_granted_as_asked_for<F: StoreFixture>(fixture: &F) {
    let subject = Subject::of(fixture).await;
    let lease = subject.store.nodes().join("a 'name'", SHORT, &[]).await;
    assert_eq!(lease.expect("the store answers").lease, SHORT);
}

/// A node that renews in time stays.
pub async fn a_renewed_lease_runs_on<F: StoreFixture>(fixture: &F) {
    let subject = Subject::of(fixture).await;
    let lease = subject.store.nodes().join("node", LONG, &[]).await;
    let owner = lease.expect("the store answers").owner;
    assert!(renew(&subject, owner, LONG).await);
    assert!(!expired(&subject).await.contains(&owner));
}

/// A node that is late goes on under its number as long as no other has begun to take its work
/// over.
pub async fn a_late_lease_that_no_other_node_has_ended_is_renewed<F: StoreFixture>(fixture: &F) {
    let subject = Subject::of(fixture).await;
    let lease = subject.store.nodes().join("node", SHORT, &[]).await;
    let owner = lease.expect("the store answers").owner;
    while !subject.store.nodes().alive().await.expect("the store answers").is_empty() {
        // Real time: the store's clock is not the test's.
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    let by_itself = subject.store.nodes().expired(Some(owner)).await;
    assert_eq!(by_itself.expect("the store answers").owners, []);
    assert!(renew(&subject, owner, LONG).await);
    assert!(expired(&subject).await.is_empty());
}

/// A node that is late finds its lease ended, and stays gone.
pub async fn a_lease_that_ran_out_and_was_ended_cannot_be_renewed<F: StoreFixture>(fixture: &F) {
    let subject = Subject::of(fixture).await;
    let lease = subject.store.nodes().join("node", SHORT, &[]).await;
    let owner = lease.expect("the store answers").owner;
    // The store's clock is not the test's: only real time ends a lease.
    while !expired(&subject).await.contains(&owner) {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    assert!(!renew(&subject, owner, LONG).await);
    assert_eq!(expired(&subject).await, [owner]);
}

/// The node that asks learns how long the others' leases have still to run; of several the first
/// counts, of ended ones none. A pulse that says who is gone says that too.
pub async fn it_is_known_when_the_next_lease_ends<F: StoreFixture>(fixture: &F) {
    let subject = Subject::of(fixture).await;
    let nodes = subject.store.nodes();
    let asks = subject.join().await;
    let next_end = async || {
        let next_end = look_for_expired(&subject, Some(asks)).await.next_end;
        let pulse = nodes.pulse(asks, LONG).await.expect("the store answers");
        if let Some(gone) = pulse.gone {
            assert_eq!(gone.next_end.is_some(), next_end.is_some());
            assert!(gone.next_end <= next_end, "{gone:?} after {next_end:?}");
        }
        next_end
    };
    assert_eq!(next_end().await, None);
    let [late, left] = [subject.join().await, subject.join().await];
    assert!(next_end().await.is_some_and(|left| left > LONG / 2 && left <= LONG));
    assert!(renew(&subject, late, LONG / 4).await);
    assert!(next_end().await.is_some_and(|left| left > LONG / 8 && left <= LONG / 4));
    assert!(renew(&subject, late, LONG).await);
    assert!(next_end().await.is_some_and(|left| left > LONG / 2));
    leave(&subject, late).await;
    leave(&subject, left).await;
    assert_eq!(look_for_expired(&subject, Some(asks)).await.next_end, None);
}

/// Who waits as long as that finds the lease run out.
pub async fn a_lease_that_is_not_renewed_is_over_when_it_is_said_to_end<F: StoreFixture>(
    fixture: &F,
) {
    let subject = Subject::of(fixture).await;
    let asks = subject.join().await;
    let leases = [SHORT, SHORT * 3];
    for lease in leases {
        let lease = subject.store.nodes().join("node", lease, &[]).await;
        lease.expect("the store answers");
    }
    for ended in 0..leases.len() {
        let found = look_for_expired(&subject, Some(asks)).await;
        let Some(left) = found.next_end else {
            // It has taken so long to ask.
            assert_eq!(found.owners.len(), leases.len());
            return;
        };
        // Real time: the store's clock is not the test's.
        tokio::time::sleep(left).await;
        let found = look_for_expired(&subject, Some(asks)).await;
        assert!(found.owners.len() > ended, "{found:?}, {left:?} later");
    }
}

/// A node that stops is gone at once.
pub async fn a_node_that_left_is_gone<F: StoreFixture>(fixture: &F) {
    let subject = Subject::of(fixture).await;
    let gone = subject.join().await;
    let alive = subject.join().await;
    leave(&subject, gone).await;
    assert!(!renew(&subject, gone, LONG).await);
    assert_eq!(expired(&subject).await, [gone]);
    assert!(renew(&subject, alive, LONG).await);
}

/// Its rows are looked for no longer.
pub async fn a_forgotten_node_is_not_listed<F: StoreFixture>(fixture: &F) {
    let subject = Subject::of(fixture).await;
    let owner = subject.join().await;
    leave(&subject, owner).await;
    forget(&subject, owner).await;
    assert!(expired(&subject).await.is_empty());
    assert!(!renew(&subject, owner, LONG).await);
}

/// Only nodes whose leases run count as alive.
pub async fn the_living_nodes_are_known<F: StoreFixture>(fixture: &F) {
    let subject = Subject::of(fixture).await;
    let alive = async || -> Vec<Owner> {
        let alive = subject.store.nodes().alive().await.expect("the store answers");
        alive.into_iter().map(|node| node.owner).collect()
    };
    assert!(alive().await.is_empty());
    let [first, second] = [subject.join().await, subject.join().await];
    assert_eq!(alive().await, [first, second]);
    leave(&subject, first).await;
    assert_eq!(alive().await, [second]);
}

/// What a living node takes is known, so that others leave it alone.
pub async fn what_a_living_node_takes_is_known<F: StoreFixture>(fixture: &F) {
    let subject = Subject::of(fixture).await;
    let takes = [taken_at("a"), taken_at("b")];
    for takes in [&takes[..], &[]] {
        subject.store.nodes().join("node", LONG, takes).await.expect("the store answers");
    }
    let alive = subject.store.nodes().alive().await.expect("the store answers");
    assert_eq!(alive[0].takes, takes);
    assert_eq!(alive[1].takes, []);
}

/// A process that goes on under another number did not die of what it had under the one before.
pub async fn the_earlier_numbers_of_a_living_node_are_known<F: StoreFixture>(fixture: &F) {
    let subject = Subject::of(fixture).await;
    let [first, second, third] = [subject.join().await, subject.join().await, subject.join().await];
    leave(&subject, first).await;
    for earlier in [&[first][..], &[second, first]] {
        let noted = subject.store.nodes().note_earlier(third, earlier).await;
        noted.expect("the store answers");
    }
    let alive = subject.store.nodes().alive().await.expect("the store answers");
    assert_eq!(alive[0].earlier, []);
    assert_eq!(alive[1].earlier, [second, first]);
    assert!(alive[1].is_or_was(first) && alive[1].is_or_was(third));
    assert!(!alive[0].is_or_was(first));
}

/// A node that is gone and owns rows is remembered until they are released.
pub async fn an_owner_of_rows_is_not_forgotten<F: StoreFixture>(fixture: &F) {
    let subject = Subject::of(fixture).await;
    let [receiver, sender] = [subject.join().await, subject.join().await];
    subject.store_owned(receiver, None).await;
    subject.store_out(vec![Outgoing { envelope: envelope(), owner: Some(sender) }]).await;
    for owner in [receiver, sender] {
        leave(&subject, owner).await;
        forget(&subject, owner).await;
    }
    assert_eq!(expired(&subject).await.len(), 2);
    for owner in [receiver, sender] {
        let incoming = subject.store.inbox().release(owner, 10).await.expect("the store answers");
        let outgoing = subject.store.outbox().release(owner, 10).await.expect("the store answers");
        assert_eq!(incoming + outgoing, 1);
        forget(&subject, owner).await;
    }
    assert!(expired(&subject).await.is_empty());
}

/// Who is alive cannot be forgotten.
pub async fn a_living_node_is_not_forgotten<F: StoreFixture>(fixture: &F) {
    let subject = Subject::of(fixture).await;
    let owner = subject.join().await;
    forget(&subject, owner).await;
    assert!(renew(&subject, owner, LONG).await);
}

/// A number that was never given has no lease.
pub async fn an_unknown_node_cannot_renew<F: StoreFixture>(fixture: &F) {
    let subject = Subject::of(fixture).await;
    assert!(!renew(&subject, Owner::new(4711), LONG).await);
    leave(&subject, Owner::new(4711)).await;
    forget(&subject, Owner::new(4711)).await;
    assert!(expired(&subject).await.is_empty());
}

/// A zombie may write after it was forgotten: its rows must be found all the same.
pub async fn a_forgotten_owner_of_rows_is_listed<F: StoreFixture>(fixture: &F) {
    let subject = Subject::of(fixture).await;
    let [receiver, sender] = [subject.join().await, subject.join().await];
    for owner in [receiver, sender] {
        leave(&subject, owner).await;
        forget(&subject, owner).await;
    }
    let row =
        Incoming { envelope: envelope(), placement: Placement::Owned(receiver), retention: None };
    subject.store_new(row).await;
    let row = Outgoing { envelope: envelope(), owner: Some(sender) };
    subject.store_out(vec![row]).await;
    let mut gone = expired(&subject).await;
    gone.sort_unstable();
    assert_eq!(gone, [receiver, sender]);
}

/// The end of a lease alone takes no row away: the claim of another does.
pub async fn a_row_of_a_gone_node_is_its_own_until_it_is_released<F: StoreFixture>(fixture: &F) {
    let subject = Subject::of(fixture).await;
    let owner = subject.join().await;
    let held = subject.store_owned(owner, None).await;
    leave(&subject, owner).await;
    assert!(subject.claim_all(subject.join().await).await.is_empty());
    let settled = subject.settle(Settlement::Handled(held)).await;
    assert_eq!(settled, Settled::Done);
}

async fn renew<F: StoreFixture>(subject: &Subject<'_, F>, owner: Owner, lease: Duration) -> bool {
    let renewed = subject.store.nodes().renew(owner, lease).await;
    renewed.expect("the store answers")
}

async fn expired<F: StoreFixture>(subject: &Subject<'_, F>) -> Vec<Owner> {
    look_for_expired(subject, None).await.owners
}

async fn look_for_expired<F: StoreFixture>(subject: &Subject<'_, F>, asks: Option<Owner>) -> Gone {
    let expired = subject.store.nodes().expired(asks).await;
    expired.expect("the store answers")
}

async fn leave<F: StoreFixture>(subject: &Subject<'_, F>, owner: Owner) {
    let left = subject.store.nodes().leave(owner).await;
    left.expect("the store answers");
}

async fn forget<F: StoreFixture>(subject: &Subject<'_, F>, owner: Owner) {
    let forgotten = subject.store.nodes().forget(owner).await;
    forgotten.expect("the store answers");
}
