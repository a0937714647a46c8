//! Transactions of durable handlers, and of users: all or nothing.

use futures_util::future::join_all;

use super::StoreFixture;
use super::subject::{LONG, PORTION, Subject, at, envelope, large, scheduled, unowned};
use crate::store::{
    Committed, Completion, Counts, Incoming, Inserted, MessageStore, Outgoing, Ownership, Settled,
    StoreError, StoreTransaction,
};

/// What a handler did, what it sends, and the end of its message come together.
pub async fn a_commit_ends_the_message_and_stores_what_follows<F: StoreFixture>(fixture: &F) {
    let subject = Subject::of(fixture).await;
    let owner = subject.join().await;
    let held = subject.store_owned(owner, None).await;
    let completion = completion(Some(held), 1);
    let expected = Committed {
        settled: Settled::Done,
        incoming: vec![Inserted::New],
        outgoing: vec![Inserted::New],
    };
    assert_eq!(run(&subject, completion.clone()).await, expected);
    assert_eq!(subject.claim_one(owner).await.ownership.id, completion.incoming[0].envelope.id);
    let counts = subject.counts().await;
    assert_eq!((counts.incoming, counts.outgoing), (1, 1));
    assert_eq!(subject.count_effects().await, effects_of(&subject, 1));
}

/// An invoked handler has no message in the inbox.
pub async fn a_commit_without_a_message_stores_what_follows<F: StoreFixture>(fixture: &F) {
    let subject = Subject::of(fixture).await;
    let committed = run(&subject, completion(None, 2)).await;
    assert_eq!(committed.settled, Settled::Done);
    assert_eq!(subject.counts().await.incoming, 2);
    assert_eq!(subject.count_effects().await, effects_of(&subject, 1));
    let nothing = run(&subject, Completion::default()).await;
    assert_eq!(nothing.settled, Settled::Done);
    assert_eq!(subject.count_effects().await, effects_of(&subject, 2));
}

/// A message from outside is remembered.
pub async fn a_commit_keeps_the_id_of_a_message_that_is_to_be_kept<F: StoreFixture>(fixture: &F) {
    let subject = Subject::of(fixture).await;
    let held = subject.store_owned(subject.join().await, Some(LONG)).await;
    let committed = run(&subject, completion(Some(held.clone()), 0)).await;
    assert_eq!(committed.settled, Settled::Done);
    assert_eq!(subject.counts().await.handled, 1);
    let again = run(&subject, completion(Some(held), 0)).await;
    assert_eq!(again.settled, Settled::Fenced);
}

/// More than a statement takes.
pub async fn a_commit_stores_many_messages<F: StoreFixture>(fixture: &F) {
    let subject = Subject::of(fixture).await;
    let held = subject.store_owned(subject.join().await, None).await;
    let committed = run(&subject, completion(Some(held), 100)).await;
    assert_eq!(committed.incoming, vec![Inserted::New; 100]);
    assert_eq!(committed.outgoing, vec![Inserted::New; 100]);
    let counts = subject.counts().await;
    assert_eq!((counts.incoming, counts.outgoing), (100, 100));
}

/// More than one statement holds, of which some are there.
pub async fn a_commit_stores_large_messages<F: StoreFixture>(fixture: &F) {
    let subject = Subject::of(fixture).await;
    let held = subject.store_owned(subject.join().await, None).await;
    let completion = large_completion(held);
    subject.store_new(completion.incoming[3].clone()).await;
    let committed = run(&subject, completion).await;
    let mut expected = vec![Inserted::New; 10];
    assert_eq!(committed.outgoing, expected);
    expected[3] = Inserted::Duplicate;
    assert_eq!(committed.incoming, expected);
    let counts = subject.counts().await;
    assert_eq!((counts.incoming, counts.outgoing), (10, 10));
}

/// However many statements that are.
pub async fn a_fenced_commit_of_large_messages_undoes_everything<F: StoreFixture>(fixture: &F) {
    let subject = Subject::of(fixture).await;
    let held = subject.store_owned(subject.join().await, None).await;
    let completion = large_completion(Ownership { attempts: 2, ..held });
    let committed = run(&subject, completion).await;
    assert_eq!(committed.settled, Settled::Fenced);
    let expected = Counts { incoming: 1, ..Counts::default() };
    assert_eq!(subject.counts().await, expected);
    assert_eq!(subject.count_effects().await, 0);
}

