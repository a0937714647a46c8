//! Dead letters: kept whole, found, and tried again once if a person says so.

use std::time::Duration;

use bytes::Bytes;

use super::StoreFixture;
use super::subject::{LONG, PORTION, Subject, at, envelope, large, local, unowned};
use crate::envelope::{Envelope, MessageId};
use crate::store::{
    DeadLetter, DeadLetterId, DeadLetterQuery, DeadLetterReason, Incoming, Inserted, MessageStore,
    Ownership, Placement, Settled, Settlement,
};

/// A letter that never stood in the inbox is kept as it is, under the time of the store.
pub async fn a_stored_letter_is_listed_as_it_is<F: StoreFixture>(fixture: &F) {
    let subject = Subject::of(fixture).await;
    let letter = letter(&envelope());
    store(&subject, letter.clone()).await;
    let listed = subject.letters().await;
    assert_eq!(listed.len(), 1);
    assert!(listed[0].dead_lettered_at > at(0) + LONG, "the store sets the time");
    let expected = DeadLetter { dead_lettered_at: listed[0].dead_lettered_at, ..letter };
    assert_eq!(listed[0], expected);
}

/// The last is what a person looks for.
pub async fn letters_are_listed_newest_first_and_bounded<F: StoreFixture>(fixture: &F) {
    let subject = Subject::of(fixture).await;
    let letters = [(); 3].map(|()| letter(&envelope()));
    for letter in &letters {
        store(&subject, letter.clone()).await;
    }
    let query = DeadLetterQuery { limit: 2, ..DeadLetterQuery::default() };
    let listed = list(&subject, query).await;
    let ids: Vec<MessageId> = listed.iter().map(|letter| letter.id.id).collect();
    assert_eq!(ids, [letters[2].id.id, letters[1].id.id]);
}

/// What a process reads at once has a bound in bytes, and each page goes on where the last one
/// ended, although letters become dead letters at one time.
pub async fn a_list_of_large_letters_is_bounded_in_bytes<F: StoreFixture>(fixture: &F) {
    let subject = Subject::of(fixture).await;
    let length = PORTION / 4;
    bury_all(&subject, (0..10).map(|_| large(envelope(), length)).collect()).await;
    bury_all(&subject, (0..10).map(|_| envelope()).collect()).await;
    let mut all: Vec<DeadLetter> = Vec::new();
    let mut pages = 0;
    loop {
        let after = all.last().map(DeadLetter::place);
        let page = list(&subject, DeadLetterQuery { after, ..DeadLetterQuery::default() }).await;
        let bytes: usize = page.iter().map(|letter| letter.body.len()).sum();
        assert!(bytes <= PORTION + 2 * length, "{bytes}");
        if page.is_empty() {
            break;
        }
        all.extend(page);
        pages += 1;
    }
    let places: Vec<_> = all.iter().map(DeadLetter::place).collect();
    assert!(places.is_sorted_by(|one, next| one > next), "newest first, each once");
    assert_eq!(all.len(), 20);
    assert!(pages <= 4, "small ones come together");
    let last = Some(places[18].clone());
    let query = DeadLetterQuery { after: last, ..DeadLetterQuery::default() };
    assert_eq!(list(&subject, query).await, all[19..]);
}

/// However large it is, a letter is listed, replayed and discarded, and so are those behind it.
pub async fn letters_that_each_fill_a_page_are_replayed_and_discarded<F: StoreFixture>(
    fixture: &F,
) {
    let subject = Subject::of(fixture).await;
    bury_all(&subject, (0..4).map(|_| large(envelope(), PORTION)).collect()).await;
    let (letters, query) = (subject.store.dead_letters(), DeadLetterQuery::default());
    assert_eq!(list(&subject, query.clone()).await.len(), 1);
    let two = DeadLetterQuery { limit: 2, ..query.clone() };
    assert_eq!(letters.replay_selected(two).await.expect("the store answers"), 2);
    let first = list(&subject, query.clone()).await.remove(0);
    let after = DeadLetterQuery { after: Some(first.place()), ..query.clone() };
    let second = list(&subject, after).await.remove(0);
    // One that is not there, and one that is named twice, are no more than others.
    let ids = [letter(&envelope()).id, first.id.clone(), second.id, first.id].to_vec();
    assert_eq!(letters.replay(ids).await.expect("the store answers"), 2);
    let counts = subject.counts().await;
    assert_eq!((counts.incoming, counts.dead_letters), (4, 0));
    bury_all(&subject, (0..3).map(|_| large(envelope(), PORTION)).collect()).await;
    assert_eq!(letters.discard_selected(query).await.expect("the store answers"), 3);
}

