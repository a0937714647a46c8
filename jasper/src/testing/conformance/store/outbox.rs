//! The outbox: sent once it is acknowledged, tried again until then.

use std::collections::HashSet;

use super::StoreFixture;
use super::subject::{LONG, PORTION, Subject, at, full_envelope, large, to};
use crate::envelope::{Address, Envelope, MessageId};
use crate::store::{
    Counts, DeadLetter, DeadLetterId, DeadLetterReason, Inserted, MessageStore, Outgoing,
    OutgoingSettlement, Owner, Ownership, Settled,
};

/// What is stored can be claimed, by destination.
pub async fn an_outgoing_row_is_claimed_for_its_destination<F: StoreFixture>(fixture: &F) {
    let subject = Subject::of(fixture).await;
    let owner = subject.join().await;
    let envelope = to(&remote("a"));
    let stored = subject.store_out(vec![free(envelope.clone())]).await;
    assert_eq!(stored, [Inserted::New]);
    assert!(claim(&subject, owner, "b", 10).await.is_empty());
    let claimed = claim(&subject, owner, "a", 10).await;
    assert!(claimed == [envelope]);
    assert!(claim(&subject, owner, "a", 10).await.is_empty());
}

/// Nothing is lost on the way through the database.
pub async fn an_outgoing_envelope_comes_back_with_every_field<F: StoreFixture>(fixture: &F) {
    let subject = Subject::of(fixture).await;
    let envelope = Envelope { destination: remote("a"), ..full_envelope() };
    subject.store_out(vec![free(envelope.clone())]).await;
    let claimed = claim(&subject, subject.join().await, "a", 10).await;
    assert!(claimed == [envelope]);
}

/// A repeat is reported and changes nothing; another destination is another row.
pub async fn a_repeated_outgoing_key_is_a_duplicate<F: StoreFixture>(fixture: &F) {
    let subject = Subject::of(fixture).await;
    let owner = subject.join().await;
    let first = to(&remote("a"));
    let other = Envelope { destination: remote("b"), ..first.clone() };
    let owned_repeat = Outgoing { owner: Some(owner), ..free(first.clone()) };
    subject.store_out(vec![free(first.clone())]).await;
    let stored = subject.store_out(vec![owned_repeat, free(other)]).await;
    assert_eq!(stored, [Inserted::Duplicate, Inserted::New]);
    assert!(claim(&subject, owner, "a", 10).await == [first]);
}

/// Oldest first, no more than asked for.
pub async fn outgoing_rows_are_claimed_oldest_first_and_bounded<F: StoreFixture>(fixture: &F) {
    let subject = Subject::of(fixture).await;
    let owner = subject.join().await;
    let sent = |order| Envelope { sent_at: at(order), ..to(&remote("a")) };
    let [first, second, third] = [sent(1), sent(2), sent(3)];
    let rows = [&third, &first, &second].map(|envelope| free(envelope.clone()));
    subject.store_out(rows.into()).await;
    assert!(claim(&subject, owner, "a", 2).await == [first, second]);
    assert!(claim(&subject, owner, "a", 2).await == [third]);
}

/// As a claim of the inbox is.
pub async fn a_claim_of_large_outgoing_rows_is_bounded_in_bytes<F: StoreFixture>(fixture: &F) {
    let subject = Subject::of(fixture).await;
    let owner = subject.join().await;
    let length = PORTION / 4;
    let rows: Vec<_> = (0..10).map(|_| free(large(to(&remote("a")), length))).collect();
    assert_eq!(subject.store_out(rows).await, vec![Inserted::New; 10]);
    let mut seen = 0;
    while seen < 10 {
        let claimed = claim(&subject, owner, "a", 100).await;
        let bytes: usize = claimed.iter().map(|envelope| envelope.payload.len()).sum();
        assert!(!claimed.is_empty() && bytes <= PORTION + length, "{bytes}");
        seen += claimed.len();
    }
}

/// Who stores a row as its own sends it.
pub async fn an_owned_outgoing_row_is_not_claimable<F: StoreFixture>(fixture: &F) {
    let subject = Subject::of(fixture).await;
    let owner = subject.join().await;
    let held = store_owned(&subject, owner).await;
    assert!(claim(&subject, owner, "a", 10).await.is_empty());
    let settled = settle(&subject, OutgoingSettlement::Sent(held)).await;
    assert_eq!(settled, Settled::Done);
}

/// After the acknowledgement there is nothing left.
pub async fn a_sent_row_is_gone<F: StoreFixture>(fixture: &F) {
    let subject = Subject::of(fixture).await;
    let held = store_owned(&subject, subject.join().await).await;
    let sent = OutgoingSettlement::Sent(held);
    assert_eq!(settle(&subject, sent.clone()).await, Settled::Done);
    assert_eq!(subject.counts().await.outgoing, 0);
    assert_eq!(settle(&subject, sent).await, Settled::Fenced);
}

/// What is not worth sending goes away too.
pub async fn a_discarded_row_is_gone<F: StoreFixture>(fixture: &F) {
    let subject = Subject::of(fixture).await;
    let held = store_owned(&subject, subject.join().await).await;
    let discarded = OutgoingSettlement::Discarded(held);
    assert_eq!(settle(&subject, discarded).await, Settled::Done);
    assert_eq!(subject.counts().await.outgoing, 0);
}