fn large_completion(held: Ownership) -> Completion {
    let mut completion = completion(Some(held), 10);
    let envelopes = completion.incoming.iter_mut().map(|row| &mut row.envelope);
    for envelope in envelopes.chain(completion.outgoing.iter_mut().map(|row| &mut row.envelope)) {
        *envelope = large(envelope.clone(), PORTION / 4);
    }
    completion
}

/// A message that is sent for a later time waits for it.
pub async fn a_commit_schedules_what_is_for_later<F: StoreFixture>(fixture: &F) {
    let subject = Subject::of(fixture).await;
    let later = scheduled(envelope(), std::time::SystemTime::now() + LONG);
    let due = scheduled(envelope(), at(1));
    let completion = Completion { incoming: vec![later, due.clone()], ..Completion::default() };
    run(&subject, completion).await;
    let claimed = subject.claim_one(subject.join().await).await;
    assert_eq!(claimed.ownership.id, due.envelope.id);
}

/// A zombie's run changes nothing: its messages do not leave and its rows are undone.
pub async fn a_fenced_commit_undoes_everything<F: StoreFixture>(fixture: &F) {
    let subject = Subject::of(fixture).await;
    let held = subject.store_owned(subject.join().await, None).await;
    let overtaken = [
        Ownership { owner: subject.join().await, ..held.clone() },
        Ownership { attempts: 2, ..held.clone() },
        Ownership::of(&envelope(), held.owner),
    ];
    for ownership in overtaken {
        let committed = run(&subject, completion(Some(ownership), 2)).await;
        let expected =
            Committed { settled: Settled::Fenced, incoming: Vec::new(), outgoing: Vec::new() };
        assert_eq!(committed, expected);
    }
    let expected = Counts { incoming: 1, ..Counts::default() };
    assert_eq!(subject.counts().await, expected);
    assert_eq!(subject.count_effects().await, 0);
    let committed = run(&subject, completion(Some(held), 0)).await;
    assert_eq!(committed.settled, Settled::Done, "the row is as it was");
}

/// Two runs of one message: the first commit wins.
pub async fn of_two_runs_of_a_message_one_commits<F: StoreFixture>(fixture: &F) {
    let subject = Subject::of(fixture).await;
    let held = subject.store_owned(subject.join().await, None).await;
    let runs = (0..4).map(|_| run(&subject, completion(Some(held.clone()), 1)));
    let committed = join_all(runs).await;
    let done = committed.iter().filter(|run| run.settled == Settled::Done);
    assert_eq!(done.count(), 1);
    let counts = subject.counts().await;
    assert_eq!((counts.incoming, counts.outgoing), (1, 1));
    assert_eq!(subject.count_effects().await, effects_of(&subject, 1));
}

/// What a handler sends again after a lost answer is there once.
pub async fn a_message_that_follows_twice_is_stored_once<F: StoreFixture>(fixture: &F) {
    let subject = Subject::of(fixture).await;
    let first = completion(None, 1);
    run(&subject, first.clone()).await;
    let mut second = completion(None, 1);
    second.incoming.insert(0, first.incoming[0].clone());
    second.outgoing.push(first.outgoing[0].clone());
    let committed = run(&subject, second).await;
    assert_eq!(committed.settled, Settled::Done);
    assert_eq!(committed.incoming, [Inserted::Duplicate, Inserted::New]);
    assert_eq!(committed.outgoing, [Inserted::New, Inserted::Duplicate]);
    let counts = subject.counts().await;
    assert_eq!((counts.incoming, counts.outgoing), (2, 2));
}

/// A failed handler leaves nothing behind, and its message as it was.
pub async fn a_rollback_undoes_everything<F: StoreFixture>(fixture: &F) {
    let subject = Subject::of(fixture).await;
    let held = subject.store_owned(subject.join().await, None).await;
    let transaction = begin_with_effect(&subject).await;
    transaction.rollback().await.expect("the store answers");
    assert_eq!(subject.count_effects().await, 0);
    let committed = run(&subject, completion(Some(held), 0)).await;
    assert_eq!(committed.settled, Settled::Done);
    assert_eq!(subject.count_effects().await, effects_of(&subject, 1));
}

