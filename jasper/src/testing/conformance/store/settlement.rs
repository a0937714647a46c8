//! Settlement in the inbox: by compare-and-set, or not at all.

use std::time::{Duration, SystemTime};

use super::StoreFixture;
use super::subject::{LONG, Subject, at, envelope, unowned};
use crate::envelope::Envelope;
use crate::store::{Counts, DeadLetterReason, MessageStore, Owner, Ownership, Settled, Settlement};

/// The count goes up, and the row stays where it is.
pub async fn an_attempt_is_counted_and_the_row_stays_owned<F: StoreFixture>(fixture: &F) {
    let subject = Subject::of(fixture).await;
    let owner = subject.join().await;
    let held = subject.store_owned(owner, None).await;
    let attempt = Settlement::Attempt(held.clone());
    assert_eq!(subject.settle(attempt).await, Settled::Done);
    assert!(subject.claim_all(owner).await.is_empty());
    let held = Ownership { attempts: held.attempts + 1, ..held };
    let handled = Settlement::Handled(held);
    assert_eq!(subject.settle(handled).await, Settled::Done);
}

/// The answer may have been lost, so that its owner asks again.
pub async fn an_attempt_that_is_asked_for_twice_is_counted_once<F: StoreFixture>(fixture: &F) {
    let subject = Subject::of(fixture).await;
    let held = subject.store_owned(subject.join().await, None).await;
    for _ in 0..3 {
        assert_eq!(subject.settle(Settlement::Attempt(held.clone())).await, Settled::Done);
    }
    let counted = Ownership { attempts: held.attempts + 1, ..held };
    assert_eq!(subject.settle(Settlement::Handled(counted)).await, Settled::Done);
}

/// Until its time it is unowned; then it is claimed with the attempts that it had.
pub async fn a_scheduled_row_belongs_to_nobody_and_waits<F: StoreFixture>(fixture: &F) {
    let subject = Subject::of(fixture).await;
    let owner = subject.join().await;
    let late = subject.store_owned(owner, None).await;
    let due = subject.store_owned(owner, None).await;
    let later = SystemTime::now() + LONG;
    let schedule = Settlement::Schedule(late.clone(), later);
    assert_eq!(subject.settle(schedule).await, Settled::Done);
    let schedule = Settlement::Schedule(due.clone(), at(1));
    assert_eq!(subject.settle(schedule).await, Settled::Done);
    let handled = Settlement::Handled(late);
    assert_eq!(subject.settle(handled).await, Settled::Fenced);
    let claimed = subject.claim_one(owner).await;
    assert_eq!(claimed.ownership, due);
    assert!(!claimed.attempt_counted);
    assert_eq!(subject.counts().await.scheduled, 1);
}

/// An attempt that began stays counted.
pub async fn a_release_after_a_run_keeps_its_attempt<F: StoreFixture>(fixture: &F) {
    let subject = Subject::of(fixture).await;
    let owner = subject.join().await;
    let held = subject.store_owned(owner, None).await;
    let release = Settlement::Release { ownership: held.clone(), attempt_began: true };
    assert_eq!(subject.settle(release).await, Settled::Done);
    let claimed = subject.claim_one(owner).await;
    assert_eq!(claimed.ownership, held);
    assert!(!claimed.attempt_counted);
}

/// An attempt that never began is given back.
pub async fn a_release_without_a_run_takes_its_attempt_back<F: StoreFixture>(fixture: &F) {
    let subject = Subject::of(fixture).await;
    let owner = subject.join().await;
    let held = subject.store_owned(owner, None).await;
    let release = Settlement::Release { ownership: held, attempt_began: false };
    assert_eq!(subject.settle(release).await, Settled::Done);
    let claimed = subject.claim_one(owner).await;
    assert_eq!(claimed.ownership.attempts, 1);
    assert!(claimed.attempt_counted, "the claim counted it again");
}

/// Nothing of the message is lost when it becomes a dead letter, and the inbox has it no more.
pub async fn a_dead_letter_keeps_bytes_reason_and_attempts<F: StoreFixture>(fixture: &F) {
    let subject = Subject::of(fixture).await;
    let owner = subject.join().await;
    let envelope = Envelope { attempts: 4, ..envelope() };
    subject.store_new(unowned(envelope.clone())).await;
    let held = subject.claim_one(owner).await.ownership;
    assert_eq!(subject.settle(dead_letter(held.clone())).await, Settled::Done);
    assert_eq!(subject.settle(dead_letter(held)).await, Settled::Fenced);
    let expected = Counts { dead_letters: 1, ..Counts::default() };
    assert_eq!(subject.counts().await, expected);
    let letter = subject.letters().await.remove(0);
    assert_eq!(letter.id.id, envelope.id);
    assert_eq!(letter.id.destination, envelope.destination);
    assert_eq!(letter.reason, DeadLetterReason::Terminal);
    assert_eq!(letter.message_type, envelope.message_type.to_string());
    assert_eq!(letter.error_type, "an error type");
    assert_eq!(letter.error_message, "an error 'in words'");
    assert_eq!(letter.attempts, 4);
    assert_eq!(letter.body, envelope.to_bytes());
}

