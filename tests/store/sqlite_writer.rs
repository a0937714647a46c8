//! What handlers may do with the connection that they borrow, and what they cannot spoil with it.

use std::fmt::Debug;
use std::task::Poll;
use std::time::Duration;

use bytes::Bytes;
use futures_util::future::join_all;
use jasper::envelope::{Address, Envelope};
use jasper::message::MessageType;
use jasper::store::sqlite::SqliteStore;
use jasper::store::{
    Completion, Incoming, Inserted, MessageStore, Owner, Ownership, Placement, Settled, Settlement,
    StoreError, StoreTransaction, TransactionOptions,
};
use sqlx::{AssertSqlSafe, Connection, SqliteConnection};
use tempfile::TempDir;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_transaction_of_the_handlers_own_nests() {
    let (_directory, store) = open().await;
    let mut transaction = store.begin(TransactionOptions::of("nesting")).await.unwrap();
    let connection = connection(&mut *transaction);

    let mut committed = connection.begin().await.unwrap();
    write(&mut committed, 1).await.unwrap();
    committed.commit().await.unwrap();

    let mut rolled_back = connection.begin().await.unwrap();
    write(&mut rolled_back, 2).await.unwrap();
    rolled_back.rollback().await.unwrap();

    let mut dropped = connection.begin().await.unwrap();
    write(&mut dropped, 4).await.unwrap();
    drop(dropped);

    let mut outer = connection.begin().await.unwrap();
    let mut inner = outer.begin().await.unwrap();
    write(&mut inner, 8).await.unwrap();
    inner.commit().await.unwrap();
    outer.commit().await.unwrap();

    commit(transaction).await.unwrap();
    assert_eq!(written(&store).await, [1, 8]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_nested_transaction_goes_with_the_outer_one() {
    let (_directory, store) = open().await;
    let mut transaction = store.begin(TransactionOptions::of("nesting")).await.unwrap();
    let mut nested = connection(&mut *transaction).begin().await.unwrap();
    write(&mut nested, 1).await.unwrap();
    nested.commit().await.unwrap();
    transaction.rollback().await.unwrap();
    assert_eq!(written(&store).await, [0i64; 0]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_nested_transaction_that_is_never_ended_harms_no_other() {
    let (_directory, store) = open().await;
    for number in 1..4 {
        let mut transaction = store.begin(TransactionOptions::of("forgetting")).await.unwrap();
        let mut nested = connection(&mut *transaction).begin().await.unwrap();
        write(&mut nested, number).await.unwrap();
        std::mem::forget(nested);
        match number {
            2 => transaction.rollback().await.unwrap(),
            _ => commit(transaction).await.unwrap(),
        }
    }
    assert_eq!(written(&store).await, [1, 3]);
    keeps_working(&store).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_commit_by_hand_commits_nothing_and_the_writer_goes_on() {
    let (_directory, store) = open().await;
    for sql in ["commit", "rollback", "rollback; begin", "insert or rollback into t values (0)"] {
        let neighbour = store.begin(TransactionOptions::of("neighbour")).await.unwrap();
        let mut transaction = {
            // Both stand in one group: the second begins before the first is answered.
            let begin = store.begin(TransactionOptions::of("by hand"));
            let commit = commit(neighbour);
            let (begun, committed) =
                futures_util::future::join(begin, async { poll_once(commit).await }).await;
            drop(committed);
            begun.unwrap()
        };
        let by_hand = connection(&mut *transaction);
        write(by_hand, 1).await.unwrap();
        let said = sqlx::raw_sql(sql).execute(&mut *by_hand).await;
        assert!(said.is_ok() || sql != "rollback", "{said:?}");
        // What follows would commit by itself if it could.
        let _refused = write(by_hand, 2).await;
        let rows = Completion { incoming: vec![unowned()], ..Completion::default() };
        let error = transaction.commit(rows).await.unwrap_err();
        assert!(matches!(error, StoreError::TransactionEnded | StoreError::Busy { .. }), "{error}");
        assert_eq!(written(&store).await, [0i64; 0], "{sql}");
        assert_eq!(store.admin().counts().await.unwrap().incoming, 0, "{sql}");
        keeps_working(&store).await;
        store.admin().clear().await.unwrap();
        sqlx::query("delete from effects").execute(store.pool()).await.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn all_that_shared_a_transaction_that_was_ended_by_hand_get_an_error() {
    let (_directory, store) = open().await;
    let blocker = store.begin(TransactionOptions::of("blocker")).await.unwrap();
    let innocent = async {
        let mut transaction = store.begin(TransactionOptions::of("innocent")).await.unwrap();
        write(connection(&mut *transaction), 1).await.unwrap();
        commit(transaction).await
    };
    let guilty = async {
        let mut transaction = store.begin(TransactionOptions::of("guilty")).await.unwrap();
        let by_hand = connection(&mut *transaction);
        sqlx::raw_sql("rollback").execute(by_hand).await.unwrap();
        commit(transaction).await
    };
    let stored = store.inbox().store(vec![unowned()]);
    let release = async { blocker.rollback().await };
    let (innocent, guilty, stored, released) =
        tokio::join!(biased; innocent, guilty, stored, release);
    released.unwrap();
    let in_time = innocent.is_ok();
    guilty.unwrap_err();
    match innocent {
        Ok(()) => {}
        Err(error) => assert!(error.is_transient(), "{error:?}"),
    }
    let rows = written(&store).await;
    assert_eq!(rows.len(), usize::from(in_time), "told as it is");
    let incoming = store.admin().counts().await.unwrap().incoming;
    assert_eq!(incoming, u64::from(stored.is_ok()), "told as it is");
    keeps_working(&store).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_handler_that_is_dropped_at_any_await_leaves_the_writer_working() {
    let (_directory, store) = open().await;
    for polls in 0..16 {
        let handler = async {
            let mut transaction = store.begin(TransactionOptions::of("cancelled")).await.unwrap();
            let connection = connection(&mut *transaction);
            let mut nested = connection.begin().await.unwrap();
            write(&mut nested, 1).await.unwrap();
            nested.commit().await.unwrap();
            write(connection, 2).await.unwrap();
            loop {
                tokio::task::yield_now().await;
            }
        };
        poll_times(handler, polls).await;
        assert_eq!(written(&store).await, [0i64; 0], "after {polls} polls");
        // A neighbour of the cancelled `begin` may have been undone with it, and its caller has an
        // error.
        while !matches!(store.inbox().store(vec![unowned()]).await.as_deref(), Ok([Inserted::New]))
        {
        }
        keeps_working(&store).await;
        sqlx::query("delete from effects").execute(store.pool()).await.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_failed_statement_of_a_handler_does_not_end_its_transaction() {
    let (_directory, store) = open().await;
    let mut transaction = store.begin(TransactionOptions::of("failing")).await.unwrap();
    let failing = connection(&mut *transaction);
    write(failing, 1).await.unwrap();
    sqlx::query("insert into effects (number) values (null)")
        .execute(&mut *failing)
        .await
        .unwrap_err();
    write(failing, 2).await.unwrap();
    commit(transaction).await.unwrap();
    assert_eq!(written(&store).await, [1, 2]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn many_handlers_run_one_after_the_other() {
    let (_directory, store) = open().await;
    let runs = (0..200).map(async |number| {
        let mut transaction = store.begin(TransactionOptions::of("counting")).await.unwrap();
        let counting = connection(&mut *transaction);
        let before: i64 = sqlx::query_scalar("select coalesce(max(number), 0) from effects")
            .fetch_one(&mut *counting)
            .await
            .unwrap();
        write(counting, before + 1).await.unwrap();
        match number % 5 {
            0 => transaction.rollback().await.unwrap(),
            _ => commit(transaction).await.unwrap(),
        }
    });
    join_all(runs).await;
    let expected: Vec<i64> = (1..=160).collect();
    assert_eq!(written(&store).await, expected, "no run saw less than all before it");
}

#[test]
fn a_store_whose_runtime_is_gone_says_that_it_is_closed() {
    let runtime = || tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let first = runtime();
    let (_directory, store) = first.block_on(open());
    drop(first);
    runtime().block_on(async {
        let error = store.inbox().store(vec![unowned()]).await.unwrap_err();
        assert!(matches!(error, StoreError::Closed), "{error:?}");
        let error = store.begin(TransactionOptions::of("late")).await.err().unwrap();
        assert!(matches!(error, StoreError::Closed), "{error:?}");
    });
}

/// On a runtime of one thread the writer sees all calls at once, and tries them in one trip.
#[tokio::test]
async fn an_insert_that_is_refused_spoils_none_that_came_with_it() {
    let (_directory, store) = open().await;
    refuse(&store, "before insert", "new").await;
    let calls = (0..5).map(|at| store.inbox().store(vec![if at == 2 { bad() } else { unowned() }]));
    only_the_bad_one_is_refused(join_all(calls).await, &[Inserted::New]);
    assert_eq!(store.admin().counts().await.unwrap().incoming, 4);
    keeps_working(&store).await;
}

#[tokio::test]
async fn a_settlement_that_is_refused_spoils_none_that_came_with_it() {
    let (_directory, store) = open().await;
    let day = Duration::from_secs(24 * 60 * 60);
    let owner = store.nodes().join("settling", day, &[]).await.unwrap().owner;
    let owned = |row: Incoming| Incoming { placement: Placement::Owned(owner), ..row };
    let rows: Vec<_> = (0..5).map(|at| owned(if at == 2 { bad() } else { unowned() })).collect();
    store.inbox().store(rows.clone()).await.unwrap();
    refuse(&store, "before delete", "old").await;
    let held = rows.iter().map(|row| Settlement::Handled(Ownership::of(&row.envelope, owner)));
    let calls = held.map(|handled| store.inbox().settle(vec![handled]));
    only_the_bad_one_is_refused(join_all(calls).await, &[Settled::Done]);
    assert_eq!(store.admin().counts().await.unwrap().incoming, 1);
    keeps_working(&store).await;
}

/// More than a trip takes, some of which come again, and some of which are kept as handled.
#[tokio::test]
async fn many_that_are_handled_at_once_are_each_answered_for_themselves() {
    let (_directory, store) = open().await;
    let day = Duration::from_secs(24 * 60 * 60);
    let owner = store.nodes().join("settling", day, &[]).await.unwrap().owner;
    let retention = |at: usize| at.is_multiple_of(3).then_some(day);
    let placement = Placement::Owned(owner);
    let rows: Vec<_> =
        (0..100).map(|at| Incoming { placement, retention: retention(at), ..unowned() }).collect();
    store.inbox().store(rows.clone()).await.unwrap();
    let (mut settlements, mut expected) = (Vec::new(), Vec::new());
    for (at, row) in rows.iter().enumerate() {
        let held = Ownership::of(&row.envelope, owner);
        let foreign = Ownership { owner: Owner::new(owner.number() + 1), ..held.clone() };
        if at.is_multiple_of(5) {
            settlements.push(Settlement::Handled(foreign));
            expected.push(Settled::Fenced);
        }
        settlements.push(Settlement::Handled(held.clone()));
        expected.push(Settled::Done);
        if at.is_multiple_of(7) {
            settlements.push(Settlement::Handled(held));
            expected.push(Settled::Fenced);
        }
    }
    assert_eq!(store.inbox().settle(settlements).await.unwrap(), expected);
    assert_eq!(store.admin().counts().await.unwrap().incoming, 0);
    // Those that are kept are known when they come again; the others are new.
    for (at, again) in rows.into_iter().enumerate() {
        let kept = if retention(at).is_some() { Inserted::Duplicate } else { Inserted::New };
        assert_eq!(store.inbox().store(vec![again]).await.unwrap(), [kept], "{at}");
    }
}

/// Lets the database refuse what is done to a bad row.
async fn refuse(store: &SqliteStore, when: &str, row: &str) {
    let trigger = format!(
        "create trigger refuse {when} on jasper_incoming when {row}.correlation_id = 'bad'
        begin select raise(abort, 'not this one'); end"
    );
    sqlx::raw_sql(AssertSqlSafe(trigger)).execute(store.pool()).await.unwrap();
}

/// It is the third.
fn only_the_bad_one_is_refused<A: Debug + PartialEq>(
    answers: Vec<Result<Vec<A>, StoreError>>,
    others: &[A],
) {
    for (at, answer) in answers.into_iter().enumerate() {
        match answer {
            Ok(answer) => assert!(at != 2 && answer == others, "{at}: {answer:?}"),
            Err(error) => assert!(at == 2 && !error.is_transient(), "{at}: {error}"),
        }
    }
}

fn bad() -> Incoming {
    let mut row = unowned();
    row.envelope.correlation_id = Some("bad".to_owned());
    row
}

async fn open() -> (TempDir, SqliteStore) {
    let directory = tempfile::tempdir().unwrap();
    let store = SqliteStore::open(directory.path().join("shop.db")).await.unwrap();
    store.admin().prepare().await.unwrap();
    let tables = "create table effects (number integer not null);
        create table t (number integer primary key); insert into t values (0)";
    sqlx::raw_sql(tables).execute(store.pool()).await.unwrap();
    (directory, store)
}

fn connection(transaction: &mut dyn StoreTransaction) -> &mut SqliteConnection {
    transaction.connection().unwrap().downcast_mut().unwrap()
}

async fn write(connection: &mut SqliteConnection, number: i64) -> sqlx::Result<()> {
    sqlx::query("insert into effects (number) values (?)")
        .bind(number)
        .execute(connection)
        .await
        .map(|_done| ())
}

async fn written(store: &SqliteStore) -> Vec<i64> {
    sqlx::query_scalar("select number from effects order by number")
        .fetch_all(store.pool())
        .await
        .unwrap()
}

async fn commit(transaction: Box<dyn StoreTransaction>) -> Result<(), StoreError> {
    let committed = transaction.commit(Completion::default()).await?;
    assert_eq!(committed.settled, Settled::Done);
    Ok(())
}

async fn keeps_working(store: &SqliteStore) {
    let before = written(store).await.len();
    let mut transaction = store.begin(TransactionOptions::of("afterwards")).await.unwrap();
    write(connection(&mut *transaction), 1000).await.unwrap();
    commit(transaction).await.unwrap();
    assert_eq!(written(store).await.len(), before + 1);
    let stored = store.inbox().store(vec![unowned()]).await.unwrap();
    assert_eq!(stored, [Inserted::New]);
}

fn unowned() -> Incoming {
    Incoming {
        envelope: Envelope::new(
            MessageType::new("writer.message", 1),
            "application/json",
            Bytes::from_static(b"{}"),
            Address::local("writer", "handler"),
        ),
        placement: Placement::Unowned,
        retention: None,
    }
}

async fn poll_once<T>(future: impl Future<Output = T>) -> Option<T> {
    let mut future = std::pin::pin!(future);
    std::future::poll_fn(|cx| match future.as_mut().poll(cx) {
        Poll::Ready(value) => Poll::Ready(Some(value)),
        Poll::Pending => Poll::Ready(None),
    })
    .await
}

/// Polls so often, whenever the future is woken, and drops it.
async fn poll_times(future: impl Future<Output = ()>, times: usize) {
    let mut future = Box::pin(future);
    let mut left = times;
    std::future::poll_fn(|cx| {
        if left == 0 {
            return Poll::Ready(());
        }
        left -= 1;
        match future.as_mut().poll(cx) {
            Poll::Pending if left > 0 => Poll::Pending,
            _ => Poll::Ready(()),
        }
    })
    .await;
}
