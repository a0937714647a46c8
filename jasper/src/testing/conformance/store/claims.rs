//! Claims: who gets which row, and never two the same.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use bytes::Bytes;

use super::StoreFixture;
use super::subject::{
    LONG, PORTION, Subject, all, at, envelope, large, local, scheduled, taken_at, to, unowned,
};
use crate::envelope::{Envelope, MessageId, time};
use crate::message::MessageType;
use crate::store::{
    ClaimRequest, Claimable, ClaimableRequest, Claimed, DeadLetter, DeadLetterId, DeadLetterReason,
    Incoming, Inserted, MessageStore, NextPage, Owner, Ownership, Placement, Settled, Settlement,
    Subscription,
};

fn limited(limit: usize, owner: Owner) -> ClaimRequest {
    ClaimRequest { limit, ..all(owner) }
}

/// The first claim counts an attempt; after that the runtime does, when the handler begins.
pub async fn a_first_claim_counts_an_attempt_and_a_later_one_does_not<F: StoreFixture>(
    fixture: &F,
) {
    let subject = Subject::of(fixture).await;
    let owner = subject.join().await;
    subject.store_new(unowned(envelope())).await;
    let first = subject.claim_one(owner).await;
    assert!(first.attempt_counted);
    assert_eq!(first.ownership.attempts, 1);
    assert_eq!(attempts(&first), 1);
    let release = Settlement::Release { ownership: first.ownership, attempt_began: true };
    assert_eq!(subject.settle(release).await, Settled::Done);
    let second = subject.claim_one(owner).await;
    assert!(!second.attempt_counted);
    assert_eq!(second.ownership.attempts, 1);
    assert_eq!(attempts(&second), 1);
}

/// For a handler with one attempt: nothing has begun where a message is only claimed, so nothing
/// was cut short where its owner is gone.
pub async fn a_claim_that_counts_no_attempt_leaves_none_to_be_cut_short<F: StoreFixture>(
    fixture: &F,
) {
    let subject = Subject::of(fixture).await;
    let owner = subject.join().await;
    subject.store_new(unowned(envelope())).await;
    let uncounted = |owner| ClaimRequest { count_attempt: false, ..all(owner) };
    let claimed = subject.claim(uncounted(owner)).await.remove(0);
    assert!(!claimed.attempt_counted);
    assert_eq!(claimed.ownership.attempts, 0);
    assert_eq!(attempts(&claimed), 0);
    let gone = async |owner| {
        subject.store.nodes().leave(owner).await.expect("the store answers");
        subject.store.inbox().release(owner, 10).await.expect("the store answers")
    };
    assert_eq!(gone(owner).await, 1);
    let next = subject.join().await;
    let again = subject.claim(uncounted(next)).await.remove(0);
    assert_eq!((again.ownership.attempts, again.interrupted_by), (0, Vec::new()));
    assert_eq!(subject.settle(Settlement::Attempt(again.ownership)).await, Settled::Done);
    assert_eq!(gone(next).await, 1);
    let begun = subject.claim(uncounted(subject.join().await)).await.remove(0);
    assert_eq!((begun.ownership.attempts, begun.interrupted_by), (1, vec![next]));
}

/// An envelope may come with attempts from elsewhere.
pub async fn stored_attempts_are_kept<F: StoreFixture>(fixture: &F) {
    let subject = Subject::of(fixture).await;
    let envelope = Envelope { attempts: 7, ..envelope() };
    subject.store_new(unowned(envelope)).await;
    let claimed = subject.claim_one(subject.join().await).await;
    assert!(!claimed.attempt_counted);
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
    let claim = async |limit| subject.claim(limited(limit, owner)).await.len();
    assert_eq!(claim(0).await, 0);
    assert_eq!(claim(3).await, 3);
    assert_eq!(claim(3).await, 2);
    assert_eq!(claim(3).await, 0);
}

