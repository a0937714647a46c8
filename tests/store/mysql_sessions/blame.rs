//! Handlers that leave their session in a state in which no completion can succeed, or in which no
//! other is to meet it.

use jasper::envelope::{Address, Envelope};
use jasper::message::MessageType;
use jasper::prelude::*;
use jasper::store::{
    Completion, Incoming, MessageStore, Ownership, Placement, StoreError, StoreTransaction,
    TransactionOptions,
};
use sqlx::{AssertSqlSafe, MySqlConnection};

use super::database::Shop;

fn connection(run: &mut Box<dyn StoreTransaction>) -> &mut MySqlConnection {
    run.connection().unwrap().downcast_mut().unwrap()
}

/// The completion of a message that this store owns, with one that is sent.
async fn completion(store: &MysqlStore) -> Completion {
    let owner = store.nodes().join("a", super::LEASE, &[]).await.unwrap().owner;
    let envelope = || {
        let to = Address::local("queue", "handler");
        let mut envelope =
            Envelope::new(MessageType::new("blame", 1), "text/plain", "x".into(), to);
        envelope.attempts = 1;
        envelope
    };
    let (held, sent) = (envelope(), envelope());
    let handled = Some(Ownership::of(&held, owner));
    let row = Incoming { envelope: held, placement: Placement::Owned(owner), retention: None };
    store.inbox().store(vec![row]).await.unwrap();
    let sent = Incoming { envelope: sent, placement: Placement::Unowned, retention: None };
    Completion { handled, incoming: vec![sent], outgoing: vec![] }
}

#[tokio::test]
async fn a_handler_that_makes_its_completion_fail_for_good_is_blamed() {
    let shop = Shop::open().await;
    let store = shop.store().await;
    for sql in [
        "lock tables effects write",
        "start transaction read only",
        "set session transaction read only; start transaction",
        "set autocommit = 1",
        "set role none; set session sql_mode = 'no_such_mode'",
        "set session autocommit = 1; insert into effects values (9)",
    ] {
        let completion = completion(&store).await;
        let mut run = store.begin(TransactionOptions::of("to blame")).await.unwrap();
        // Some of these fail themselves, and the handler goes on.
        let _ = sqlx::raw_sql(sql).execute(connection(&mut run)).await;
        match run.commit(completion).await {
            Err(error) => assert!(error.blames_handler(), "{sql}: {error:?}"),
            Ok(_committed) => assert!(sql.contains("no_such_mode"), "{sql}"),
        }
    }
}

#[tokio::test]
async fn a_completion_that_the_schema_or_a_limit_refuses_is_the_handlers_fault_and_a_lock_is_not() {
    let shop = Shop::open().await;
    let store = shop.store().await;
    shop.execute(
        "create trigger refuses before delete on jasper_incoming for each row
         signal sqlstate '45000' set message_text = 'not today'",
    )
    .await;
    let own = completion(&store).await;
    let run = store.begin(TransactionOptions::of("refused")).await.unwrap();
    let error = run.commit(own).await.unwrap_err();
    assert!(
        matches!(&error, StoreError::CommitRefused { detail, .. } if detail.contains("not today"))
    );
    assert!(std::error::Error::source(&error).is_some(), "the driver's error is kept: {error:?}");
    shop.execute("drop trigger refuses").await;

    // It waits for a row that another holds: not its fault, and over soon.
    let own = completion(&store).await;
    let mut other = shop.connect().await;
    let lock = "start transaction; select * from jasper_incoming for update";
    sqlx::raw_sql(lock).execute(&mut other).await.unwrap();
    let commit = async |set: &'static str| {
        let mut run = store.begin(TransactionOptions::of("waits")).await.unwrap();
        sqlx::raw_sql(set).execute(connection(&mut run)).await.unwrap();
        run.commit(own.clone()).await.unwrap_err()
    };
    let error = commit("set session innodb_lock_wait_timeout = 0").await;
    assert!(error.is_transient() && !error.blames_handler(), "{error:?}");
    // A limit of the handler's own is met again with each attempt.
    let error = commit("set session max_statement_time = 0.1").await;
    assert!(error.blames_handler(), "{error:?}");
}

#[tokio::test]
async fn what_a_handler_sets_for_its_session_reaches_no_other_message() {
    let shop = Shop::open().await;
    let store = MysqlStore::builder().connections(1).connect(&shop.url).await.unwrap();
    for (set, read) in [
        ("set session sql_mode = ''", "@@sql_mode"),
        ("set session foreign_key_checks = 0", "@@foreign_key_checks"),
        ("set session time_zone = '+05:00'", "@@time_zone"),
        ("set session transaction isolation level serializable", "@@tx_isolation"),
        ("set session transaction read only", "@@tx_read_only"),
        ("set session innodb_lock_wait_timeout = 1", "@@innodb_lock_wait_timeout"),
        ("set session max_statement_time = 100", "@@max_statement_time"),
        ("set names latin1", "@@character_set_results"),
        ("use mysql", "database()"),
    ] {
        for commits in [true, false] {
            let read = format!("select cast({read} as char)");
            let mut run = store.begin(TransactionOptions::of("sets")).await.unwrap();
            let before = text(&mut run, &read).await;
            sqlx::raw_sql(set).execute(connection(&mut run)).await.unwrap();
            if commits {
                drop(run.commit(Completion::default()).await.unwrap())
            } else {
                run.rollback().await.unwrap()
            }
            let mut run = store.begin(TransactionOptions::of("reads")).await.unwrap();
            assert_eq!(text(&mut run, &read).await, before, "{set}");
            run.commit(Completion::default()).await.unwrap();
        }
    }
}

async fn text(run: &mut Box<dyn StoreTransaction>, select: &str) -> Option<String> {
    let select = AssertSqlSafe(select.to_owned());
    sqlx::query_scalar(select).fetch_one(connection(run)).await.unwrap()
}

#[tokio::test]
async fn a_connection_whose_session_is_as_it_was_is_used_again() {
    let shop = Shop::open().await;
    let store = MysqlStore::builder().connections(1).connect(&shop.url).await.unwrap();
    let mut sessions = Vec::new();
    for _run in 0..3 {
        let mut run = store.begin(TransactionOptions::of("same")).await.unwrap();
        sessions.push(text(&mut run, "select cast(connection_id() as char)").await);
        sqlx::query("insert into effects values (1)").execute(connection(&mut run)).await.unwrap();
        run.commit(Completion::default()).await.unwrap();
    }
    sessions.dedup();
    assert_eq!(sessions.len(), 1, "{sessions:?}");
}
