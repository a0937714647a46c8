//! Storing in the inbox: what is new, what is a repeat, and for how long it is known.

use std::time::Duration;

use super::StoreFixture;
use super::subject::{
    LONG, PORTION, Subject, envelope, full_envelope, kept, large, local, unowned,
};
use crate::envelope::Envelope;
use crate::store::{Incoming, Inserted, MessageStore, Placement, Settled, Settlement};

/// What is stored can be claimed.
pub async fn a_stored_row_is_new_and_can_be_claimed<F: StoreFixture>(fixture: &F) {
    let subject = Subject::of(fixture).await;
    let envelope = envelope();
    subject.store_new(unowned(envelope.clone())).await;
    let claimed = subject.claim_one(subject.join().await).await;
    assert_eq!(claimed.ownership.id, envelope.id);
    assert_eq!(claimed.ownership.destination, envelope.destination);
}

/// A repeat is reported, and what is there stays as it is.
pub async fn a_repeated_key_is_a_duplicate_and_changes_nothing<F: StoreFixture>(fixture: &F) {
    let subject = Subject::of(fixture).await;
    let first = envelope();
    subject.store_new(unowned(first.clone())).await;
    let repeat = Envelope { payload: "another payload".into(), ..first.clone() };
    let repeat = Incoming {
        envelope: repeat,
        placement: Placement::Scheduled(std::time::SystemTime::now() + LONG),
        retention: Some(LONG),
    };
    assert_eq!(subject.store(vec![repeat]).await, [Inserted::Duplicate]);
    let claimed = subject.claim_one(subject.join().await).await;
    let envelope = claimed.envelope.expect("the bytes can be read");
    assert_eq!(envelope.payload, first.payload);
}

/// Within one call as well.
pub async fn a_key_that_stands_twice_in_one_call_is_stored_once<F: StoreFixture>(fixture: &F) {
    let subject = Subject::of(fixture).await;
    let row = unowned(envelope());
    let other = unowned(envelope());
    let stored = subject.store(vec![row.clone(), other, row]).await;
    assert_eq!(stored, [Inserted::New, Inserted::New, Inserted::Duplicate]);
    assert_eq!(subject.counts().await.incoming, 2);
}

/// The key is message id and destination.
pub async fn one_message_at_two_destinations_is_two_rows<F: StoreFixture>(fixture: &F) {
    let subject = Subject::of(fixture).await;
    let first = envelope();
    let second = Envelope { destination: local("elsewhere"), ..first.clone() };
    let stored = subject.store(vec![unowned(first), unowned(second)]).await;
    assert_eq!(stored, [Inserted::New, Inserted::New]);
    assert_eq!(subject.claim_all(subject.join().await).await.len(), 2);
}

/// A call with more rows than a statement takes, some of them repeats.
pub async fn many_rows_are_answered_in_order<F: StoreFixture>(fixture: &F) {
    let subject = Subject::of(fixture).await;
    let rows: Vec<Incoming> = (0..250).map(|_| unowned(envelope())).collect();
    let repeats: Vec<Incoming> = rows.iter().step_by(3).cloned().collect();
    subject.store(repeats).await;
    let expected: Vec<Inserted> = (0..rows.len())
        .map(|row| match row % 3 {
            0 => Inserted::Duplicate,
            _ => Inserted::New,
        })
        .collect();
    assert_eq!(subject.store(rows).await, expected);
    assert_eq!(subject.counts().await.incoming, 250);
}

/// The same with more bytes than a statement takes: what was new is stored, and nothing twice.
pub async fn many_bytes_are_answered_in_order<F: StoreFixture>(fixture: &F) {
    let subject = Subject::of(fixture).await;
    let rows: Vec<_> = (0..4).map(|_| unowned(large(envelope(), PORTION * 3 / 8))).collect();
    subject.store(rows[2..3].to_vec()).await;
    let [new, repeat] = [Inserted::New, Inserted::Duplicate];
    assert_eq!(subject.store(rows.clone()).await, [new, new, repeat, new]);
    assert_eq!(subject.store(rows).await, [repeat; 4]);
    assert_eq!(subject.counts().await.incoming, 4);
}

/// Nothing is lost on the way through the database.
pub async fn an_envelope_comes_back_with_every_field<F: StoreFixture>(fixture: &F) {
    let subject = Subject::of(fixture).await;
    let envelope = full_envelope();
    subject.store_new(unowned(envelope.clone())).await;
    let claimed = subject.claim_one(subject.join().await).await;
    assert!(claimed.envelope.expect("the bytes can be read") == envelope);
}