/// By reason, by message type, or both.
pub async fn letters_are_listed_by_reason_and_type<F: StoreFixture>(fixture: &F) {
    let subject = Subject::of(fixture).await;
    for reason in DeadLetterReason::ALL {
        for message_type in ["first@1", "second@1"] {
            let letter =
                DeadLetter { reason, message_type: message_type.to_owned(), ..letter(&envelope()) };
            store(&subject, letter).await;
        }
    }
    let reason = Some(DeadLetterReason::Terminal);
    let message_type = Some("second@1".to_owned());
    let of_reason = DeadLetterQuery { reason, ..DeadLetterQuery::default() };
    let of_type =
        DeadLetterQuery { message_type: message_type.clone(), ..DeadLetterQuery::default() };
    let of_both = DeadLetterQuery { reason, message_type, ..DeadLetterQuery::default() };
    assert_eq!(list(&subject, of_reason).await.len(), 2);
    assert_eq!(list(&subject, of_type).await.len(), DeadLetterReason::ALL.len());
    let both = list(&subject, of_both).await;
    assert_eq!(both.len(), 1);
    assert_eq!(both[0].reason, DeadLetterReason::Terminal);
    assert_eq!(both[0].message_type, "second@1");
}

/// It comes back as if new, and only once.
pub async fn a_replayed_letter_has_no_attempts_and_is_replayed_once<F: StoreFixture>(fixture: &F) {
    let subject = Subject::of(fixture).await;
    let owner = subject.join().await;
    let sent = Envelope { attempts: 5, ..envelope() };
    let id = dead_letter(&subject, &sent).await;
    assert_eq!(replay(&subject, &id).await, 1);
    assert_eq!(replay(&subject, &id).await, 0);
    assert!(subject.letters().await.is_empty());
    let claimed = subject.claim_one(owner).await;
    assert!(claimed.attempt_counted);
    assert_eq!(claimed.ownership.attempts, 1);
    let envelope = claimed.envelope.expect("the bytes can be read");
    assert_eq!(envelope.payload, sent.payload);
    assert_eq!(envelope.id, sent.id);
}

/// Whether the message itself is kept after its handling is not forgotten on the way.
pub async fn a_replayed_letter_is_still_to_be_kept<F: StoreFixture>(fixture: &F) {
    let subject = Subject::of(fixture).await;
    let owner = subject.join().await;
    let held = subject.store_owned(owner, Some(LONG)).await;
    let id = DeadLetterId { id: held.id, destination: held.destination.clone() };
    subject.settle(settlement_of(held)).await;
    assert_eq!(replay(&subject, &id).await, 1);
    let claimed = subject.claim_one(owner).await;
    subject.settle(Settlement::Handled(claimed.ownership)).await;
    assert_eq!(subject.counts().await.handled, 1);
}

/// Where the message came again by itself, it is there once.
pub async fn a_letter_whose_message_is_there_again_is_not_doubled<F: StoreFixture>(fixture: &F) {
    let subject = Subject::of(fixture).await;
    let sent = envelope();
    let id = dead_letter(&subject, &sent).await;
    subject.store_new(unowned(sent)).await;
    assert_eq!(replay(&subject, &id).await, 1);
    let counts = subject.counts().await;
    assert_eq!((counts.incoming, counts.dead_letters), (1, 0));
}

/// A message that fails again lies there once, as it failed the last time.
pub async fn a_message_dead_lettered_again_replaces_its_letter<F: StoreFixture>(fixture: &F) {
    let subject = Subject::of(fixture).await;
    let sent = envelope();
    dead_letter(&subject, &sent).await;
    let again = DeadLetter { reason: DeadLetterReason::Exhausted, ..letter(&sent) };
    store(&subject, again).await;
    let letters = subject.letters().await;
    assert_eq!(letters.len(), 1);
    assert_eq!(letters[0].reason, DeadLetterReason::Exhausted);
}

