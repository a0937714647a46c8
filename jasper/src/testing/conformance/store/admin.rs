//! Housekeeping, and what holds for all rows together.

use std::time::{Duration, SystemTime};

use super::StoreFixture;
use super::subject::{LONG, Subject, at, envelope, kept, scheduled, unowned};
use crate::store::{
    Counts, DeadLetterReason, MessageStore, Outgoing, OutgoingSettlement, Owner, Ownership,
    Settlement,
};

/// Every start prepares, also where nothing is to be done.
pub async fn to_prepare_again_changes_nothing<F: StoreFixture>(fixture: &F) {
    let subject = Subject::of(fixture).await;
    subject.store_new(unowned(envelope())).await;
    let admin = subject.store.admin();
    let (first, second) = futures_util::future::join(admin.prepare(), admin.prepare()).await;
    first.and(second).expect("the store answers");
    assert_eq!(subject.counts().await.incoming, 1);
}

/// A new store holds nothing.
pub async fn a_new_store_is_empty<F: StoreFixture>(fixture: &F) {
    let subject = Subject::of(fixture).await;
    assert_eq!(subject.counts().await, Counts::default());
    assert!(subject.letters().await.is_empty());
    assert!(subject.claim_all(subject.join().await).await.is_empty());
}

/// Each row counts once, by its state.
pub async fn rows_are_counted_by_state<F: StoreFixture>(fixture: &F) {
    let subject = Subject::of(fixture).await;
    fill(&subject, subject.join().await).await;
    let expected = Counts { incoming: 3, scheduled: 1, handled: 2, outgoing: 2, dead_letters: 1 };
    assert_eq!(subject.counts().await, expected);
}

/// For tests of users.
pub async fn to_clear_empties_the_store_and_keeps_nodes<F: StoreFixture>(fixture: &F) {
    let subject = Subject::of(fixture).await;
    let owner = subject.join().await;
    fill(&subject, owner).await;
    subject.store.admin().clear().await.expect("the store answers");
    assert_eq!(subject.counts().await, Counts::default());
    let renewed = subject.store.nodes().renew(owner, LONG).await;
    assert!(renewed.expect("the store answers"));
    subject.store_new(unowned(envelope())).await;
}

/// Tests that run at the same time may share a store.
pub async fn processes_that_clear_at_once_all_succeed<F: StoreFixture>(fixture: &F) {
    let subject = Subject::of(fixture).await;
    let owner = subject.join().await;
    for _round in 0..5 {
        fill(&subject, owner).await;
        let clears = (0..4).map(|_| subject.store.admin().clear());
        for cleared in futures_util::future::join_all(clears).await {
            cleared.expect("the store answers");
        }
        assert_eq!(subject.counts().await, Counts::default());
    }
}

/// Whatever state a row is in, some recovery comes by: nothing is stored for ever.
pub async fn every_row_is_reachable_by_some_recovery<F: StoreFixture>(fixture: &F) {
    let subject = Subject::of(fixture).await;
    let gone = subject.join().await;
    fill(&subject, gone).await;
    let nodes = subject.store.nodes();
    nodes.leave(gone).await.expect("the store answers");
    let recoverer = subject.join().await;
    for owner in nodes.expired(None).await.expect("the store answers").owners {
        let inbox = subject.store.inbox().release(owner, 100).await;
        inbox.expect("the store answers");
        let outbox = subject.store.outbox().release(owner, 100).await;
        outbox.expect("the store answers");
    }
    for claimed in subject.claim_all(recoverer).await {
        subject.settle(Settlement::Handled(claimed.ownership)).await;
    }
    send_all(&subject, recoverer).await;
    let purged = subject.store.admin().purge(100).await;
    purged.expect("the store answers");
    let left = Counts { scheduled: 1, handled: 1, dead_letters: 1, ..Counts::default() };
    assert_eq!(subject.counts().await, left, "what waits for its time and for a person");
    assert!(subject.claimable().await.next_due.is_some());
}

/// What is committed outlives the store, if the store says that it is durable.
pub async fn what_is_committed_is_there_after_reopening<F: StoreFixture>(fixture: &F) {
    let subject = Subject::of(fixture).await;
    fill(&subject, subject.join().await).await;
    let before = subject.counts().await;
    let Subject { fixture, store, guard } = subject;
    let durable = store.info().durable;
    let reopened = fixture.reopen(store, &guard).await;
    assert_eq!(reopened.is_some(), durable, "a fixture reopens just if its store is durable");
    if let Some(store) = reopened {
        let after = store.admin().counts().await;
        assert_eq!(after.expect("the store answers"), before);
    }
}

/// A row in each state: waiting, owned, due, later, kept, over, outgoing both ways, a dead letter.
pub(super) async fn fill<F: StoreFixture>(subject: &Subject<'_, F>, owner: Owner) {
    for keep in [Duration::ZERO, LONG] {
        subject.store_new(kept(envelope(), keep)).await;
        let held = subject.claim_one(owner).await.ownership;
        subject.settle(Settlement::Handled(held)).await;
    }
    let held = subject.store_owned(owner, None).await;
    dead_letter(subject, held).await;
    subject.store_owned(owner, None).await;
    let later = SystemTime::now() + LONG;
    let rows =
        vec![unowned(envelope()), scheduled(envelope(), at(1)), scheduled(envelope(), later)];
    subject.store(rows).await;
    let outgoing = |owner| Outgoing { envelope: envelope(), owner };
    let rows = vec![outgoing(None), outgoing(Some(owner))];
    subject.store_out(rows).await;
}

async fn dead_letter<F: StoreFixture>(subject: &Subject<'_, F>, ownership: Ownership) {
    let settlement = Settlement::DeadLetter {
        ownership,
        reason: DeadLetterReason::Exhausted,
        error_type: String::new(),
        error_message: String::new(),
    };
    subject.settle(settlement).await;
}

async fn send_all<F: StoreFixture>(subject: &Subject<'_, F>, owner: Owner) {
    let outbox = subject.store.outbox();
    for destination in outbox.destinations().await.expect("the store answers") {
        let claimed = outbox.claim(owner, &destination, 100).await;
        let sent = claimed
            .expect("the store answers")
            .into_iter()
            .map(|envelope| Ownership::of(&envelope, owner))
            .map(OutgoingSettlement::Sent)
            .collect();
        outbox.settle(sent).await.expect("the store answers");
    }
}
