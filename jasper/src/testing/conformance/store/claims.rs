//! Claims: who gets which row, and never two the same.

use std::collections::HashSet;
use std::time::SystemTime;

use bytes::Bytes;

use super::StoreFixture;
use super::subject::{
    LONG, PORTION, Subject, all, at, envelope, large, local, scheduled, taken_at, to, unowned,
};
use crate::envelope::{Envelope, MessageId};
use crate::message::MessageType;
use crate::store::{
    ClaimRequest, Claimable, Claimed, DeadLetter, DeadLetterId, DeadLetterReason, MessageStore,
    Ownership, Settled, Settlement, Stored, Subscription,
};

/// The first claim counts an attempt; after that the runtime does, when the handler begins.
pub async fn a_first_claim_counts_an_attempt_and_a_later_one_does_not<F: StoreFixture>(
    fixture: &F,
) {
    let subject = Subject::of(fixture).await;
    let owner = subject.join().await;
    subject.store_new(unowned(envelope())).await;
    let first = subject.claim_one(owner).await;
    assert!(first.first_attempt);
    assert_eq!(first.ownership.attempts, 1);
    assert_eq!(attempts(&first), 1);
    let release = Settlement::Release { ownership: first.ownership, ran: true };
    assert_eq!(subject.settle(release).await, Settled::Done);
    let second = subject.claim_one(owner).await;
    assert!(!second.first_attempt);
    assert_eq!(second.ownership.attempts, 1);
    assert_eq!(attempts(&second), 1);
}

/// An envelope may come with attempts from elsewhere.
pub async fn stored_attempts_are_kept<F: StoreFixture>(fixture: &F) {
    let subject = Subject::of(fixture).await;
    let envelope = Envelope { attempts: 7, ..envelope() };
    subject.store_new(unowned(envelope)).await;
    let claimed = subject.claim_one(subject.join().await).await;
    assert!(!claimed.first_attempt);
    assert_eq!(claimed.ownership.attempts, 7);
    assert_eq!(attempts(&claimed), 7);
}

/// Whose row it is stands in the claim, and the row is held so.
pub async fn a_claimed_row_belongs_to_its_claimer<F: StoreFixture>(fixture: &F) {
    let subject = Subject::of(fixture).await;
    let owner = subject.join().await;
    subject.store_new(unowned(envelope())).await;
    let claimed = subject.claim_one(owner).await;
    assert_eq!(claimed.ownership.owner, owner);
    assert!(subject.claim_all(subject.join().await).await.is_empty());
    assert!(subject.claim_all(owner).await.is_empty());
    let handled = Settlement::Handled(claimed.ownership);
    assert_eq!(subject.settle(handled).await, Settled::Done);
}

/// No more than asked for, and the rest another time.
pub async fn a_claim_takes_no_more_than_its_limit<F: StoreFixture>(fixture: &F) {
    let subject = Subject::of(fixture).await;
    let owner = subject.join().await;
    let rows = (0..5).map(|_| unowned(envelope())).collect();
    subject.store(rows).await;
    let limited = |limit| ClaimRequest { limit, ..all(owner) };
    assert_eq!(subject.claim(limited(0)).await.len(), 0);
    assert_eq!(subject.claim(limited(3)).await.len(), 3);
    assert_eq!(subject.claim(limited(3)).await.len(), 2);
    assert_eq!(subject.claim(limited(3)).await.len(), 0);
}

/// What a process reads at once has a bound in bytes, and large rows come all the same.
pub async fn a_claim_of_large_rows_is_bounded_in_bytes<F: StoreFixture>(fixture: &F) {
    let subject = Subject::of(fixture).await;
    let owner = subject.join().await;
    let length = PORTION / 4;
    let rows: Vec<_> = (0..10).map(|_| unowned(large(envelope(), length))).collect();
    let small: Vec<_> = (0..10).map(|_| unowned(envelope())).collect();
    assert_eq!(subject.store(rows).await, vec![Stored::New; 10]);
    assert_eq!(subject.store(small).await, vec![Stored::New; 10]);
    let (mut seen, mut claims) = (HashSet::new(), 0);
    while seen.len() < 20 {
        let claimed = subject.claim_all(owner).await;
        let payload = |row: &Claimed| row.envelope.as_ref().expect("it is readable").payload.len();
        let bytes: usize = claimed.iter().map(payload).sum();
        assert!(!claimed.is_empty() && bytes <= PORTION + length, "{bytes}");
        seen.extend(claimed.into_iter().map(|row| row.ownership.id));
        claims += 1;
    }
    assert!(claims <= 6, "small ones come together");
}

/// However large it is, a row can be claimed.
pub async fn a_row_that_fills_a_claim_is_claimed<F: StoreFixture>(fixture: &F) {
    let subject = Subject::of(fixture).await;
    let owner = subject.join().await;
    for _ in 0..2 {
        subject.store_new(unowned(large(envelope(), PORTION))).await;
    }
    for _ in 0..2 {
        assert_eq!(subject.claim_all(owner).await.len(), 1);
    }
}