/// The node that stores a row as its own runs it, and no other one.
pub async fn a_row_stored_as_owned_is_not_claimable<F: StoreFixture>(fixture: &F) {
    let subject = Subject::of(fixture).await;
    let owner = subject.join().await;
    let held = subject.store_owned(owner, None).await;
    assert!(subject.claim_all(owner).await.is_empty());
    let settled = subject.settle(Settlement::Handled(held)).await;
    assert_eq!(settled, Settled::Done);
}

/// An empty call has an empty answer.
pub async fn storing_nothing_is_harmless<F: StoreFixture>(fixture: &F) {
    let subject = Subject::of(fixture).await;
    assert!(subject.store(Vec::new()).await.is_empty());
    assert!(subject.store_out(Vec::new()).await.is_empty());
}

/// Many callers at once, each with its own answer.
pub async fn rows_of_many_callers_are_all_there<F: StoreFixture>(fixture: &F) {
    let subject = Subject::of(fixture).await;
    let calls = (0..64).map(|_| subject.store_new(unowned(envelope())));
    futures_util::future::join_all(calls).await;
    assert_eq!(subject.claim_all(subject.join().await).await.len(), 64);
}

/// Of many callers with one key, one is the first.
pub async fn of_concurrent_repeats_one_is_new<F: StoreFixture>(fixture: &F) {
    let subject = Subject::of(fixture).await;
    let row = unowned(envelope());
    let calls = (0..16).map(|_| subject.store(vec![row.clone()]));
    let stored = futures_util::future::join_all(calls).await.concat();
    let new = stored.iter().filter(|stored| **stored == Inserted::New);
    assert_eq!(new.count(), 1);
    assert_eq!(subject.counts().await.incoming, 1);
}

/// Where nothing outside can deliver a message again, nothing is kept.
pub async fn a_handled_row_without_keep_is_forgotten<F: StoreFixture>(fixture: &F) {
    let subject = Subject::of(fixture).await;
    let row = unowned(envelope());
    subject.store_new(row.clone()).await;
    let claimed = subject.claim_one(subject.join().await).await;
    let handled = Settlement::Handled(claimed.ownership);
    assert_eq!(subject.settle(handled).await, Settled::Done);
    assert_eq!(subject.counts().await, Default::default());
    subject.store_new(row).await;
}

/// A kept id is known, cannot be claimed, and its repeat is dropped.
pub async fn a_handled_row_with_keep_is_remembered<F: StoreFixture>(fixture: &F) {
    let subject = Subject::of(fixture).await;
    let row = kept(envelope(), LONG);
    subject.store_new(row.clone()).await;
    let owner = subject.join().await;
    let claimed = subject.claim_one(owner).await;
    let handled = Settlement::Handled(claimed.ownership);
    assert_eq!(subject.settle(handled).await, Settled::Done);
    assert_eq!(subject.counts().await.handled, 1);
    assert!(subject.claim_all(owner).await.is_empty());
    assert_eq!(subject.store(vec![row]).await, [Inserted::Duplicate]);
    assert!(subject.claim_all(owner).await.is_empty());
}

/// Also once its time is over, until the purge.
pub async fn a_repeat_is_a_duplicate_until_the_purge<F: StoreFixture>(fixture: &F) {
    let subject = Subject::of(fixture).await;
    let row = kept(envelope(), Duration::ZERO);
    subject.store_new(row.clone()).await;
    let claimed = subject.claim_one(subject.join().await).await;
    subject.settle(Settlement::Handled(claimed.ownership)).await;
    assert_eq!(subject.store(vec![row.clone()]).await, [Inserted::Duplicate]);
    assert_eq!(purge(&subject, 10).await, 1);
    subject.store_new(row).await;
}

/// It deletes what is over, no more than it may.
pub async fn a_purge_is_bounded_and_spares_rows_whose_time_is_not_over<F: StoreFixture>(
    fixture: &F,
) {
    let subject = Subject::of(fixture).await;
    let over = (0..5).map(|_| kept(envelope(), Duration::ZERO));
    let rows = over.chain([kept(envelope(), LONG)]).collect();
    subject.store(rows).await;
    for claimed in subject.claim_all(subject.join().await).await {
        subject.settle(Settlement::Handled(claimed.ownership)).await;
    }
    // Rows that wait are not handled, whatever they are kept for afterwards.
    subject.store_new(kept(envelope(), Duration::ZERO)).await;
    assert_eq!(purge(&subject, 3).await, 3);
    assert_eq!(purge(&subject, 3).await, 2);
    assert_eq!(purge(&subject, 3).await, 0);
    let counts = subject.counts().await;
    assert_eq!((counts.handled, counts.incoming), (1, 1));
}

async fn purge<F: StoreFixture>(subject: &Subject<'_, F>, limit: usize) -> u64 {
    let purged = subject.store.admin().purge(limit).await;
    purged.expect("the store answers")
}
