//! The schema: looked at, made anew, and made by hand.

use std::time::Duration;

use futures_util::future::{join, join_all};

use super::StoreFixture;
use super::admin::fill;
use super::subject::{LONG, Subject, envelope, unowned};
use crate::envelope::Envelope;
use crate::store::{
    Counts, Incoming, Inserted, MessageStore, Placement, Settled, Settlement, StoreError,
};

const ANSWERS: &str = "the store answers";

/// A start that changes nothing has to find that nothing is missing.
pub async fn a_prepared_store_passes_the_check<F: StoreFixture>(fixture: &F) {
    let subject = Subject::of(fixture).await;
    subject.store_new(unowned(envelope())).await;
    subject.store.admin().check().await.expect(ANSWERS);
    assert_eq!(subject.counts().await.incoming, 1);
}

/// Whatever the state of a row, it is gone.
pub async fn to_rebuild_empties_the_store_and_leaves_no_node<F: StoreFixture>(fixture: &F) {
    let subject = Subject::of(fixture).await;
    let owner = subject.join().await;
    fill(&subject, owner).await;
    subject.store.admin().rebuild().await.expect(ANSWERS);
    assert_eq!(subject.counts().await, Counts::default());
    assert_eq!(subject.store.nodes().alive().await.expect(ANSWERS), []);
    assert!(!subject.store.nodes().renew(owner, LONG).await.expect(ANSWERS));
    let gone = subject.store.nodes().expired(None).await.expect(ANSWERS);
    assert_eq!(gone.owners, [], "no row of it is left either");
}

/// The database is the user's.
pub async fn to_rebuild_leaves_the_rows_of_the_user<F: StoreFixture>(fixture: &F) {
    let subject = Subject::of(fixture).await;
    let Some(effects) = subject.effects() else {
        return;
    };
    let mut transaction = effects.begin(&subject.store).await;
    effects.write(transaction.connection(), 7).await;
    transaction.commit().await;
    subject.store.admin().rebuild().await.expect(ANSWERS);
    assert_eq!(subject.count_effects().await, 1);
}

/// A process that knows nothing of the rebuild can change no message that came after it.
pub async fn what_was_owned_before_a_rebuild_is_fenced<F: StoreFixture>(fixture: &F) {
    let subject = Subject::of(fixture).await;
    let held = subject.store_owned(subject.join().await, None).await;
    subject.store.admin().rebuild().await.expect(ANSWERS);
    let settled = subject.settle(Settlement::Handled(held.clone())).await;
    assert_eq!(settled, Settled::Fenced);
    // The same message again, of a node of now.
    let again = Incoming {
        envelope: Envelope { id: held.id, attempts: 1, ..envelope() },
        placement: Placement::Owned(subject.join().await),
        retention: None,
    };
    assert_eq!(subject.store(vec![again]).await, [Inserted::New]);
    let settled = subject.settle(Settlement::Handled(held)).await;
    assert_eq!(settled, Settled::Fenced);
    assert_eq!(subject.counts().await.incoming, 1);
}

/// Else the late write of a node of before would pass for that of another.
pub async fn no_number_is_given_again_after_a_rebuild<F: StoreFixture>(fixture: &F) {
    let subject = Subject::of(fixture).await;
    let mut last = subject.join().await;
    for round in 0..3 {
        if round == 1 {
            // The number of a node that is forgotten counts too.
            subject.store.nodes().leave(last).await.expect(ANSWERS);
            subject.store.nodes().forget(last).await.expect(ANSWERS);
        }
        subject.store.admin().rebuild().await.expect(ANSWERS);
        let next = subject.join().await;
        assert!(next > last, "{next} after {last}");
        last = next;
    }
}

/// Nothing is forgotten that messages need on their way.
pub async fn a_rebuilt_store_has_all_that_it_needs<F: StoreFixture>(fixture: &F) {
    let subject = Subject::of(fixture).await;
    subject.store.admin().rebuild().await.expect(ANSWERS);
    subject.store.admin().check().await.expect(ANSWERS);
    subject.store.admin().prepare().await.expect(ANSWERS);
    fill(&subject, subject.join().await).await;
    let expected = Counts { incoming: 3, scheduled: 1, handled: 2, outgoing: 2, dead_letters: 1 };
    assert_eq!(subject.counts().await, expected);
}

