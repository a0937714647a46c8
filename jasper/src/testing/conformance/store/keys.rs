//! Keys that a transaction holds which is still open: they keep only rows with those keys waiting.
//!
//! For stores in which transactions that write different rows do not wait for each other; see
//! [`StoreFixture::locks_rows`].

use std::sync::atomic::{AtomicUsize, Ordering};

use futures_util::future::join_all;

use super::subject::{LONG, Subject, envelope, kept, keyed, to, unowned, with_key};
use super::{Effects, OwnTransaction, StoreFixture};
use crate::envelope::Address;
use crate::store::{Incoming, Inserted, MessageStore, Outgoing, StoreError};

/// Rows of each kind that are stored while keys are held.
const OTHERS: usize = 5;

const ANSWERS: &str = "the store answers";

/// Neither rows with new ids, nor those with other keys, nor those of the outbox.
pub async fn a_key_that_is_held_keeps_no_other_row_waiting<F: StoreFixture>(fixture: &F) {
    let subject = Subject::of(fixture).await;
    let Some(effects) = locking(&subject) else { return };
    let round = async |round: usize| {
        let held = keyed(&format!("{round}, held"));
        let transaction = hold(&subject, effects, vec![held.clone()]).await;
        let sent = Outgoing { envelope: to(&Address::endpoint("a")), owner: None };
        let others = async {
            let sent = subject.store_out(vec![sent]);
            let ((), sent) = tokio::join!(store_others(&subject, round), sent);
            assert_eq!(sent, [Inserted::New]);
        };
        let waiting = Waiting(vec![subject.store.inbox().store(vec![held])]);
        waiting.until(others, transaction.commit(), Inserted::Duplicate).await
    };
    assert_others_are_first(round).await;
}

/// However many keys are held, and however many calls wait for each of them.
pub async fn many_keys_that_are_held_keep_no_other_row_waiting<F: StoreFixture>(fixture: &F) {
    let subject = Subject::of(fixture).await;
    let Some(effects) = locking(&subject) else { return };
    let round = async |round: usize| {
        let held = (0..10).map(|number| keyed(&format!("{round}, {number}")));
        let held: Vec<Incoming> = held.collect();
        let transaction = hold(&subject, effects, held.clone()).await;
        let calls = held.iter().cycle().take(40).cloned();
        let calls = calls.map(|row| subject.store.inbox().store(vec![row]));
        let others = store_others(&subject, round);
        let waiting = Waiting(calls.collect());
        waiting.until(others, transaction.commit(), Inserted::Duplicate).await
    };
    assert_others_are_first(round).await;
}

/// What another process sends again has an id that looks like a new one.
pub async fn a_repeat_that_waits_keeps_no_other_row_waiting<F: StoreFixture>(fixture: &F) {
    let subject = Subject::of(fixture).await;
    let Some(effects) = locking(&subject) else { return };
    let round = async |_round: usize| {
        let received = kept(envelope(), LONG);
        let transaction = hold(&subject, effects, vec![received.clone()]).await;
        let fresh = (0..OTHERS).map(|_| subject.store_new(unowned(envelope())));
        let repeats = (0..OTHERS).map(|_| subject.store_new(kept(envelope(), LONG)));
        let others = async {
            tokio::join!(join_all(fresh), join_all(repeats));
        };
        let waiting = Waiting(vec![subject.store.inbox().store(vec![received])]);
        waiting.until(others, transaction.rollback(), Inserted::New).await
    };
    assert_others_are_first(round).await;
}

