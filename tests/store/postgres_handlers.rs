//! What handlers may do with their connection to PostgreSQL, and what they cannot spoil with it.

#[path = "../postgres_schema.rs"]
mod postgres_schema;

use std::task::Poll;
use std::time::{Duration, Instant};

use bytes::Bytes;
use futures_util::future::join_all;
use jasper::envelope::{Address, Envelope, MessageId};
use jasper::message::MessageType;
use jasper::store::postgres::PostgresStore;
use jasper::store::{
    Committed, Completion, Incoming, Inserted, MessageStore, Ownership, Placement, Settled,
    StoreError, StoreTransaction, TransactionOptions,
};
use sqlx::{Connection, PgConnection};

use postgres_schema::Schema;

const ALONE: TransactionOptions = TransactionOptions::of("handler");
const SHARED: TransactionOptions =
    TransactionOptions { share: 50, ..TransactionOptions::of("handler") };

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_transaction_of_the_handlers_own_nests() {
    for options in [ALONE, SHARED] {
        let (store, _schema) = open().await;
        let mut transaction = store.begin(options).await.unwrap();
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

        let mut failed = connection.begin().await.unwrap();
        write(&mut failed, -1).await.unwrap_err();
        failed.rollback().await.unwrap();

        commit(transaction).await.unwrap();
        assert_eq!(written(&store).await, [1]);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_handler_chooses_the_isolation_level_of_its_transaction() {
    let (store, _schema) = open().await;
    for level in ["serializable", "repeatable read"] {
        let mut transaction = store.begin(ALONE).await.unwrap();
        let by_hand = connection(&mut *transaction);
        let choose = format!("set transaction isolation level {level}");
        sqlx::raw_sql(sqlx::AssertSqlSafe(choose)).execute(&mut *by_hand).await.unwrap();
        write(by_hand, 1).await.unwrap();
        let chosen =
            sqlx::query_scalar::<_, String>("show transaction_isolation").fetch_one(by_hand);
        assert_eq!(chosen.await.unwrap(), level);
        commit(transaction).await.unwrap();
    }
    assert_eq!(written(&store).await.len(), 2);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_handler_that_ends_its_transaction_gets_an_error() {
    for options in [ALONE, SHARED] {
        for sql in ["commit", "rollback", "rollback; begin", "commit and chain"] {
            let (store, _schema) = open().await;
            let held = store_owned(&store).await;
            let mut transaction = store.begin(options).await.unwrap();
            let by_hand = connection(&mut *transaction);
            write(by_hand, 1).await.unwrap();
            let _maybe_refused = sqlx::raw_sql(sql).execute(&mut *by_hand).await;
            let follows = Completion {
                handled: Some(held.clone()),
                incoming: vec![owned(&held)],
                ..Completion::default()
            };
            let error = transaction.commit(follows).await.unwrap_err();
            assert!(matches!(error, StoreError::TransactionEnded), "{sql}: {error}");
            assert_eq!(store.admin().counts().await.unwrap().incoming, 1, "{sql}");
            // Without others beside it, what it has committed cannot be undone.
            let kept = options == ALONE && sql.starts_with("commit");
            assert_eq!(written(&store).await.len(), usize::from(kept), "{sql}");
            keeps_working(&store, options).await;
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_commit_by_hand_commits_nothing_of_the_others() {
    let (store, _schema) = open().await;
    for sql in ["commit", "rollback", "commit and chain"] {
        let Pair { innocent, mut second, .. } = pair(&store).await;
        let _refused = sqlx::raw_sql(sql).execute(connection(&mut *second)).await;
        let guilty = second.commit(Completion::default()).await;
        assert!(matches!(guilty, Err(StoreError::TransactionEnded)), "{guilty:?}");
        let error = innocent.await.unwrap().unwrap_err();
        assert!(matches!(error, StoreError::Busy { .. }), "{error}");
        assert_eq!(written(&store).await, [0i64; 0]);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_handler_that_goes_on_after_an_error_fails_and_spoils_no_other() {
    let (store, _schema) = open().await;
    let mut alone = store.begin(ALONE).await.unwrap();
    write(connection(&mut *alone), -1).await.unwrap_err();
    let error = commit(alone).await.unwrap_err();
    assert!(matches!(error, StoreError::CommitRefused { .. }), "{error}");

    let Pair { innocent, mut second, others } = pair(&store).await;
    write(connection(&mut *second), -1).await.unwrap_err();
    let error = commit(second).await.unwrap_err();
    assert!(matches!(error, StoreError::CommitRefused { .. }), "{error}");
    drop(others);
    assert_eq!(innocent.await.unwrap().unwrap().settled, Settled::Done);
    assert_eq!(written(&store).await, [1]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_that_is_rolled_back_or_dropped_spoils_no_other() {
    let (store, _schema) = open().await;
    let Pair { innocent, mut second, .. } = pair(&store).await;
    write(connection(&mut *second), 2).await.unwrap();
    second.rollback().await.unwrap();
    assert_eq!(innocent.await.unwrap().unwrap().settled, Settled::Done);
    assert_eq!(written(&store).await, [1]);
    // Another pair may take several tries, each of which begins with no effects.
    sqlx::query("delete from effects").execute(store.pool()).await.unwrap();
    let Pair { innocent, mut second, .. } = pair(&store).await;
    write(connection(&mut *second), 2).await.unwrap();
    drop(second);
    assert_eq!(innocent.await.unwrap().unwrap().settled, Settled::Done);
    assert_eq!(written(&store).await, [1]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_that_is_fenced_lets_the_others_run_again() {
    let (store, _schema) = open().await;
    let held = store_owned(&store).await;
    let Pair { innocent, second, .. } = pair(&store).await;
    let handled = Some(Ownership { attempts: 9, ..held });
    let fenced = second.commit(Completion { handled, ..Completion::default() }).await.unwrap();
    assert_eq!(fenced.settled, Settled::Fenced);
    assert!(innocent.await.unwrap().unwrap_err().is_transient());
    assert_eq!(written(&store).await, [0i64; 0]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_the_database_checks_at_the_commit_is_the_handlers_fault() {
    let (store, _schema) = open().await;
    let mut alone = store.begin(ALONE).await.unwrap();
    write_unchecked(connection(&mut *alone), 7).await;
    let error = commit(alone).await.unwrap_err();
    assert!(matches!(error, StoreError::CommitRefused { .. }), "{error}");
    keeps_working(&store, ALONE).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_several_that_the_database_refuses_to_commit_one_is_at_fault() {
    let (store, _schema) = open().await;
    let Pair { innocent, mut second, .. } = pair(&store).await;
    write_unchecked(connection(&mut *second), 7).await;
    let refused = commit(second).await.unwrap_err();
    assert!(
        refused.is_transient() && innocent.await.unwrap().unwrap_err().is_transient(),
        "{refused}"
    );
    // Each runs again for itself, and the one at fault is found.
    let runs = [1, 7].map(async |number| {
        let mut transaction = store.begin(SHARED).await?;
        match number {
            7 => write_unchecked(connection(&mut *transaction), 7).await,
            _ => write(connection(&mut *transaction), number).await.unwrap(),
        }
        commit(transaction).await
    });
    let [innocent, guilty] = join_all(runs).await.try_into().unwrap();
    innocent.unwrap();
    assert!(matches!(guilty, Err(StoreError::CommitRefused { .. })), "{guilty:?}");
    assert_eq!(written(&store).await, [1]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_handler_that_is_dropped_at_any_await_leaves_the_store_working() {
    let (store, _schema) = open().await;
    for options in [ALONE, SHARED] {
        for polls in 0..12 {
            let handler = async {
                let mut transaction = store.begin(options).await.unwrap();
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
            keeps_working(&store, options).await;
            let left = written(&store).await;
            assert!(left.iter().all(|number| *number == 1000), "after {polls} polls: {left:?}");
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_error_of_a_statement_that_was_dropped_reaches_no_other() {
    let (store, _schema) = open().await;
    for options in [ALONE, SHARED] {
        let mut transaction = store.begin(options).await.unwrap();
        poll_times(async { drop(write(connection(&mut *transaction), -1).await) }, 1).await;
        transaction.rollback().await.unwrap();
        keeps_working(&store, options).await;
    }
}

/// Two runs in one transaction: the first has ended and waits for the commit.
// Real time: how long a completion waits for a lock is what is tested.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_key_that_another_transaction_holds_keeps_a_shared_one_only_for_a_moment() {
    let (store, _schema) = open().await;
    let mut keyed = envelope();
    keyed.id = MessageId::of_deduplication_id("handlers.message", "key");
    keyed.deduplication_id = Some("key".to_owned());
    let keyed = Incoming { envelope: keyed, placement: Placement::Unowned, retention: None };
    let mut other = store.pool().begin().await.unwrap();
    let held: &mut PgConnection = &mut other;
    let stored = store.inbox().store_within(held, vec![keyed.clone()]).await.unwrap();
    assert_eq!(stored, [Inserted::New]);
    let completion = Completion { incoming: vec![keyed], ..Completion::default() };

    let Pair { innocent, second, others } = pair(&store).await;
    let started = Instant::now();
    let refused = second.commit(completion.clone()).await.unwrap_err();
    assert!(matches!(refused, StoreError::Busy { .. }), "{refused}");
    let undone = innocent.await.unwrap().unwrap_err();
    assert!(matches!(undone, StoreError::Busy { .. }), "{undone}");
    assert!(started.elapsed() < Duration::from_millis(1500), "{:?}", started.elapsed());
    drop(others);

    let alone = store.begin(ALONE).await.unwrap();
    let refused = alone.commit(completion.clone()).await.unwrap_err();
    assert!(matches!(refused, StoreError::Busy { .. }), "{refused}");
    other.rollback().await.unwrap();
    let alone = store.begin(ALONE).await.unwrap();
    assert_eq!(alone.commit(completion).await.unwrap().incoming, [Inserted::New]);
}

struct Pair {
    innocent: tokio::task::JoinHandle<Result<Committed, StoreError>>,
    second: Box<dyn StoreTransaction>,
    /// Those that hold all other transactions.
    others: Vec<Box<dyn StoreTransaction>>,
}

/// How long a commit takes that waits for nothing.
const SOON: Duration = Duration::from_millis(300);

async fn pair(store: &PostgresStore) -> Pair {
    loop {
        let mut first = store.begin(SHARED).await.unwrap();
        let mut others = Vec::new();
        for _ in 0..3 {
            others.push(store.begin(SHARED).await.unwrap());
        }
        let second = tokio::spawn({
            let store = store.clone();
            async move { store.begin(SHARED).await }
        });
        write(connection(&mut *first), 1).await.unwrap();
        let mut innocent = tokio::spawn(first.commit(Completion::default()));
        // A transaction that has been open for long takes no second run.
        match tokio::time::timeout(SOON, &mut innocent).await {
            Err(_waits) => {
                let second = second.await.unwrap().unwrap();
                return Pair { innocent, second, others };
            }
            Ok(_alone) => {
                drop(second.await);
                sqlx::query("delete from effects").execute(store.pool()).await.unwrap();
            }
        }
    }
}

async fn open() -> (PostgresStore, Schema) {
    let (store, schema) = Schema::open().await;
    let tables = "create table numbers (number bigint primary key);
        create table effects (number bigint not null check (number > 0));
        create table unchecked (number bigint references numbers deferrable initially deferred)";
    sqlx::raw_sql(tables).execute(store.pool()).await.unwrap();
    (store, schema)
}

fn connection(transaction: &mut dyn StoreTransaction) -> &mut PgConnection {
    transaction.connection().unwrap().downcast_mut().unwrap()
}

/// Refused below 1.
async fn write(connection: &mut PgConnection, number: i64) -> sqlx::Result<()> {
    let query = sqlx::query("insert into effects (number) values ($1)").bind(number);
    query.execute(connection).await.map(|_done| ())
}

/// Refused at the commit.
async fn write_unchecked(connection: &mut PgConnection, number: i64) {
    let query = sqlx::query("insert into unchecked (number) values ($1)").bind(number);
    query.execute(connection).await.unwrap();
}

async fn written(store: &PostgresStore) -> Vec<i64> {
    let query = sqlx::query_scalar("select number from effects order by number");
    query.fetch_all(store.pool()).await.unwrap()
}

async fn commit(transaction: Box<dyn StoreTransaction>) -> Result<(), StoreError> {
    let committed = transaction.commit(Completion::default()).await?;
    assert_eq!(committed.settled, Settled::Done);
    Ok(())
}

async fn keeps_working(store: &PostgresStore, options: TransactionOptions) {
    let before = written(store).await.len();
    let mut transaction = store.begin(options).await.unwrap();
    write(connection(&mut *transaction), 1000).await.unwrap();
    commit(transaction).await.unwrap();
    assert_eq!(written(store).await.len(), before + 1);
}

async fn store_owned(store: &PostgresStore) -> Ownership {
    let owner = store.nodes().join("node", Duration::from_secs(60), &[]).await.unwrap().owner;
    let envelope = envelope();
    let held = Ownership::of(&envelope, owner);
    let row = Incoming { envelope, placement: Placement::Owned(owner), retention: None };
    assert_eq!(store.inbox().store(vec![row]).await.unwrap(), [Inserted::New]);
    held
}

fn owned(like: &Ownership) -> Incoming {
    Incoming { envelope: envelope(), placement: Placement::Owned(like.owner), retention: None }
}

fn envelope() -> Envelope {
    Envelope::new(
        MessageType::new("handlers.message", 1),
        "application/json",
        Bytes::from_static(b"{}"),
        Address::local("handlers", "handler"),
    )
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