/// By the time of sending, whatever the order of storing; also of rows that became due.
pub async fn a_claim_takes_the_oldest_first<F: StoreFixture>(fixture: &F) {
    let subject = Subject::of(fixture).await;
    let sent = |order| Envelope { sent_at: at(order), ..envelope() };
    let [first, second, third, fourth] = [sent(1), sent(2), sent(3), sent(4)];
    let rows = vec![
        unowned(fourth.clone()),
        unowned(second.clone()),
        scheduled(first.clone(), at(9)),
        scheduled(third.clone(), at(5)),
    ];
    subject.store(rows).await;
    let owner = subject.join().await;
    let half = ClaimRequest { limit: 2, ..all(owner) };
    let ids = |claimed: Vec<Claimed>| -> Vec<MessageId> {
        claimed.iter().map(|claimed| claimed.ownership.id).collect()
    };
    assert_eq!(ids(subject.claim_all(owner).await).len(), 4);
    subject.store.nodes().leave(owner).await.expect("the store answers");
    let release = subject.store.inbox().release(owner, 10).await;
    assert_eq!(release.expect("the store answers"), 4);
    let owner = subject.join().await;
    let half = ClaimRequest { owner, ..half };
    assert_eq!(ids(subject.claim(half.clone()).await), [first.id, second.id]);
    assert_eq!(ids(subject.claim(half).await), [third.id, fourth.id]);
}

/// Rows for others stay.
pub async fn a_claim_takes_only_the_destinations_that_it_lists<F: StoreFixture>(fixture: &F) {
    let subject = Subject::of(fixture).await;
    let owner = subject.join().await;
    for queue in ["a", "b", "c"] {
        subject.store_new(unowned(to(&local(queue)))).await;
    }
    let request = ClaimRequest { subscriptions: both("a", "c"), ..all(owner) };
    let claimed = subject.claim(request.clone()).await;
    let places: HashSet<_> = claimed.iter().map(|row| &row.ownership.destination).collect();
    assert_eq!(places, HashSet::from([&local("a"), &local("c")]));
    let none = ClaimRequest { subscriptions: Vec::new(), ..request };
    assert!(subject.claim(none).await.is_empty());
    assert_eq!(subject.claim_all(owner).await.len(), 1);
}

/// Another version of a type at the same destination is for the nodes that know it.
pub async fn a_claim_takes_only_the_types_that_it_lists<F: StoreFixture>(fixture: &F) {
    let subject = Subject::of(fixture).await;
    let owner = subject.join().await;
    let [known, newer] = [envelope(), envelope()];
    let newer = Envelope { message_type: MessageType::new("conformance.message", 2), ..newer };
    subject.store(vec![unowned(newer.clone()), unowned(known.clone())]).await;
    let known_only = ClaimRequest { subscriptions: vec![taken_at("conformance")], ..all(owner) };
    let claimed = subject.claim(known_only).await;
    assert_eq!(claimed.len(), 1);
    assert_eq!(claimed[0].ownership.id, known.id);
    assert_eq!(subject.claim_one(owner).await.ownership.id, newer.id);
}

/// It waits for its time, and that time is known.
pub async fn a_row_that_is_not_yet_due_is_not_claimed<F: StoreFixture>(fixture: &F) {
    let subject = Subject::of(fixture).await;
    let due_at = SystemTime::now() + LONG;
    subject.store_new(scheduled(envelope(), due_at)).await;
    assert!(subject.claim_all(subject.join().await).await.is_empty());
    assert_eq!(subject.counts().await.scheduled, 1);
}

/// A row whose time has come is like any other that nobody owns.
pub async fn a_row_that_is_due_is_claimed<F: StoreFixture>(fixture: &F) {
    let subject = Subject::of(fixture).await;
    subject.store_new(scheduled(envelope(), at(1))).await;
    let claimed = subject.claim_one(subject.join().await).await;
    assert!(claimed.first_attempt);
    assert_eq!(claimed.ownership.attempts, 1);
    let settled = subject.settle(Settlement::Handled(claimed.ownership)).await;
    assert_eq!(settled, Settled::Done);
}

/// One look tells what waits, for whom, and when the next row is due.
pub async fn a_look_tells_what_waits_and_when_more_is_due<F: StoreFixture>(fixture: &F) {
    let subject = Subject::of(fixture).await;
    assert_eq!(subject.look().await, Claimable::default());
    let now = SystemTime::now();
    subject.store_new(scheduled(to(&local("c")), now + LONG * 3)).await;
    subject.store_new(scheduled(to(&local("c")), now + LONG)).await;
    let look = subject.look().await;
    assert_eq!(look.now, []);
    let wait = look.next_due.expect("a row waits for its time");
    assert!(LONG / 2 < wait && wait < LONG * 3 / 2, "{wait:?}");
    for queue in ["b", "a", "b"] {
        subject.store_new(unowned(to(&local(queue)))).await;
    }
    let newer = MessageType::new("conformance.message", 2);
    let newer = Envelope { message_type: newer, ..to(&local("a")) };
    let newest = Subscription { message_type: newer.message_type.to_string(), ..taken_at("a") };
    subject.store_new(unowned(newer)).await;
    assert_eq!(subject.look().await.now, [taken_at("a"), newest, taken_at("b")]);
    subject.claim_all(subject.join().await).await;
    assert_eq!(subject.look().await.now, [], "what is owned is nobody else's to claim");
}