/// A time-out drops a handler in its middle.
pub async fn a_dropped_transaction_is_rolled_back<F: StoreFixture>(fixture: &F) {
    let subject = Subject::of(fixture).await;
    drop(begin_with_effect(&subject).await);
    run(&subject, completion(None, 0)).await;
    assert_eq!(subject.count_effects().await, effects_of(&subject, 1));
}

/// A caller that no longer waits must not keep others waiting.
pub async fn an_abandoned_call_holds_nobody_up<F: StoreFixture>(fixture: &F) {
    let subject = Subject::of(fixture).await;
    let held = begin_with_effect(&subject).await;
    // Each is polled once, so that it stands in line, and is then dropped.
    for _ in 0..3 {
        let begin = subject.store.begin(subject.run());
        assert!(poll_once(begin).await.is_none_or(|begun| begun.is_ok()));
    }
    let rows = vec![unowned(envelope())];
    drop(poll_once(subject.store.inbox().store(rows)).await);
    held.rollback().await.expect("the store answers");
    run(&subject, completion(None, 0)).await;
    assert_eq!(subject.count_effects().await, effects_of(&subject, 1));
}

/// A commit whose caller is gone is whole all the same, one way or the other.
pub async fn an_abandoned_commit_is_all_or_nothing<F: StoreFixture>(fixture: &F) {
    let subject = Subject::of(fixture).await;
    let held = subject.store_owned(subject.join().await, None).await;
    let transaction = begin_with_effect(&subject).await;
    drop(poll_once(transaction.commit(completion(Some(held.clone()), 1))).await);
    let again = run(&subject, completion(Some(held), 1)).await;
    let counts = subject.counts().await;
    assert_eq!((counts.incoming, counts.outgoing), (1, 1), "{again:?}");
    assert_eq!(subject.count_effects().await, effects_of(&subject, 1));
}

/// Many at once: those that commit are there, those that do not are not.
pub async fn one_rollback_spares_its_neighbours<F: StoreFixture>(fixture: &F) {
    let subject = Subject::of(fixture).await;
    let owner = subject.join().await;
    let mut messages = Vec::new();
    for _ in 0..40 {
        messages.push(subject.store_owned(owner, None).await);
    }
    let runs = messages.iter().enumerate().map(async |(number, held)| {
        let foreign = Ownership { attempts: 9, ..held.clone() };
        match number % 4 {
            0 => drop(begin_with_effect(&subject).await),
            1 => {
                let transaction = begin_with_effect(&subject).await;
                transaction.rollback().await.expect("the store answers");
            }
            2 => {
                let committed = run(&subject, completion(Some(foreign), 1)).await;
                assert_eq!(committed.settled, Settled::Fenced);
            }
            _ => {
                let committed = run(&subject, completion(Some(held.clone()), 1)).await;
                assert_eq!(committed.settled, Settled::Done);
            }
        }
    });
    join_all(runs).await;
    let counts = subject.counts().await;
    assert_eq!((counts.incoming, counts.outgoing), (40, 10));
    assert_eq!(subject.claim_all(owner).await.len(), 10);
    assert_eq!(subject.count_effects().await, effects_of(&subject, 10));
}

/// A message sent in a transaction of the user's own is there once that is committed, not before.
pub async fn a_row_stored_within_a_transaction_is_there_after_its_commit<F: StoreFixture>(
    fixture: &F,
) {
    let subject = Subject::of(fixture).await;
    let Some(effects) = subject.effects() else {
        return refuses_connections(&subject).await;
    };
    let row = unowned(envelope());
    let repeats = vec![row.clone(), row];
    let mut transaction = effects.begin(&subject.store).await;
    effects.write(transaction.connection(), 1).await;
    let inbox = subject.store.inbox();
    let stored =
        inbox.store_within(transaction.connection(), repeats).await.expect("the store answers");
    assert_eq!(stored, [Inserted::New, Inserted::Duplicate]);
    let outbox = subject.store.outbox();
    let stored = outbox.store_within(transaction.connection(), vec![outgoing()]).await;
    assert_eq!(stored.expect("the store answers"), [Inserted::New]);
    assert_eq!(subject.counts().await, Counts::default());
    transaction.commit().await;
    let counts = subject.counts().await;
    assert_eq!((counts.incoming, counts.outgoing), (1, 1));
    assert_eq!(subject.claim_all(subject.join().await).await.len(), 1);
}