/// A node that was taken for dead changes nothing.
pub async fn every_settlement_by_another_owner_is_fenced<F: StoreFixture>(fixture: &F) {
    let subject = Subject::of(fixture).await;
    let other = subject.join().await;
    let held = subject.store_owned(subject.join().await, None).await;
    let foreign = Ownership { owner: other, ..held.clone() };
    all_are_fenced(&subject, foreign).await;
    still_held(&subject, held).await;
}

/// A run that was overtaken by a later one of the same node changes nothing.
pub async fn every_settlement_with_other_attempts_is_fenced<F: StoreFixture>(fixture: &F) {
    let subject = Subject::of(fixture).await;
    let held = subject.store_owned(subject.join().await, None).await;
    for attempts in [1, 2] {
        let attempt = Settlement::Attempt(Ownership { attempts, ..held.clone() });
        assert_eq!(subject.settle(attempt).await, Settled::Done);
    }
    let held = Ownership { attempts: 3, ..held };
    for attempts in [0, 1, 4] {
        let overtaken = Ownership { attempts, ..held.clone() };
        all_are_fenced(&subject, overtaken).await;
    }
    still_held(&subject, held).await;
}

/// What is not there cannot be settled.
pub async fn every_settlement_of_an_unknown_row_is_fenced<F: StoreFixture>(fixture: &F) {
    let subject = Subject::of(fixture).await;
    let owner = subject.join().await;
    all_are_fenced(&subject, Ownership::of(&envelope(), owner)).await;
    assert_eq!(subject.counts().await, Counts::default());
}

/// What is handled stays handled.
pub async fn every_settlement_of_a_handled_row_is_fenced<F: StoreFixture>(fixture: &F) {
    let subject = Subject::of(fixture).await;
    let owner = subject.join().await;
    let held = subject.store_owned(owner, Some(LONG)).await;
    let handled = Settlement::Handled(held.clone());
    assert_eq!(subject.settle(handled).await, Settled::Done);
    all_are_fenced(&subject, held).await;
    let counts = subject.counts().await;
    assert_eq!((counts.handled, counts.dead_letters), (1, 0));
}

/// A row that was given back is unowned, and no longer of the owner that it had.
pub async fn every_settlement_of_a_released_row_is_fenced<F: StoreFixture>(fixture: &F) {
    let subject = Subject::of(fixture).await;
    let owner = subject.join().await;
    let held = subject.store_owned(owner, None).await;
    let release = Settlement::Release { ownership: held.clone(), attempt_began: true };
    assert_eq!(subject.settle(release).await, Settled::Done);
    all_are_fenced(&subject, held.clone()).await;
    assert_eq!(subject.claim_one(owner).await.ownership, held);
}

/// Of two that settle at once, one does.
pub async fn a_row_is_settled_once<F: StoreFixture>(fixture: &F) {
    let subject = Subject::of(fixture).await;
    let held = subject.store_owned(subject.join().await, Some(LONG)).await;
    let calls = (0..8).map(|_| subject.settle(Settlement::Handled(held.clone())));
    let settled = futures_util::future::join_all(calls).await;
    let done = settled.iter().filter(|settled| **settled == Settled::Done);
    assert_eq!(done.count(), 1);
}

/// One call may settle many rows in many ways; one that is fenced spoils no other.
pub async fn settlements_are_answered_in_order<F: StoreFixture>(fixture: &F) {
    let subject = Subject::of(fixture).await;
    let owner = subject.join().await;
    let mut settlements = Vec::new();
    for _ in 0..40 {
        let held = subject.store_owned(owner, None).await;
        let foreign = Ownership { owner: Owner::new(owner.number() + 1), ..held.clone() };
        settlements.push(Settlement::Handled(foreign));
        settlements.push(Settlement::Attempt(held.clone()));
        settlements.push(Settlement::Handled(held.clone()));
        settlements.push(Settlement::Handled(Ownership { attempts: 2, ..held }));
    }
    let settled = subject.store.inbox().settle(settlements).await;
    let expected = [Settled::Fenced, Settled::Done, Settled::Fenced, Settled::Done];
    assert_eq!(settled.expect("the store answers"), expected.repeat(40));
    assert_eq!(subject.counts().await, Counts::default());
}