/// The outbox has keys, too.
pub async fn an_outgoing_key_that_is_held_keeps_no_other_row_waiting<F: StoreFixture>(fixture: &F) {
    let subject = Subject::of(fixture).await;
    let Some(effects) = locking(&subject) else { return };
    let of = |key: &str| {
        let envelope = with_key(to(&Address::endpoint("a")), key);
        Outgoing { envelope, owner: None }
    };
    let outbox = subject.store.outbox();
    let round = async |round: usize| {
        let held = of(&format!("{round}, held"));
        let mut transaction = effects.begin(&subject.store).await;
        let stored = outbox.store_within(transaction.connection(), vec![held.clone()]).await;
        assert_eq!(stored.expect(ANSWERS), [Inserted::New]);
        let others = (0..OTHERS).flat_map(|number| {
            let fresh = Outgoing { envelope: to(&Address::endpoint("a")), owner: None };
            [fresh, of(&format!("{round}, other {number}"))]
        });
        let others = join_all(others.map(|row| subject.store_out(vec![row])));
        let others = async { assert_eq!(others.await, vec![[Inserted::New]; 2 * OTHERS]) };
        let waiting = Waiting(vec![outbox.store(vec![held])]);
        waiting.until(others, transaction.commit(), Inserted::Duplicate).await
    };
    assert_others_are_first(round).await;
}

/// How many rounds there are at most after the first.
const ROUNDS: usize = 3;

/// What waits behind a call that waits for a key goes on when that gives up, and not before: so it
/// is in every round. In one round alone the machine may have been slow for as long.
///
/// The first round opens connections, over which some servers do the first statements slowly.
async fn assert_others_are_first(round: impl AsyncFn(usize) -> usize) {
    round(0).await;
    let mut early = Vec::new();
    while early.len() < ROUNDS && !early.ends_with(&[0]) {
        early.push(round(1 + early.len()).await);
    }
    assert!(
        early.ends_with(&[0]),
        "in each round calls were answered before the other rows were stored: {early:?}"
    );
}

/// The user's transactions of a store that locks rows, and no more than them.
fn locking<'s, F: StoreFixture>(subject: &'s Subject<'_, F>) -> Option<&'s dyn Effects<F::Store>> {
    subject.effects().filter(|_effects| subject.fixture.locks_rows())
}

/// A transaction of a user's own that has stored these, and is still open.
async fn hold<F: StoreFixture>(
    subject: &Subject<'_, F>,
    effects: &dyn Effects<F::Store>,
    rows: Vec<Incoming>,
) -> Box<dyn OwnTransaction> {
    let mut transaction = effects.begin(&subject.store).await;
    let inbox = subject.store.inbox();
    let count = rows.len();
    let stored = inbox.store_within(transaction.connection(), rows).await;
    assert_eq!(stored.expect(ANSWERS), vec![Inserted::New; count]);
    transaction
}

/// Stores rows with new ids, and rows with other keys.
async fn store_others<F: StoreFixture>(subject: &Subject<'_, F>, round: usize) {
    let fresh = (0..OTHERS).map(|_| subject.store_new(unowned(envelope())));
    let key = |number| format!("{round}, other {number}");
    let keyed = (0..OTHERS).map(|number| subject.store_new(keyed(&key(number))));
    tokio::join!(join_all(fresh), join_all(keyed));
}

/// Calls that store rows whose keys are held.
struct Waiting<C>(Vec<C>);

impl<C: Future<Output = Result<Vec<Inserted>, StoreError>>> Waiting<C> {
    /// Makes the calls, stores other rows while they wait, and ends the transaction then. A call
    /// that has not given up finds its row as it is `afterwards`. Says how many calls had an answer
    /// before the other rows were stored, or gave up. One that is refused has not waited: where a
    /// server does not say by the number of its error that it met a lock, that is so at once.
    async fn until(
        self,
        others: impl Future<Output = ()>,
        end: impl Future<Output = ()>,
        afterwards: Inserted,
    ) -> usize {
        let answered = AtomicUsize::new(0);
        let calls = self.0.into_iter().map(async |call: C| {
            let stored = call.await;
            let has_waited = stored.as_ref().err().is_none_or(StoreError::is_transient);
            answered.fetch_add(usize::from(has_waited), Ordering::SeqCst);
            assert!(stored.is_err() || stored.is_ok_and(|stored| stored == [afterwards]));
        });
        let others = async {
            others.await;
            let before = answered.load(Ordering::SeqCst);
            end.await;
            before
        };
        let (_, before) = tokio::join!(join_all(calls), others);
        before
    }
}