/// A row that could not be sent is there for any node, with one more attempt.
pub async fn a_failed_row_counts_an_attempt_and_can_be_claimed<F: StoreFixture>(fixture: &F) {
    let subject = Subject::of(fixture).await;
    let owner = subject.join().await;
    let held = store_owned(&subject, owner).await;
    let failed = OutgoingSettlement::Failed(held.clone());
    assert_eq!(settle(&subject, failed.clone()).await, Settled::Done);
    assert_eq!(settle(&subject, failed).await, Settled::Fenced);
    let claimed = claim(&subject, owner, "a", 10).await;
    assert_eq!(claimed.len(), 1);
    assert_eq!(claimed[0].attempts, held.attempts + 1);
}

/// A row that was not tried is there for any node, as it was.
pub async fn a_released_outgoing_row_keeps_its_attempts_and_can_be_claimed<F: StoreFixture>(
    fixture: &F,
) {
    let subject = Subject::of(fixture).await;
    let owner = subject.join().await;
    let sent = Envelope { attempts: 2, ..to(&remote("a")) };
    let held = Ownership::of(&sent, owner);
    let row = Outgoing { envelope: sent.clone(), owner: Some(owner) };
    subject.store_out(vec![row]).await;
    let released = OutgoingSettlement::Released(held);
    assert_eq!(settle(&subject, released.clone()).await, Settled::Done);
    assert_eq!(settle(&subject, released).await, Settled::Fenced);
    assert!(claim(&subject, subject.join().await, "a", 10).await == [sent]);
}

/// What its receiver will never take is for a person to see, in place of an older letter.
pub async fn a_refused_row_becomes_a_dead_letter_with_its_bytes<F: StoreFixture>(fixture: &F) {
    let subject = Subject::of(fixture).await;
    let owner = subject.join().await;
    let sent = Envelope { destination: remote("a"), attempts: 2, ..full_envelope() };
    let id = DeadLetterId { id: sent.id, destination: sent.destination.clone() };
    let expected = DeadLetter {
        id,
        reason: DeadLetterReason::Refused,
        message_type: sent.message_type.to_string(),
        error_type: "refused".to_owned(),
        error_message: "no such 'queue'".to_owned(),
        attempts: 2,
        body: sent.to_bytes(),
        dead_lettered_at: at(0),
    };
    let older = DeadLetter { reason: DeadLetterReason::Terminal, attempts: 1, ..expected.clone() };
    subject.store.dead_letters().store(older).await.expect("the store answers");
    let row = Outgoing { envelope: sent.clone(), owner: Some(owner) };
    subject.store_out(vec![row]).await;
    let refused = refused(Ownership::of(&sent, owner));
    assert_eq!(settle(&subject, refused.clone()).await, Settled::Done);
    assert_eq!(settle(&subject, refused).await, Settled::Fenced);
    let counts = Counts { dead_letters: 1, ..Counts::default() };
    assert_eq!(subject.counts().await, counts);
    let letter = subject.letters().await.remove(0);
    assert!(letter.dead_lettered_at > at(0) + LONG, "the store sets the time");
    assert_eq!(letter, DeadLetter { dead_lettered_at: letter.dead_lettered_at, ..expected });
}

/// Another owner, other attempts, or no such row: nothing changes.
pub async fn a_fenced_outgoing_settlement_changes_nothing<F: StoreFixture>(fixture: &F) {
    let subject = Subject::of(fixture).await;
    let owner = subject.join().await;
    let held = store_owned(&subject, owner).await;
    let foreign = Ownership { owner: subject.join().await, ..held.clone() };
    let overtaken = Ownership { attempts: held.attempts + 1, ..held.clone() };
    let unknown = Ownership::of(&to(&remote("a")), owner);
    for ownership in [foreign, overtaken, unknown] {
        for settlement in [
            OutgoingSettlement::Sent(ownership.clone()),
            OutgoingSettlement::Failed(ownership.clone()),
            OutgoingSettlement::Released(ownership.clone()),
            OutgoingSettlement::Discarded(ownership.clone()),
            refused(ownership),
        ] {
            assert_eq!(settle(&subject, settlement).await, Settled::Fenced);
        }
    }
    assert!(claim(&subject, owner, "a", 10).await.is_empty());
    assert!(subject.letters().await.is_empty());
    let settled = settle(&subject, OutgoingSettlement::Sent(held)).await;
    assert_eq!(settled, Settled::Done);
}

/// One call, many rows, answers in order.
pub async fn outgoing_settlements_are_answered_in_order<F: StoreFixture>(fixture: &F) {
    let subject = Subject::of(fixture).await;
    let owner = subject.join().await;
    let mut settlements = Vec::new();
    for _ in 0..50 {
        let held = store_owned(&subject, owner).await;
        settlements.push(OutgoingSettlement::Sent(held.clone()));
        settlements.push(OutgoingSettlement::Failed(held));
    }
    let settled = subject.store.outbox().settle(settlements).await;
    let expected = [Settled::Done, Settled::Fenced].repeat(50);
    assert_eq!(settled.expect("the store answers"), expected);
}