/// What a process reads at once has a bound in bytes, and large rows come all the same.
pub async fn a_claim_of_large_rows_is_bounded_in_bytes<F: StoreFixture>(fixture: &F) {
    let subject = Subject::of(fixture).await;
    let owner = subject.join().await;
    let length = PORTION / 4;
    let rows: Vec<_> = (0..10).map(|_| unowned(large(envelope(), length))).collect();
    let small: Vec<_> = (0..10).map(|_| unowned(envelope())).collect();
    assert_eq!(subject.store(rows).await, vec![Inserted::New; 10]);
    assert_eq!(subject.store(small).await, vec![Inserted::New; 10]);
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

/// Whatever is beside it in a claim, a row comes with its own body and in its turn.
pub async fn a_claim_of_large_and_small_rows_has_each_with_its_body<F: StoreFixture>(fixture: &F) {
    let subject = Subject::of(fixture).await;
    let owner = subject.join().await;
    let length = |order: u64| [10, 2_000, 100, 60_000, 9_000][order as usize % 5];
    let sent = |order| Envelope { sent_at: at(order), ..large(envelope(), length(order)) };
    let rows: Vec<_> = (0..30).map(sent).collect();
    subject.store(rows.iter().rev().cloned().map(unowned).collect()).await;
    let claimed = [subject.claim(limited(20, owner)).await, subject.claim_all(owner).await];
    let claimed = claimed.into_iter().flatten();
    let payloads = claimed.map(|row| row.envelope.map(|one| (one.id, one.payload)));
    let expected: Vec<_> = rows.into_iter().map(|row| (row.id, row.payload)).collect();
    assert_eq!(payloads.collect::<Result<Vec<_>, _>>().expect("they are readable"), expected);
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

/// By the time that the store gives, a delay can be counted: it is the one in which it looks.
pub async fn the_present_that_a_store_tells_is_the_one_in_which_rows_are_due<F: StoreFixture>(
    fixture: &F,
) {
    let subject = Subject::of(fixture).await;
    let present =
        subject.store.nodes().now().await.expect("the store answers").unwrap_or_else(time::now);
    let hour = Duration::from_secs(3600);
    subject.store_new(scheduled(envelope(), present)).await;
    subject.store_new(scheduled(envelope(), present + hour)).await;
    let claimable = subject.claimable().await;
    assert_eq!(claimable.now.len(), 1);
    let wait = claimable.next_due.expect("one is due later");
    assert!(wait <= hour && wait > hour - Duration::from_secs(60), "{wait:?}");
}

/// A row whose time has come is like any other unowned one.
pub async fn a_row_that_is_due_is_claimed<F: StoreFixture>(fixture: &F) {
    let subject = Subject::of(fixture).await;
    subject.store_new(scheduled(envelope(), at(1))).await;
    let claimed = subject.claim_one(subject.join().await).await;
    assert!(claimed.attempt_counted);
    assert_eq!(claimed.ownership.attempts, 1);
    let settled = subject.settle(Settlement::Handled(claimed.ownership)).await;
    assert_eq!(settled, Settled::Done);
}

/// One look gives what waits, for which handlers, and when the next row is due.
pub async fn a_look_tells_what_waits_and_when_more_is_due<F: StoreFixture>(fixture: &F) {
    let subject = Subject::of(fixture).await;
    assert_eq!(subject.claimable().await, Claimable::default());
    let now = SystemTime::now();
    subject.store_new(scheduled(to(&local("c")), now + LONG * 3)).await;
    subject.store_new(scheduled(to(&local("c")), now + LONG)).await;
    let look = subject.claimable().await;
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
    assert_eq!(subject.claimable().await.now, [taken_at("a"), newest, taken_at("b")]);
    subject.claim_all(subject.join().await).await;
    assert_eq!(subject.claimable().await.now, [], "what is owned is nobody else's to claim");
}

/// Of any number of subscriptions a look finds a page, and all that its node takes.
pub async fn a_look_finds_a_page_and_all_that_is_taken<F: StoreFixture>(fixture: &F) {
    let subject = Subject::of(fixture).await;
    let all: Vec<_> = (0..12).map(|number| of_type(["a", "b"][number % 2], number)).collect();
    subject.store(all.iter().cloned().map(unowned).collect()).await;
    subject.store_new(scheduled(of_type("c", 77), at(1))).await;
    let all: HashSet<_> = all.iter().map(taken_by).chain([taken_by(&of_type("c", 77))]).collect();
    let takes = [of_type("b", 11), of_type("c", 77), of_type("a", 999)].map(|e| taken_by(&e));
    let (mut found, mut after, mut pages) = (HashSet::new(), None, 0);
    loop {
        let request = ClaimableRequest { takes: Arc::from(takes.clone()), page: 5, after };
        let look = subject.store.inbox().claimable(request).await.expect("the store answers");
        assert!(look.now.is_sorted() && look.now.len() <= 7, "{:?}", look.now);
        assert!(takes[..2].iter().all(|takes| look.now.contains(takes)), "{:?}", look.now);
        assert!(!look.now.contains(&takes[2]), "nothing waits for it");
        found.extend(look.now);
        pages += 1;
        assert!(pages < 5, "there is an end");
        after = match look.next_page {
            NextPage::First => break,
            NextPage::After(last) => Some(last),
            NextPage::Unseen => panic!("a store with few rows sees a page in each look"),
        };
    }
    assert_eq!((found, pages), (all, 3));
    let none = ClaimableRequest { takes: Arc::from(takes.clone()), page: 0, after: None };
    let look = subject.store.inbox().claimable(none).await.expect("the store answers");
    assert_eq!(look.now, takes[..2]);
}

/// However many kinds of messages one node takes.
pub async fn a_claim_names_any_number_of_subscriptions<F: StoreFixture>(fixture: &F) {
    let subject = Subject::of(fixture).await;
    let owner = subject.join().await;
    let all: Vec<_> = (0..1_200).map(|number| of_type("a", number)).collect();
    let oldest = Envelope { sent_at: at(0), ..all[1_111].clone() };
    let subscriptions: Vec<_> = all.iter().map(taken_by).collect();
    subject.store(all.into_iter().map(unowned).collect()).await;
    subject.store_new(unowned(Envelope { id: MessageId::new(), ..oldest.clone() })).await;
    let request = ClaimRequest { owner, subscriptions, limit: 1, count_attempt: true };
    let claimed = subject.claim(request.clone()).await;
    assert_eq!(claimed.len(), 1);
    let first = claimed[0].envelope.as_ref().expect("the bytes can be read");
    assert_eq!(first.message_type, oldest.message_type, "the oldest of all");
    assert_eq!(subject.claim(ClaimRequest { limit: 2_000, ..request }).await.len(), 1_200);
}

fn of_type(queue: &str, number: usize) -> Envelope {
    let message_type = format!("conformance.type{number:04}@1").parse().expect("it is a name");
    Envelope { message_type, ..to(&local(queue)) }
}

fn taken_by(envelope: &Envelope) -> Subscription {
    let message_type = envelope.message_type.to_string();
    Subscription { destination: envelope.destination.clone(), message_type }
}

/// A row whose time has come is found like one that never had to wait.
pub async fn a_look_finds_what_has_become_due<F: StoreFixture>(fixture: &F) {
    let subject = Subject::of(fixture).await;
    let rows = (0..20).map(|n| scheduled(to(&local("a")), at(n))).collect();
    subject.store(rows).await;
    let later = scheduled(to(&local("b")), SystemTime::now() + LONG);
    subject.store_new(later).await;
    let look = subject.claimable().await;
    assert_eq!(look.now, [taken_at("a")]);
    assert!(look.next_due.is_some_and(|wait| wait > LONG / 2));
    assert_eq!(subject.claim_all(subject.join().await).await.len(), 20);
    assert_eq!(subject.counts().await.scheduled, 1);
}

/// A run may have been cut short with the lease of each.
pub async fn a_claim_tells_from_which_owners_a_row_was_released<F: StoreFixture>(fixture: &F) {
    let subject = Subject::of(fixture).await;
    let mut owners = Vec::new();
    let mut held = None;
    for _ in 0..12 {
        let owner = subject.join().await;
        held = match held {
            None => Some(subject.store_owned(owner, None).await),
            Some(_) => {
                let claimed = subject.claim_one(owner).await;
                let last = claimed.interrupted_by.iter().rev().take(10);
                assert!(last.eq(owners.iter().rev().take(10)), "{claimed:?} after {owners:?}");
                let held = claimed.ownership;
                let settled = subject.settle(Settlement::Attempt(held.clone())).await;
                assert_eq!(settled, Settled::Done);
                Some(held)
            }
        };
        subject.store.nodes().leave(owner).await.expect("the store answers");
        let released = subject.store.inbox().release(owner, 10).await;
        assert_eq!(released.expect("the store answers"), 1);
        owners.push(owner);
        // One from which it is taken before its next attempt began has interrupted none.
        let idle = subject.join().await;
        let claimed = subject.claim_one(idle).await;
        assert_eq!(claimed.interrupted_by.last(), Some(&owner));
        subject.store.nodes().leave(idle).await.expect("the store answers");
        let released = subject.store.inbox().release(idle, 10).await;
        assert_eq!(released.expect("the store answers"), 1);
    }
    // One that its owner gives back itself was not taken over.
    let row = Incoming { envelope: envelope(), placement: Placement::Unowned, retention: None };
    let id = row.envelope.id;
    subject.store_new(row).await;
    let owner = subject.join().await;
    for _ in 0..2 {
        let claimed = subject.claim_all(owner).await.into_iter().find(|row| row.ownership.id == id);
        let claimed = claimed.expect("the row can be claimed");
        assert_eq!(claimed.interrupted_by, []);
        let ownership = claimed.ownership;
        subject.settle(Settlement::Release { ownership, attempt_began: true }).await;
    }
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

/// Bytes that cannot be read must neither block the claim nor get lost.
pub async fn an_unreadable_body_is_claimed_as_an_error_and_dead_lettered_intact<F: StoreFixture>(
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
        dead_lettered_at: at(0),
    };
    let letters = subject.store.dead_letters();
    letters.store(letter.clone()).await.expect("the store answers");
    let replayed = letters.replay(vec![letter.id.clone()]).await;
    assert_eq!(replayed.expect("the store answers"), 1);
    subject.store_new(unowned(envelope())).await;

    let claimed = subject.claim_all(subject.join().await).await;
    assert_eq!(claimed.len(), 2, "a readable row is claimed beside it");
    let unreadable =
        claimed.into_iter().find(|row| row.envelope.is_err()).expect("one cannot be read");
    let dead_letter = Settlement::DeadLetter {
        ownership: unreadable.ownership,
        reason: DeadLetterReason::Undecodable,
        error_type: "a type".to_owned(),
        error_message: "a message".to_owned(),
    };
    assert_eq!(subject.settle(dead_letter).await, Settled::Done);
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