/// A row whose time has come is found like one that never had to wait.
pub async fn a_look_finds_what_has_become_due<F: StoreFixture>(fixture: &F) {
    let subject = Subject::of(fixture).await;
    let rows = (0..20).map(|n| scheduled(to(&local("a")), at(n))).collect();
    subject.store(rows).await;
    let later = scheduled(to(&local("b")), SystemTime::now() + LONG);
    subject.store_new(later).await;
    let look = subject.look().await;
    assert_eq!(look.now, [taken_at("a")]);
    assert!(look.next_due.is_some_and(|wait| wait > LONG / 2));
    assert_eq!(subject.claim_all(subject.join().await).await.len(), 20);
    assert_eq!(subject.counts().await.scheduled, 1);
}

/// An owner finds rows that it holds without knowing, and no others.
pub async fn the_rows_of_an_owner_are_listed<F: StoreFixture>(fixture: &F) {
    let subject = Subject::of(fixture).await;
    let [owner, other] = [subject.join().await, subject.join().await];
    let mut held = HashSet::new();
    for _ in 0..3 {
        held.insert(subject.store_owned(owner, None).await);
    }
    subject.store_owned(other, None).await;
    subject.store_new(unowned(envelope())).await;
    let owned = async |limit| -> HashSet<Ownership> {
        let owned = subject.store.inbox().owned(owner, limit).await;
        owned.expect("the store answers").into_iter().collect()
    };
    assert_eq!(owned(10).await, held);
    assert_eq!(owned(2).await.len(), 2);
    for row in held {
        subject.settle(Settlement::Handled(row)).await;
    }
    assert_eq!(owned(10).await.len(), 0);
}

/// Many claimers, each row once.
pub async fn concurrent_claims_never_share_a_row<F: StoreFixture>(fixture: &F) {
    let subject = Subject::of(fixture).await;
    let rows = (0..200).map(|_| unowned(envelope())).collect();
    subject.store(rows).await;
    let mut requests = Vec::new();
    for _ in 0..8 {
        let owner = subject.join().await;
        requests.extend((0..8).map(|_| ClaimRequest { limit: 4, ..all(owner) }));
    }
    let claims = requests.into_iter().map(|request| subject.claim(request));
    let claimed = futures_util::future::join_all(claims).await.concat();
    let different: HashSet<_> = claimed.iter().map(|claimed| claimed.ownership.id).collect();
    assert_eq!(different.len(), claimed.len(), "no row was given twice");
    assert_eq!(claimed.len(), 200);
}

/// Bytes that nobody can read must neither block the claim nor get lost.
pub async fn an_unreadable_body_is_claimed_as_an_error_and_buried_intact<F: StoreFixture>(
    fixture: &F,
) {
    let subject = Subject::of(fixture).await;
    let body = Bytes::from_static(b"\xff\x00 no envelope");
    let letter = DeadLetter {
        id: DeadLetterId { id: MessageId::new(), destination: local("conformance") },
        reason: DeadLetterReason::Undecodable,
        message_type: "no message type at all".to_owned(),
        error_type: String::new(),
        error_message: String::new(),
        attempts: 3,
        body: body.clone(),
        buried_at: at(0),
    };
    let letters = subject.store.dead_letters();
    letters.store(letter.clone()).await.expect("the store answers");
    let replayed = letters.replay(vec![letter.id.clone()]).await;
    assert_eq!(replayed.expect("the store answers"), 1);
    subject.store_new(unowned(envelope())).await;

    let claimed = subject.claim_all(subject.join().await).await;
    assert_eq!(claimed.len(), 2, "a readable row is claimed beside it");
    let unreadable = claimed.into_iter().find(|row| row.envelope.is_err());
    let unreadable = unreadable.expect("one cannot be read");
    let bury = Settlement::Bury {
        ownership: unreadable.ownership,
        reason: DeadLetterReason::Undecodable,
        error_type: "a type".to_owned(),
        error_message: "a message".to_owned(),
    };
    assert_eq!(subject.settle(bury).await, Settled::Done);
    let letters = subject.letters().await;
    assert_eq!(letters.len(), 1);
    assert_eq!(letters[0].body, body);
    assert_eq!(letters[0].message_type, letter.message_type);
    assert_eq!(letters[0].attempts, 1);
}

fn attempts(claimed: &Claimed) -> u32 {
    let envelope = claimed.envelope.as_ref();
    envelope.expect("the bytes can be read").attempts
}

fn both(first: &str, second: &str) -> Vec<Subscription> {
    vec![taken_at(first), taken_at(second)]
}