/// As where each of several test programs rebuilds when it begins.
pub async fn processes_that_rebuild_at_once_all_succeed<F: StoreFixture>(fixture: &F) {
    let subject = Subject::of(fixture).await;
    let admin = subject.store.admin();
    let (rebuilt, prepared) =
        join(join_all((0..3).map(|_| admin.rebuild())), join_all((0..3).map(|_| admin.prepare())))
            .await;
    for done in rebuilt.into_iter().chain(prepared) {
        done.expect(ANSWERS);
    }
    admin.check().await.expect(ANSWERS);
    subject.store_new(unowned(envelope())).await;
    assert_eq!(subject.claim_all(subject.join().await).await.len(), 1);
}

/// A node that works meanwhile meets the old tables or the new ones, and no error that would not
/// pass.
pub async fn nodes_at_work_outlast_a_rebuild<F: StoreFixture>(fixture: &F) {
    let subject = Subject::of(fixture).await;
    let store = &subject.store;
    let (done, is_done) = tokio::sync::watch::channel(false);
    let work = async {
        while !*is_done.borrow() {
            let owner = subject.join().await;
            let stored = store.inbox().store(vec![unowned(envelope())]).await;
            let renewed = store.nodes().renew(owner, Duration::from_secs(10)).await;
            for error in [stored.err(), renewed.err()].into_iter().flatten() {
                assert!(error.is_transient(), "{error:?}");
            }
            // A store that never waits would keep the rebuilds from their turn.
            tokio::task::yield_now().await;
        }
    };
    let rebuilds = async {
        for _round in 0..5 {
            store.admin().rebuild().await.expect(ANSWERS);
        }
        done.send_replace(true);
    };
    join(work, rebuilds).await;
    subject.store_new(unowned(envelope())).await;
}

/// Nothing is made where nothing is to be made; and a start may make all of it.
pub async fn an_empty_database_is_refused_by_the_check_and_can_be_rebuilt<F: StoreFixture>(
    fixture: &F,
) {
    let Some((store, _guard)) = unprepared(fixture).await else {
        return;
    };
    for _again in 0..2 {
        let refused = store.admin().check().await;
        let is_refused = matches!(refused, Err(StoreError::OutdatedSchema { found: 0, .. }));
        assert!(is_refused, "{refused:?}");
    }
    store.admin().rebuild().await.expect(ANSWERS);
    store.admin().check().await.expect(ANSWERS);
    assert_eq!(store.admin().counts().await.expect(ANSWERS), Counts::default());
}

/// Step by step as they are printed; until the last one is done, the check says what is missing.
pub async fn migrations_that_are_applied_by_hand_are_all_that_is_needed<F: StoreFixture>(
    fixture: &F,
) {
    let Some((store, guard)) = unprepared(fixture).await else {
        return;
    };
    let migrations = store.admin().migrations();
    let newest = migrations.last().map_or(0, |migration| migration.version);
    for migration in migrations {
        let refused = store.admin().check().await.expect_err("a step is missing");
        let StoreError::OutdatedSchema { found, needed, .. } = refused else {
            panic!("{refused:?}");
        };
        assert_eq!((found, needed), (migration.version - 1, newest));
        fixture.execute(&store, &migration.to_string()).await;
    }
    store.admin().check().await.expect(ANSWERS);
    store.admin().prepare().await.expect(ANSWERS);
    let subject = Subject { fixture, store, guard };
    fill(&subject, subject.join().await).await;
    assert_eq!(subject.counts().await.incoming, 3);
}

/// A store in a database in which nothing is made yet.
async fn unprepared<F: StoreFixture>(fixture: &F) -> Option<(F::Store, F::Guard)> {
    let opened = fixture.open_unprepared().await;
    let has_migrations = match &opened {
        Some((store, _guard)) => !store.admin().migrations().is_empty(),
        None => !fixture.open().await.0.admin().migrations().is_empty(),
    };
    assert_eq!(
        opened.is_some(),
        has_migrations,
        "a fixture has `open_unprepared` just if its store has migrations"
    );
    opened
}
