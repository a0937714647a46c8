//! After a backlog: what is older than all that was claimed is claimed all the same.
//!
//! A store may remember how far it has claimed, so that it need not begin at the first row that
//! ever was. These clauses claim more than a thousand rows first, page by page.

use std::collections::HashSet;
use std::time::{Duration, Instant};

use super::StoreFixture;
use super::subject::{Subject, at, envelope, scheduled, unowned};
use crate::envelope::{Envelope, MessageId};
use crate::store::{
    ClaimRequest, Claimed, DeadLetterId, DeadLetterReason, MessageStore, Owner, Settled, Settlement,
};

const ROWS: u64 = 2_000;
const CLAIMED: usize = 1_500;
const PAGE: usize = 250;

/// Seconds after which the backlog was sent.
const SENT: u64 = 1_000;

/// How long rows may stay unseen that others have committed late.
const PATIENCE: Duration = Duration::from_secs(20);

/// What was given back by settlements comes first again.
pub async fn what_is_given_back_after_a_backlog_is_claimed_first<F: StoreFixture>(fixture: &F) {
    let (subject, owner) = with_backlog(fixture, |n| n).await;
    let claimed = claim_backlog(&subject, owner).await;
    let back = [&claimed[700], &claimed[3], &claimed[1_499], &claimed[4]];
    for row in back {
        let ownership = row.ownership.clone();
        assert_eq!(
            subject.settle(Settlement::Release { ownership, attempt_began: true }).await,
            DONE
        );
    }
    let again = look_and_claim(&subject, owner, 4).await;
    let expected = [3, 4, 700, 1_499].map(|at: usize| claimed[at].ownership.id);
    assert_eq!(ids(&again), expected);
    assert_eq!(look_and_claim(&subject, owner, 10_000).await.len(), 500);
}

/// More rows than anything remembers one by one.
pub async fn many_rows_given_back_after_a_backlog_are_claimed<F: StoreFixture>(fixture: &F) {
    let (subject, owner) = with_backlog(fixture, |n| n).await;
    let claimed = claim_backlog(&subject, owner).await;
    let release = claimed
        .iter()
        .step_by(2)
        .map(|row| Settlement::Release { ownership: row.ownership.clone(), attempt_began: true });
    let settled = subject.store.inbox().settle(release.collect()).await;
    assert!(settled.expect("the store answers").iter().all(|settled| *settled == DONE));
    let mut again = 0;
    loop {
        let page = look_and_claim(&subject, owner, PAGE).await.len();
        again += page;
        if page < PAGE {
            break;
        }
    }
    assert_eq!(again, CLAIMED / 2 + 500);
}

/// The rows of a node that is gone were claimed among the others.
pub async fn what_a_gone_owner_had_of_a_backlog_is_claimed<F: StoreFixture>(fixture: &F) {
    let (subject, gone) = with_backlog(fixture, |n| n).await;
    let owner = subject.join().await;
    let of_gone = look_and_claim(&subject, gone, PAGE).await;
    claim_backlog(&subject, owner).await;
    subject.store.nodes().leave(gone).await.expect("the store answers");
    let released = subject.store.inbox().release(gone, 1_000).await;
    assert_eq!(released.expect("the store answers"), PAGE as u64);
    assert_eq!(ids(&look_and_claim(&subject, owner, PAGE).await), ids(&of_gone));
}

/// Rows whose time comes were sent long before.
pub async fn what_is_due_after_a_backlog_is_claimed_first<F: StoreFixture>(fixture: &F) {
    let (subject, owner) = with_backlog(fixture, |n| n).await;
    let first = Envelope { sent_at: at(0), ..envelope() };
    subject.store_new(scheduled(first.clone(), at(SENT))).await;
    // Found by the look before the claims, and claimed with them.
    let claimed = claim_backlog(&subject, owner).await;
    assert_eq!(claimed[0].ownership.id, first.id);
    let retried = claimed[7].ownership.clone();
    let id = retried.id;
    assert_eq!(subject.settle(Settlement::Schedule(retried, at(SENT))).await, DONE);
    let late = Envelope { sent_at: at(1), ..envelope() };
    subject.store_new(scheduled(late.clone(), at(SENT))).await;
    assert_eq!(ids(&look_and_claim(&subject, owner, 2).await), [late.id, id]);
}