/// And gone with it.
pub async fn a_row_stored_within_a_transaction_is_gone_after_its_rollback<F: StoreFixture>(
    fixture: &F,
) {
    let subject = Subject::of(fixture).await;
    let Some(effects) = subject.effects() else {
        return refuses_connections(&subject).await;
    };
    let mut transaction = effects.begin(&subject.store).await;
    let inbox = subject.store.inbox();
    let rows = vec![unowned(envelope())];
    let stored = inbox.store_within(transaction.connection(), rows).await;
    assert_eq!(stored.expect("the store answers"), [Inserted::New]);
    transaction.rollback().await;
    assert_eq!(subject.counts().await, Counts::default());
}

/// A handler that sends by itself does so in its transaction.
pub async fn a_row_stored_within_a_handler_is_gone_with_its_rollback<F: StoreFixture>(fixture: &F) {
    let subject = Subject::of(fixture).await;
    if subject.effects().is_none() {
        return refuses_connections(&subject).await;
    }
    let mut transaction = subject.begin().await;
    let connection = transaction.connection().expect("the store has connections");
    let rows = vec![unowned(envelope())];
    let stored = subject.store.inbox().store_within(connection, rows).await;
    assert_eq!(stored.expect("the store answers"), [Inserted::New]);
    transaction.rollback().await.expect("the store answers");
    assert_eq!(subject.counts().await, Counts::default());
}

/// What is no connection of this store is refused by name, not guessed at.
pub async fn a_connection_of_another_type_is_refused<F: StoreFixture>(fixture: &F) {
    let subject = Subject::of(fixture).await;
    refuses_connections(&subject).await;
}

/// A store without connections gives none and takes none.
async fn refuses_connections<F: StoreFixture>(subject: &Subject<'_, F>) {
    let mut transaction = subject.begin().await;
    let has_connection = transaction.connection().is_some();
    assert_eq!(has_connection, subject.store.info().connection.is_some());
    transaction.rollback().await.expect("the store answers");
    let mut foreign = "no connection";
    let rows = vec![unowned(envelope())];
    let refused = subject.store.inbox().store_within(&mut foreign, rows).await;
    assert!(matches!(refused, Err(StoreError::WrongConnection { .. })));
    let rows = vec![outgoing()];
    let refused = subject.store.outbox().store_within(&mut foreign, rows).await;
    assert!(matches!(refused, Err(StoreError::WrongConnection { .. })));
    assert_eq!(subject.counts().await, Counts::default());
}

fn outgoing() -> Outgoing {
    Outgoing { envelope: envelope(), owner: None }
}

/// A completion with this many new messages for each of inbox and outbox.
fn completion(handled: Option<Ownership>, messages: usize) -> Completion {
    let incoming: Vec<Incoming> = (0..messages).map(|_| unowned(envelope())).collect();
    Completion { handled, incoming, outgoing: (0..messages).map(|_| outgoing()).collect() }
}

async fn begin_with_effect<F: StoreFixture>(subject: &Subject<'_, F>) -> Box<dyn StoreTransaction> {
    let mut transaction = subject.begin().await;
    match (subject.effects(), transaction.connection()) {
        (Some(effects), Some(connection)) => effects.write(connection, 1).await,
        (None, None) => {}
        _ => panic!("a transaction has a connection just if its store says so"),
    }
    transaction
}

/// A handler that writes one row of its own and commits. As in the runtime, it runs again where the
/// store says that this may help: a fenced run undoes those that share its transaction.
async fn run<F: StoreFixture>(subject: &Subject<'_, F>, completion: Completion) -> Committed {
    loop {
        let transaction = begin_with_effect(subject).await;
        match transaction.commit(completion.clone()).await {
            Err(error) if error.is_transient() => {}
            committed => return committed.expect("the store answers"),
        }
    }
}

/// How many rows of its own this many runs leave.
fn effects_of<F: StoreFixture>(subject: &Subject<'_, F>, runs: u64) -> u64 {
    match subject.effects() {
        Some(_) => runs,
        None => 0,
    }
}

/// Polls a future once, drops it, and says what it gave.
async fn poll_once<T>(future: impl Future<Output = T>) -> Option<T> {
    let mut future = std::pin::pin!(future);
    std::future::poll_fn(|cx| {
        std::task::Poll::Ready(match future.as_mut().poll(cx) {
            std::task::Poll::Ready(value) => Some(value),
            std::task::Poll::Pending => None,
        })
    })
    .await
}
