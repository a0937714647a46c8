//! Calls that meet each other on the same rows: each has its answer, and no row goes two ways.
//!
//! In what order a database locks rows, and which transaction it lets wait, is its own: these
//! clauses say what follows from it for callers. Two of them never wait for each other, and neither
//! fails with what the runtime would count as the handler's fault.

use futures_util::future::join_all;

use super::subject::{Subject, envelope, keyed, local, to, unowned, with_key};
use super::{OwnTransaction, StoreFixture};
use crate::envelope::Address;
use crate::store::{
    Committed, Completion, DeadLetterId, DeadLetterReason, Incoming, Inserted, MessageStore,
    Outgoing, OutgoingSettlement, Owner, Ownership, Settled, Settlement, StoreError,
    TransactionOptions,
};

/// How many messages all callers of a clause store.
const KEYS: usize = 12;

/// How many transactions meet on them: few enough that each may be undone twice for each of the
/// others within what the runtime repeats.
const FEW: usize = 3;

/// How often the runtime repeats a run that has met another one, before that costs an attempt.
const REPEATS: u32 = 5;

const ANSWERS: &str = "the store answers";

/// Each message is stored by one of them, whatever the order in which each names them.
pub async fn runs_that_store_the_same_messages_all_commit<F: StoreFixture>(fixture: &F) {
    let subject = Subject::of(fixture).await;
    let owner = subject.join().await;
    let mut runs = Vec::new();
    for number in 0..FEW {
        let handled = Some(subject.store_owned(owner, None).await);
        let (incoming, outgoing) = (turned(incoming(), number), turned(outgoing(), number));
        runs.push(Completion { handled, incoming, outgoing });
    }
    let held = HeldTransaction::one(&subject).await;
    let (keys, others) = (KEYS - held.keys(), OTHERS as u64);
    let runs = join_all(runs.into_iter().map(|run| commit(&subject, run)));
    let (committed, ()) = futures_util::join!(runs, held.end(&subject));
    assert!(committed.iter().all(|run| run.settled == Settled::Done), "{committed:?}");
    assert_eq!(new(committed.iter().flat_map(|run| &run.incoming)), keys);
    assert_eq!(new(committed.iter().flat_map(|run| &run.outgoing)), KEYS);
    let counts = subject.counts().await;
    assert_eq!((counts.incoming, counts.outgoing), (KEYS as u64 + others, KEYS as u64));
}

/// Also where each run shares a transaction with runs of other messages.
pub async fn of_two_runs_of_each_of_many_messages_one_commits<F: StoreFixture>(fixture: &F) {
    let subject = Subject::of(fixture).await;
    let owner = subject.join().await;
    let mut held = Vec::new();
    for _ in 0..KEYS {
        held.push(subject.store_owned(owner, None).await);
    }
    let twice = held.iter().chain(held.iter().rev()).cloned();
    let run = |handled| {
        let incoming = vec![unowned(envelope())];
        Completion { handled: Some(handled), incoming, ..Completion::default() }
    };
    let committed = join_all(twice.map(|handled| commit(&subject, run(handled)))).await;
    let done = committed.iter().filter(|run| run.settled == Settled::Done);
    assert_eq!(done.count(), KEYS);
    assert_eq!(subject.counts().await.incoming, KEYS as u64);
}

/// Of many senders one stores a message, and the others get that it is there; also where
/// handlers send it meanwhile.
pub async fn senders_of_the_same_keys_are_each_answered<F: StoreFixture>(fixture: &F) {
    let subject = Subject::of(fixture).await;
    let senders = (0..12).map(|number| subject.store(turned(incoming(), number)));
    let outward = (0..4).map(|number| subject.store_out(turned(outgoing(), number)));
    let runs = (0..2).map(|number| {
        let (incoming, outgoing) = (turned(incoming(), number), turned(outgoing(), number));
        commit(&subject, Completion { handled: None, incoming, outgoing })
    });
    let all = futures_util::join!(join_all(senders), join_all(outward), join_all(runs));
    let (senders, outward, runs) = all;
    let incoming = senders.iter().chain(runs.iter().map(|run| &run.incoming));
    let outgoing = outward.iter().chain(runs.iter().map(|run| &run.outgoing));
    assert_eq!((new(incoming.flatten()), new(outgoing.flatten())), (KEYS, KEYS));
    let counts = subject.counts().await;
    assert_eq!((counts.incoming, counts.outgoing), (KEYS as u64, KEYS as u64));
}