/// Senders' clocks differ, and letters are old.
pub async fn what_was_sent_before_a_backlog_is_claimed_first<F: StoreFixture>(fixture: &F) {
    let (subject, owner) = with_backlog(fixture, |n| n).await;
    let claimed = claim_backlog(&subject, owner).await;
    let older = Envelope { sent_at: at(2), ..envelope() };
    subject.store_new(unowned(older.clone())).await;
    assert_eq!(ids(&look_and_claim(&subject, owner, 1).await), [older.id]);
    let ownership = claimed[5].ownership.clone();
    let letter = DeadLetterId { id: ownership.id, destination: ownership.destination.clone() };
    let dead_letter = Settlement::DeadLetter {
        ownership,
        reason: DeadLetterReason::Exhausted,
        error_type: String::new(),
        error_message: String::new(),
    };
    assert_eq!(subject.settle(dead_letter).await, DONE);
    let replayed = subject.store.dead_letters().replay(vec![letter.clone()]).await;
    assert_eq!(replayed.expect("the store answers"), 1);
    assert_eq!(ids(&look_and_claim(&subject, owner, 1).await), [letter.id]);
}

/// A page may end between rows that were sent at the same time.
pub async fn rows_sent_at_one_time_are_each_claimed_once<F: StoreFixture>(fixture: &F) {
    let (subject, owner) = with_backlog(fixture, |_| 0).await;
    let mut claimed = HashSet::new();
    for _ in 0..ROWS as usize / PAGE {
        claimed.extend(ids(&look_and_claim(&subject, owner, PAGE).await));
    }
    assert_eq!(claimed.len(), ROWS as usize);
    assert_eq!(look_and_claim(&subject, owner, PAGE).await.len(), 0);
}

/// A transaction of the user's own commits after rows were claimed that were sent later.
pub async fn what_commits_late_after_a_backlog_is_claimed_soon<F: StoreFixture>(fixture: &F) {
    let (subject, owner) = with_backlog(fixture, |n| n).await;
    let late = Envelope { sent_at: at(3), ..envelope() };
    let Some(effects) = subject.effects() else {
        return;
    };
    let claimed = claim_backlog(&subject, owner).await;
    let mut transaction = effects.begin(&subject.store).await;
    let rows = vec![unowned(late.clone())];
    let stored = subject.store.inbox().store_within(transaction.connection(), rows).await;
    stored.expect("the store answers");
    assert_eq!(claimed.len(), CLAIMED);
    transaction.commit().await;
    let began = Instant::now();
    while !ids(&look_and_claim(&subject, owner, 1).await).contains(&late.id) {
        assert!(began.elapsed() < PATIENCE, "it is not found");
        // Real time: a store may look for such rows at intervals.
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

const DONE: Settled = Settled::Done;

/// This many rows, sent one second after the other or as `order` says, and a node.
async fn with_backlog<F: StoreFixture>(
    fixture: &F,
    order: fn(u64) -> u64,
) -> (Subject<'_, F>, Owner) {
    let subject = Subject::of(fixture).await;
    // First: how long a call may take follows from the lease.
    let owner = subject.join().await;
    let row = |n| unowned(Envelope { sent_at: at(SENT + order(n)), ..envelope() });
    subject.store((0..ROWS).map(row).collect()).await;
    (subject, owner)
}

/// Claims most of it, as a node does.
async fn claim_backlog<F: StoreFixture>(subject: &Subject<'_, F>, owner: Owner) -> Vec<Claimed> {
    let mut claimed = Vec::new();
    for _ in 0..CLAIMED / PAGE {
        claimed.extend(look_and_claim(subject, owner, PAGE).await);
    }
    assert_eq!(claimed.len(), CLAIMED);
    claimed
}

async fn look_and_claim<F: StoreFixture>(
    subject: &Subject<'_, F>,
    owner: Owner,
    limit: usize,
) -> Vec<Claimed> {
    let subscriptions = subject.look_once().await.now;
    subject.claim(ClaimRequest { subscriptions, owner, limit, count_attempt: true }).await
}

fn ids(claimed: &[Claimed]) -> Vec<MessageId> {
    claimed.iter().map(|row| row.ownership.id).collect()
}
