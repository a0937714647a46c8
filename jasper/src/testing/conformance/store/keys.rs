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
    let held = keyed("held");
    let transaction = hold(&subject, effects, vec![held.clone()]).await;
    let sent = Outgoing { envelope: to(&Address::endpoint("a")), owner: None };
    let sent = subject.store_out(vec![sent]);
    let others = async {
        let ((), sent) = tokio::join!(store_others(&subject, "other"), sent);
        assert_eq!(sent, [Inserted::New]);
    };
    let waiting = Waiting::new(vec![subject.store.inbox().store(vec![held])]);
    waiting.until(others, transaction.commit(), Inserted::Duplicate).await.assert_first();
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
        let key = format!("{round}, other");
        let others = store_others(&subject, &key);
        let waiting = Waiting::new(calls.collect());
        waiting.until(others, transaction.commit(), Inserted::Duplicate).await
    };
    // It opens connections, of which some servers do the first statements slowly.
    round(0).await;
    round(1).await.assert_first();
}

/// What another process sends again has an id that looks like a new one.
pub async fn a_repeat_that_waits_keeps_no_other_row_waiting<F: StoreFixture>(fixture: &F) {
    let subject = Subject::of(fixture).await;
    let Some(effects) = locking(&subject) else { return };
    let received = kept(envelope(), LONG);
    let transaction = hold(&subject, effects, vec![received.clone()]).await;
    let fresh = (0..OTHERS).map(|_| subject.store_new(unowned(envelope())));
    let repeats = (0..OTHERS).map(|_| subject.store_new(kept(envelope(), LONG)));
    let others = async {
        tokio::join!(join_all(fresh), join_all(repeats));
    };
    let waiting = Waiting::new(vec![subject.store.inbox().store(vec![received])]);
    waiting.until(others, transaction.rollback(), Inserted::New).await.assert_first();
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
    let mut transaction = effects.begin(&subject.store).await;
    let stored = outbox.store_within(transaction.connection(), vec![of("held")]).await;
    assert_eq!(stored.expect(ANSWERS), [Inserted::New]);
    let others = (0..OTHERS).flat_map(|number| {
        let fresh = Outgoing { envelope: to(&Address::endpoint("a")), owner: None };
        [fresh, of(&format!("other {number}"))]
    });
    let others = join_all(others.map(|row| subject.store_out(vec![row])));
    let others = async { assert_eq!(others.await, vec![[Inserted::New]; 2 * OTHERS]) };
    let waiting = Waiting::new(vec![outbox.store(vec![of("held")])]);
    waiting.until(others, transaction.commit(), Inserted::Duplicate).await.assert_first();
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
async fn store_others<F: StoreFixture>(subject: &Subject<'_, F>, key: &str) {
    let fresh = (0..OTHERS).map(|_| subject.store_new(unowned(envelope())));
    let keyed = (0..OTHERS).map(|number| subject.store_new(keyed(&format!("{key} {number}"))));
    tokio::join!(join_all(fresh), join_all(keyed));
}

/// Calls that store rows whose keys are held.
struct Waiting<C>(Vec<C>);

/// How many calls that waited had an answer before the other rows were stored.
struct AnsweredBefore(usize);

impl<C: Future<Output = Result<Vec<Inserted>, StoreError>>> Waiting<C> {
    const fn new(calls: Vec<C>) -> Self {
        Self(calls)
    }

    /// Makes the calls, stores other rows while they wait, and ends the transaction then. A call
    /// that has not given up before finds its row as it is `afterwards`.
    async fn until(
        self,
        others: impl Future<Output = ()>,
        end: impl Future<Output = ()>,
        afterwards: Inserted,
    ) -> AnsweredBefore {
        let answered = AtomicUsize::new(0);
        let calls = self.0.into_iter().map(async |call: C| {
            let stored = call.await;
            answered.fetch_add(1, Ordering::SeqCst);
            assert!(stored.is_err() || stored.is_ok_and(|stored| stored == [afterwards]));
        });
        let others = async {
            others.await;
            let before = answered.load(Ordering::SeqCst);
            end.await;
            before
        };
        let (_, before) = tokio::join!(join_all(calls), others);
        AnsweredBefore(before)
    }
}

impl AnsweredBefore {
    /// What waits behind one of those calls goes on when that gives up, and not before.
    fn assert_first(self) {
        assert_eq!(self.0, 0, "calls were answered before the other rows were stored");
    }
}