/// What a person throws away is gone, and nothing else.
pub async fn a_discarded_letter_is_gone_and_others_stay<F: StoreFixture>(fixture: &F) {
    let subject = Subject::of(fixture).await;
    let first = dead_letter(&subject, &envelope()).await;
    let second = dead_letter(&subject, &envelope()).await;
    let letters = subject.store.dead_letters();
    let elsewhere = DeadLetterId { destination: local("elsewhere"), ..second.clone() };
    let discard = async |ids| letters.discard(ids).await.expect("the store answers");
    assert_eq!(discard(vec![first.clone(), elsewhere]).await, 1);
    assert_eq!(discard(vec![first]).await, 0);
    let left = subject.letters().await;
    assert_eq!(left.len(), 1);
    assert_eq!(left[0].id, second);
    assert_eq!(subject.counts().await.incoming, 0);
}

/// Many at once; what is not there is not counted.
pub async fn letters_are_replayed_together<F: StoreFixture>(fixture: &F) {
    let subject = Subject::of(fixture).await;
    let mut ids = Vec::new();
    for _ in 0..5 {
        ids.push(dead_letter(&subject, &envelope()).await);
    }
    ids.push(letter(&envelope()).id);
    let replayed = subject.store.dead_letters().replay(ids).await;
    assert_eq!(replayed.expect("the store answers"), 5);
    assert_eq!(subject.claim_all(subject.join().await).await.len(), 5);
}

/// On both ways to the dead letters, a text is cut between characters and says so.
pub async fn a_long_error_is_cut_and_its_letter_stored<F: StoreFixture>(fixture: &F) {
    let subject = Subject::of(fixture).await;
    let (text, name) = ("\u{1F980}€".repeat(100_000), "an::error::Type".repeat(100));
    let owned = letter(&envelope());
    store(&subject, DeadLetter { error_message: text.clone(), error_type: name.clone(), ..owned })
        .await;
    let held = subject.store_owned(subject.join().await, None).await;
    let settlement = dead_letter_for(held, &name, &text);
    assert_eq!(subject.settle(settlement).await, Settled::Done);
    let letters = subject.letters().await;
    assert_eq!(letters.len(), 2);
    for letter in letters {
        let (error, kind) = (letter.error_message, letter.error_type);
        assert!(error.len() <= DeadLetter::LONGEST_ERROR, "{} bytes", error.len());
        assert!(kind.len() <= DeadLetter::LONGEST_ERROR_TYPE, "{} bytes", kind.len());
        for (cut, whole) in [(error, &text), (kind, &name)] {
            let (kept, mark) = cut.split_once('…').expect("it says that it is cut");
            assert!(whole.starts_with(kept) && kept.len() * 2 > cut.len());
            assert_eq!(mark, format!(" ({} bytes left out)", whole.len() - kept.len()));
        }
    }
}

/// A character that the database does not have is replaced, and costs nothing else.
pub async fn an_error_with_odd_characters_is_stored<F: StoreFixture>(fixture: &F) {
    let subject = Subject::of(fixture).await;
    let text = "a\0b \u{1F980} é € \u{FFFF} \u{10FFFF} \r\n\t ' \" \\ %";
    let stored = letter(&envelope());
    let odd = || text.to_owned();
    store(&subject, DeadLetter { error_message: odd(), error_type: odd(), ..stored }).await;
    let held = subject.store_owned(subject.join().await, None).await;
    assert_eq!(subject.settle(dead_letter_for(held, text, text)).await, Settled::Done);
    let letters = subject.letters().await;
    assert_eq!(letters.len(), 2);
    let replaced = text.replace('\0', "\u{FFFD}");
    for letter in letters {
        for kept in [letter.error_message, letter.error_type] {
            assert!(kept == text || kept == replaced, "{kept:?}");
        }
    }
}

fn letter(envelope: &Envelope) -> DeadLetter {
    DeadLetter {
        id: DeadLetterId { id: envelope.id, destination: envelope.destination.clone() },
        reason: DeadLetterReason::UnknownType,
        message_type: envelope.message_type.to_string(),
        error_type: "an error type".to_owned(),
        error_message: "an error in words".to_owned(),
        attempts: 2,
        body: Bytes::from(vec![0u8; 10_000]),
        dead_lettered_at: at(0) - Duration::from_secs(1),
    }
}

