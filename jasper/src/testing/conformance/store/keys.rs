//! Keys that a transaction holds which is still open: they keep only rows with those keys waiting.
//!
//! For stores in which transactions that write different rows do not wait for each other; see
//! [`StoreFixture::locks_rows`].

use std::time::{Duration, Instant};

use super::subject::{LONG, Subject, envelope, kept, keyed, to, unowned, with_key};
use super::{Effects, OwnTransaction, StoreFixture};
use crate::envelope::Address;
use crate::store::{Incoming, Inserted, MessageStore, Outgoing};

// Real time: how long a call waits for a lock is decided by the database.

/// Longer than any store needs for a row, and shorter than it waits for a lock.
const AT_ONCE: Duration = Duration::from_millis(900);

const ANSWERS: &str = "the store answers";

/// Neither rows with new ids, nor those with other keys, nor those of the outbox.
pub async fn a_key_that_is_held_keeps_no_other_row_waiting<F: StoreFixture>(fixture: &F) {
    let subject = Subject::of(fixture).await;
    let Some(effects) = locking(&subject) else { return };
    let held = keyed("held");
    let transaction = hold(&subject, effects, vec![held.clone()]).await;
    let others = async {
        for number in 0..10 {
            at_once(&subject, unowned(envelope())).await;
            at_once(&subject, keyed(&format!("other {number}"))).await;
        }
        let started = Instant::now();
        let sent = Outgoing { envelope: to(&Address::endpoint("a")), owner: None };
        assert_eq!(subject.store_out(vec![sent]).await, [Inserted::New]);
        assert!(started.elapsed() < AT_ONCE, "{:?}", started.elapsed());
        transaction.commit().await;
    };
    let (stored, ()) = tokio::join!(subject.store.inbox().store(vec![held]), others);
    assert!(stored.is_err() || stored.is_ok_and(|stored| stored == [Inserted::Duplicate]));
}

/// However many keys are held, and however many calls wait for each of them.
pub async fn many_keys_that_are_held_keep_no_other_row_waiting<F: StoreFixture>(fixture: &F) {
    let subject = Subject::of(fixture).await;
    let Some(effects) = locking(&subject) else { return };
    let held: Vec<Incoming> = (0..10).map(|number| keyed(&number.to_string())).collect();
    let transaction = hold(&subject, effects, held.clone()).await;
    let calls = held.iter().cycle().take(40).cloned();
    let waiting = calls.map(|row| subject.store.inbox().store(vec![row]));
    let waiting = futures_util::future::join_all(waiting);
    let others = async {
        for number in 0..10 {
            at_once(&subject, unowned(envelope())).await;
            at_once(&subject, keyed(&format!("other {number}"))).await;
        }
        transaction.commit().await;
    };
    let (stored, ()) = tokio::join!(waiting, others);
    for stored in stored {
        assert!(stored.is_err() || stored.is_ok_and(|stored| stored == [Inserted::Duplicate]));
    }
}

/// What another process sends again has an id that looks like a new one.
pub async fn a_repeat_that_waits_keeps_no_other_row_waiting<F: StoreFixture>(fixture: &F) {
    let subject = Subject::of(fixture).await;
    let Some(effects) = locking(&subject) else { return };
    let received = kept(envelope(), LONG);
    let transaction = hold(&subject, effects, vec![received.clone()]).await;
    let others = async {
        for _ in 0..10 {
            at_once(&subject, unowned(envelope())).await;
            at_once(&subject, kept(envelope(), LONG)).await;
        }
        transaction.rollback().await;
    };
    let (stored, ()) = tokio::join!(subject.store.inbox().store(vec![received]), others);
    assert!(stored.is_err() || stored.is_ok_and(|stored| stored == [Inserted::New]));
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
    let others = async {
        for number in 0..10 {
            let fresh = Outgoing { envelope: to(&Address::endpoint("a")), owner: None };
            for row in [fresh, of(&format!("other {number}"))] {
                let started = Instant::now();
                assert_eq!(subject.store_out(vec![row]).await, [Inserted::New]);
                assert!(started.elapsed() < AT_ONCE, "{:?}", started.elapsed());
            }
        }
        transaction.commit().await;
    };
    let (stored, ()) = tokio::join!(outbox.store(vec![of("held")]), others);
    assert!(stored.is_err() || stored.is_ok_and(|stored| stored == [Inserted::Duplicate]));
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

async fn at_once<F: StoreFixture>(subject: &Subject<'_, F>, row: Incoming) {
    let started = Instant::now();
    subject.store_new(row).await;
    assert!(started.elapsed() < AT_ONCE, "{:?}", started.elapsed());
}