/// Recovery of a dead owner takes rows in portions and from no other owner.
pub async fn the_release_of_outgoing_rows_is_bounded_and_spares_others<F: StoreFixture>(
    fixture: &F,
) {
    let subject = Subject::of(fixture).await;
    let dead = subject.join().await;
    let alive = subject.join().await;
    for _ in 0..3 {
        store_owned(&subject, dead).await;
        store_owned(&subject, alive).await;
    }
    let release = async || {
        let released = subject.store.outbox().release(dead, 2).await;
        released.expect("the store answers")
    };
    subject.store.nodes().leave(dead).await.expect("the store answers");
    assert_eq!(release().await, 2);
    assert_eq!(release().await, 1);
    assert_eq!(release().await, 0);
    assert_eq!(claim(&subject, alive, "a", 10).await.len(), 3);
}

/// An owner finds rows that it holds without knowing, and no others.
pub async fn the_outgoing_rows_of_an_owner_are_listed<F: StoreFixture>(fixture: &F) {
    let subject = Subject::of(fixture).await;
    let [owner, other] = [subject.join().await, subject.join().await];
    let tried = free(Envelope { attempts: 3, ..to(&remote("b")) });
    subject.store_out(vec![tried, free(to(&remote("c")))]).await;
    let claimed = claim(&subject, owner, "b", 10).await;
    let mut held: HashSet<Ownership> =
        claimed.iter().map(|envelope| Ownership::of(envelope, owner)).collect();
    for _ in 0..2 {
        held.insert(store_owned(&subject, owner).await);
    }
    store_owned(&subject, other).await;
    let owned = async |limit| -> HashSet<Ownership> {
        let owned = subject.store.outbox().owned(owner, limit).await;
        owned.expect("the store answers").into_iter().collect()
    };
    assert_eq!(owned(10).await, held);
    assert_eq!(owned(2).await.len(), 2);
    for row in held {
        settle(&subject, OutgoingSettlement::Sent(row)).await;
    }
    assert_eq!(owned(10).await.len(), 0);
}

/// So that the relay asks for each destination that has something.
pub async fn destinations_are_those_of_rows_that_nobody_owns<F: StoreFixture>(fixture: &F) {
    let subject = Subject::of(fixture).await;
    let owner = subject.join().await;
    let destinations = async || {
        let destinations = subject.store.outbox().destinations().await.expect("the store answers");
        let different: HashSet<Address> = destinations.iter().cloned().collect();
        assert_eq!(different.len(), destinations.len(), "each is listed once");
        different
    };
    assert_eq!(destinations().await, HashSet::new());
    store_owned(&subject, owner).await;
    let rows = ["b", "c", "b"].map(|place| free(to(&remote(place))));
    subject.store_out(rows.into()).await;
    let expected = HashSet::from([remote("b"), remote("c")]);
    assert_eq!(destinations().await, expected);
    claim(&subject, owner, "b", 10).await;
    assert_eq!(destinations().await, HashSet::from([remote("c")]));
}

/// Two relays never send one row.
pub async fn concurrent_outgoing_claims_never_share_a_row<F: StoreFixture>(fixture: &F) {
    let subject = Subject::of(fixture).await;
    let owner = subject.join().await;
    let rows = (0..100).map(|_| free(to(&remote("a")))).collect();
    subject.store_out(rows).await;
    let claims = (0..25).map(|_| claim(&subject, owner, "a", 4));
    let claimed = futures_util::future::join_all(claims).await.concat();
    let different: HashSet<MessageId> = claimed.iter().map(|envelope| envelope.id).collect();
    assert_eq!((different.len(), claimed.len()), (100, 100));
}

fn remote(name: &str) -> Address {
    let address = format!("tcp://{name}:5580").parse();
    address.expect("a scheme and a place are an address")
}

fn refused(ownership: Ownership) -> OutgoingSettlement {
    let error_message = "no such 'queue'".to_owned();
    OutgoingSettlement::Refused { ownership, error_message }
}

fn free(envelope: Envelope) -> Outgoing {
    Outgoing { envelope, owner: None }
}

async fn store_owned<F: StoreFixture>(subject: &Subject<'_, F>, owner: Owner) -> Ownership {
    let envelope = to(&remote("a"));
    let held = Ownership::of(&envelope, owner);
    let row = Outgoing { envelope, owner: Some(owner) };
    assert_eq!(subject.store_out(vec![row]).await, [Inserted::New]);
    held
}

async fn claim<F: StoreFixture>(
    subject: &Subject<'_, F>,
    owner: Owner,
    place: &str,
    limit: usize,
) -> Vec<Envelope> {
    let claimed = subject.store.outbox().claim(owner, &remote(place), limit).await;
    claimed.expect("the store answers")
}

async fn settle<F: StoreFixture>(
    subject: &Subject<'_, F>,
    settlement: OutgoingSettlement,
) -> Settled {
    let settled = subject.store.outbox().settle(vec![settlement]).await;
    settled.expect("the store answers")[0]
}