/// A transaction of a user's own may be undone so that another one goes on: repeated, it commits.
pub async fn own_transactions_that_store_the_same_keys_all_commit<F: StoreFixture>(fixture: &F) {
    let subject = Subject::of(fixture).await;
    let locks_rows = subject.fixture.locks_rows();
    let Some(effects) = subject.effects().filter(|_effects| locks_rows) else { return };
    let own = (0..FEW).map(async |number| {
        for _ in 0..=REPEATS {
            let mut transaction = effects.begin(&subject.store).await;
            let (inbox, rows) = (subject.store.inbox(), turned(incoming(), number));
            match inbox.store_within(transaction.connection(), rows).await {
                Err(error) if error.is_transient() => transaction.rollback().await,
                stored => {
                    transaction.commit().await;
                    return stored.expect(ANSWERS);
                }
            }
        }
        panic!("a transaction was undone {REPEATS} times");
    });
    let held = HeldTransaction::one(&subject).await;
    let (keys, others) = (KEYS - held.keys(), OTHERS as u64);
    let (own, ()) = futures_util::join!(join_all(own), held.end(&subject));
    assert_eq!(new(own.iter().flatten()), keys);
    assert_eq!(subject.counts().await.incoming, KEYS as u64 + others);
}

/// A late node settles what another one gives back: each row goes one way.
pub async fn a_row_is_settled_or_released<F: StoreFixture>(fixture: &F) {
    let subject = Subject::of(fixture).await;
    let owner = subject.join().await;
    let mut held = Vec::new();
    for _ in 0..ROWS {
        held.push(subject.store_owned(owner, None).await);
    }
    subject.store.nodes().leave(owner).await.expect(ANSWERS);
    // In the other order than the one in which they were stored.
    let handled: Vec<_> = held.iter().rev().step_by(2).cloned().map(Settlement::Handled).collect();
    let dead: Vec<_> = held.iter().step_by(2).rev().cloned().map(dead_letter).collect();
    let settle = |settlements: &[Settlement]| {
        let parts = settlements.chunks(ROWS / 8);
        join_all(parts.map(|part| subject.store.inbox().settle(part.into())))
    };
    let release = || release_all(owner, |owner, limit| subject.store.inbox().release(owner, limit));
    let all = futures_util::join!(settle(&handled), settle(&dead), release(), release());
    let (handled, dead, ..) = all;
    release().await;
    let (handled, dead) = (done(handled), done(dead));
    let left = ROWS - handled - dead;
    assert_eq!(subject.claim_all(subject.join().await).await.len(), left);
    let counts = subject.counts().await;
    assert_eq!((counts.incoming, counts.dead_letters), (left as u64, dead as u64));
}

/// So does each row of the outbox.
pub async fn an_outgoing_row_is_settled_or_released<F: StoreFixture>(fixture: &F) {
    let subject = Subject::of(fixture).await;
    let owner = subject.join().await;
    let endpoint = Address::endpoint("a");
    let rows = (0..ROWS).map(|_| Outgoing { envelope: to(&endpoint), owner: Some(owner) });
    let rows: Vec<_> = rows.collect();
    let held: Vec<_> = rows.iter().map(|row| Ownership::of(&row.envelope, owner)).collect();
    subject.store_out(rows).await;
    subject.store.nodes().leave(owner).await.expect(ANSWERS);
    let settlements: Vec<_> = held.into_iter().rev().map(OutgoingSettlement::Sent).collect();
    let outbox = subject.store.outbox();
    let settled = settlements.chunks(ROWS / 4).map(|part| outbox.settle(part.into()));
    let release = || release_all(owner, |owner, limit| outbox.release(owner, limit));
    let (settled, _, _) = futures_util::join!(join_all(settled), release(), release());
    let left = ROWS - done(settled);
    assert_eq!(subject.counts().await.outgoing, left as u64);
}

/// Calls that replay the same letters in different orders, and others that discard them: none fails
/// because it has met another.
pub async fn a_letter_is_replayed_or_discarded_once<F: StoreFixture>(fixture: &F) {
    let subject = Subject::of(fixture).await;
    let owner = subject.join().await;
    subject.store((0..ROWS).map(|_| unowned(to(&local("a")))).collect()).await;
    let claimed = subject.claim_all(owner).await;
    let ids: Vec<_> = claimed
        .iter()
        .map(|claimed| {
            let Ownership { id, destination, .. } = claimed.ownership.clone();
            DeadLetterId { id, destination }
        })
        .collect();
    let settlements = claimed.into_iter().map(|claimed| dead_letter(claimed.ownership)).collect();
    subject.store.inbox().settle(settlements).await.expect(ANSWERS);
    let letters = subject.store.dead_letters();
    let ids = &ids;
    let replays = (0..8).map(|number| letters.replay(turned(ids.clone(), number)));
    let discards = (0..8).map(|number| letters.discard(turned(ids.clone(), number)));
    let (replayed, discarded) = futures_util::join!(join_all(replays), join_all(discards));
    let sum = |calls: Vec<Result<u64, StoreError>>| {
        calls.into_iter().map(|call| call.expect(ANSWERS)).sum::<u64>()
    };
    let (replayed, discarded) = (sum(replayed), sum(discarded));
    assert_eq!(replayed + discarded, ROWS as u64);
    let counts = subject.counts().await;
    assert_eq!((counts.incoming, counts.dead_letters), (replayed, 0));
}