/// Many letters go in pages, each in a transaction of its own and within its deadline.
pub async fn any_number_of_letters_is_replayed_and_discarded<F: StoreFixture>(fixture: &F) {
    const MANY: usize = 1_300;
    let subject = Subject::of(fixture).await;
    let owner = subject.join().await;
    let rows = (0..MANY).map(|_| unowned(envelope())).collect();
    subject.store(rows).await;
    let query = DeadLetterQuery { limit: 10_000, ..DeadLetterQuery::default() };
    let letters = subject.store.dead_letters();
    for (again, left) in [(0, MANY), (1, MANY), (2, 0)] {
        let claimed = subject.claim_all(owner).await;
        assert_eq!(claimed.len(), MANY, "round {again}");
        let settlements =
            claimed.into_iter().map(|claimed| settlement_of(claimed.ownership)).collect();
        subject.store.inbox().settle(settlements).await.expect("the store answers");
        let ids: Vec<_> = list(&subject, query.clone()).await.into_iter().map(|l| l.id).collect();
        assert_eq!(ids.len(), MANY);
        let done = match again {
            0 => letters.replay(ids.iter().chain(&ids).cloned().collect()).await,
            1 => letters.replay_selected(query.clone()).await,
            _ => letters.discard_selected(query.clone()).await,
        };
        assert_eq!(done.expect("the store answers"), MANY as u64);
        assert_eq!(subject.counts().await.incoming, left as u64);
        assert_eq!(letters.discard(ids).await.expect("the store answers"), 0);
    }
}

async fn store<F: StoreFixture>(subject: &Subject<'_, F>, letter: DeadLetter) {
    let stored = subject.store.dead_letters().store(letter).await;
    stored.expect("the store answers");
}

async fn list<F: StoreFixture>(
    subject: &Subject<'_, F>,
    query: DeadLetterQuery,
) -> Vec<DeadLetter> {
    let listed = subject.store.dead_letters().list(query).await;
    listed.expect("the store answers")
}

async fn replay<F: StoreFixture>(subject: &Subject<'_, F>, id: &DeadLetterId) -> u64 {
    let replayed = subject.store.dead_letters().replay(vec![id.clone()]).await;
    replayed.expect("the store answers")
}

/// Brings messages to the dead letters in one call, so that they become dead letters at one time.
async fn bury_all<F: StoreFixture>(subject: &Subject<'_, F>, envelopes: Vec<Envelope>) {
    let owner = subject.join().await;
    let envelopes = envelopes.into_iter().map(|envelope| Envelope { attempts: 1, ..envelope });
    let rows: Vec<_> = envelopes
        .map(|envelope| Incoming { envelope, placement: Placement::Owned(owner), retention: None })
        .collect();
    let settlements =
        rows.iter().map(|row| settlement_of(Ownership::of(&row.envelope, owner))).collect();
    assert!(subject.store(rows).await.iter().all(|stored| *stored == Inserted::New));
    let settled = subject.store.inbox().settle(settlements).await.expect("the store answers");
    assert!(settled.iter().all(|settled| *settled == Settled::Done));
}

/// Brings a message to the dead letters by way of the inbox.
async fn dead_letter<F: StoreFixture>(
    subject: &Subject<'_, F>,
    envelope: &Envelope,
) -> DeadLetterId {
    let stored = subject.store(vec![unowned(envelope.clone())]).await;
    assert_eq!(stored, [Inserted::New]);
    let claimed = subject.claim_one(subject.join().await).await;
    let id = DeadLetterId { id: envelope.id, destination: envelope.destination.clone() };
    assert_eq!(subject.settle(settlement_of(claimed.ownership)).await, Settled::Done);
    id
}

fn settlement_of(ownership: Ownership) -> Settlement {
    dead_letter_for(ownership, "an error type", "an error in words")
}

fn dead_letter_for(ownership: Ownership, error_type: &str, error_message: &str) -> Settlement {
    Settlement::DeadLetter {
        ownership,
        reason: DeadLetterReason::Terminal,
        error_type: error_type.to_owned(),
        error_message: error_message.to_owned(),
    }
}