/// Of many that are handled in one call, each is forgotten, kept or fenced by itself.
pub async fn many_handled_rows_are_forgotten_kept_or_fenced<F: StoreFixture>(fixture: &F) {
    let subject = Subject::of(fixture).await;
    let owner = subject.join().await;
    let (mut settlements, mut expected) = (Vec::new(), Vec::new());
    for row in 0..140 {
        // Neighbours that are all forgotten, all kept, and of both kinds.
        let is_kept = [false, true, row % 2 == 0, row % 3 == 0][row / 35];
        let held = subject.store_owned(owner, is_kept.then_some(LONG)).await;
        let is_fenced = row > 35 && row % 7 == 0;
        let attempts = held.attempts + u32::from(is_fenced);
        settlements.push(Settlement::Handled(Ownership { attempts, ..held.clone() }));
        expected.push((held, is_kept, is_fenced));
    }
    let settled = subject.store.inbox().settle(settlements).await.expect("the store answers");
    for (settled, (held, _is_kept, is_fenced)) in settled.iter().zip(&expected) {
        assert_eq!(*settled == Settled::Fenced, *is_fenced, "{held:?}");
    }
    let kept = expected.iter().filter(|(_held, is_kept, is_fenced)| *is_kept && !is_fenced);
    assert_eq!(subject.counts().await.handled, kept.count() as u64);
    let fenced = expected.into_iter().filter(|(_held, _is_kept, is_fenced)| *is_fenced);
    let again = fenced.map(|(held, ..)| Settlement::Handled(held));
    let again = subject.store.inbox().settle(again.collect()).await.expect("the store answers");
    assert!(again.iter().all(|settled| *settled == Settled::Done), "{again:?}");
    assert_eq!(subject.counts().await.incoming, 0);
}

/// Recovery of a dead owner takes rows in portions, from no other owner, with attempts as they are.
pub async fn the_release_of_an_owner_is_bounded_and_spares_others<F: StoreFixture>(fixture: &F) {
    let subject = Subject::of(fixture).await;
    let dead = subject.join().await;
    let alive = subject.join().await;
    for _ in 0..5 {
        subject.store_owned(dead, None).await;
        subject.store_owned(alive, Some(Duration::ZERO)).await;
    }
    let release = async |owner| {
        let released = subject.store.inbox().release(owner, 3).await;
        released.expect("the store answers")
    };
    subject.store.nodes().leave(dead).await.expect("the store answers");
    assert_eq!(release(dead).await, 3);
    assert_eq!(subject.claim_all(alive).await.len(), 3);
    assert_eq!(release(dead).await, 2);
    let claimed = subject.claim_all(alive).await;
    assert_eq!(claimed.len(), 2);
    assert!(claimed.iter().all(|claimed| !claimed.attempt_counted));
    assert!(claimed.iter().all(|claimed| claimed.ownership.attempts == 1));
    assert_eq!(release(dead).await, 0);
}

fn dead_letter(ownership: Ownership) -> Settlement {
    Settlement::DeadLetter {
        ownership,
        reason: DeadLetterReason::Terminal,
        error_type: "an error type".to_owned(),
        error_message: "an error 'in words'".to_owned(),
    }
}

async fn all_are_fenced<F: StoreFixture>(subject: &Subject<'_, F>, ownership: Ownership) {
    let release =
        |attempt_began| Settlement::Release { ownership: ownership.clone(), attempt_began };
    let settlements = [
        Settlement::Handled(ownership.clone()),
        Settlement::Attempt(ownership.clone()),
        Settlement::Schedule(ownership.clone(), at(1)),
        release(true),
        release(false),
        dead_letter(ownership.clone()),
    ];
    for settlement in settlements {
        let settled = subject.settle(settlement.clone()).await;
        assert_eq!(settled, Settled::Fenced, "{settlement:?}");
    }
}

async fn still_held<F: StoreFixture>(subject: &Subject<'_, F>, held: Ownership) {
    assert!(subject.claim_all(held.owner).await.is_empty());
    assert!(subject.letters().await.is_empty());
    let settled = subject.settle(Settlement::Handled(held)).await;
    assert_eq!(settled, Settled::Done);
}