/// A transaction that has stored one of the messages and is open, so that those who store all of
/// them have each stored some when they meet it. None where a store has no such transactions.
struct HeldTransaction(Option<Box<dyn OwnTransaction>>);

/// How many other messages are stored while it is open.
const OTHERS: usize = 20;

impl HeldTransaction {
    async fn one<F: StoreFixture>(subject: &Subject<'_, F>) -> Self {
        let locks_rows = subject.fixture.locks_rows();
        let Some(effects) = subject.effects().filter(|_effects| locks_rows) else {
            return Self(None);
        };
        let mut transaction = effects.begin(&subject.store).await;
        let (inbox, one) = (subject.store.inbox(), incoming().remove(KEYS / 2));
        let stored = inbox.store_within(transaction.connection(), vec![one]).await;
        assert_eq!(stored.expect(ANSWERS), [Inserted::New]);
        Self(Some(transaction))
    }

    fn keys(&self) -> usize {
        usize::from(self.0.is_some())
    }

    /// Commits it, once others have had the time to meet it.
    async fn end<F: StoreFixture>(self, subject: &Subject<'_, F>) {
        for _ in 0..OTHERS {
            subject.store_new(unowned(envelope())).await;
        }
        if let Some(transaction) = self.0 {
            transaction.commit().await;
        }
    }
}

/// How many rows are settled at once.
const ROWS: usize = 80;

/// The same rows for each caller.
fn incoming() -> Vec<Incoming> {
    (0..KEYS).map(|number| keyed(&number.to_string())).collect()
}

fn outgoing() -> Vec<Outgoing> {
    let envelope = |number: usize| with_key(to(&Address::endpoint("a")), &number.to_string());
    (0..KEYS).map(|number| Outgoing { envelope: envelope(number), owner: None }).collect()
}

/// In an order of this caller's own.
fn turned<T>(mut rows: Vec<T>, caller: usize) -> Vec<T> {
    if caller % 2 == 1 {
        rows.reverse();
    }
    let by = caller % rows.len();
    rows.rotate_left(by);
    rows
}

fn new<'s>(stored: impl IntoIterator<Item = &'s Inserted>) -> usize {
    stored.into_iter().filter(|stored| **stored == Inserted::New).count()
}

fn done(settled: Vec<Result<Vec<Settled>, StoreError>>) -> usize {
    let settled = settled.into_iter().flat_map(|settled| settled.expect(ANSWERS));
    settled.filter(|settled| *settled == Settled::Done).count()
}

/// A run that commits this, repeated as the runtime repeats what costs no attempt.
async fn commit<F: StoreFixture>(subject: &Subject<'_, F>, completion: Completion) -> Committed {
    let isolated = TransactionOptions { share: 1, isolated: true, ..subject.run() };
    let options = std::iter::once(subject.run()).chain((0..REPEATS).map(|_| isolated));
    let mut met = None;
    for options in options {
        let transaction = subject.store.begin(options).await.expect(ANSWERS);
        match transaction.commit(completion.clone()).await {
            Err(error) if error.is_transient() => met = Some(error),
            committed => return committed.expect(ANSWERS),
        }
    }
    panic!("a run has met others {REPEATS} times, the last time so: {met:?}")
}

/// Recovery, in small portions. Rows that others have locked may be left.
async fn release_all<'s>(
    owner: Owner,
    release: impl Fn(Owner, usize) -> futures_util::future::BoxFuture<'s, Result<u64, StoreError>>,
) {
    for _ in 0..ROWS {
        release(owner, 3).await.expect(ANSWERS);
    }
}

fn dead_letter(ownership: Ownership) -> Settlement {
    Settlement::DeadLetter {
        ownership,
        reason: DeadLetterReason::Terminal,
        error_type: String::new(),
        error_message: String::new(),
    }
}
