//! Connections to a SQL Server that fail, against a small server that speaks its protocol.

#[path = "sqlserver_faults/server.rs"]
mod server;

use std::sync::Arc;
use std::time::Duration;

use jasper::store::sqlserver::{SqlServerStore, tiberius};
use jasper::store::{MessageStore, StoreError};

use server::{Plan, Seen, start};
use tokio::sync::mpsc::UnboundedReceiver;

type DriverError = tiberius::error::Error;

/// Without TLS, as the server has none.
const PLAIN: &str = "Encrypt=DANGER_PLAINTEXT";

/// What becomes of a store that is opened there.
async fn refusal(plan: Plan, options: &str) -> StoreError {
    let (port, _seen) = start(plan).await;
    let refused = SqlServerStore::connect(&address(port, options)).await.unwrap_err();
    let shown = format!("{refused} {refused:?}");
    assert!(shown.contains(&format!("127.0.0.1:{port}")), "{shown}");
    assert!(!shown.contains("hidden-one"), "{shown}");
    refused
}

fn address(port: u16, options: &str) -> String {
    format!("Server=tcp:127.0.0.1,{port};Database=shop;User Id=app;Password=hidden-one;{options}")
}

#[tokio::test]
async fn a_login_that_is_refused_says_what_the_server_said() {
    let refused = refusal(Plan::RefuseLogin(18456), PLAIN).await;
    assert!(
        matches!(&refused, StoreError::Unreachable { detail, .. } if detail.contains("'app'")),
        "{refused:?}"
    );
    assert!(refused.is_transient());
}

#[tokio::test]
async fn a_server_that_is_full_is_busy() {
    let refused = refusal(Plan::RefuseLogin(10928), PLAIN).await;
    assert!(matches!(refused, StoreError::Busy { .. }), "{refused:?}");
}

#[tokio::test]
async fn a_server_without_tls_is_refused_unless_it_is_told_otherwise() {
    let refused = refusal(Plan::NoTls, "").await;
    assert!(matches!(refused, StoreError::Unreachable { .. }), "{refused:?}");
}

#[tokio::test]
async fn an_answer_that_is_cut_is_an_error_of_the_connection() {
    let refused = refusal(Plan::CutReply, PLAIN).await;
    assert!(matches!(refused, StoreError::Unreachable { .. }), "{refused:?}");
}

#[tokio::test]
async fn a_server_that_says_nothing_is_given_up() {
    let refused = refusal(Plan::Silence, PLAIN).await;
    assert!(
        matches!(&refused, StoreError::Unreachable { detail, .. } if detail.contains("no answer")),
        "{refused:?}"
    );
}

#[tokio::test]
async fn a_schema_that_needs_care_is_refused_before_any_connection() {
    let refused = SqlServerStore::builder().schema("a]b").connect("Server=tcp:127.0.0.1,1").await;
    assert!(matches!(refused, Err(StoreError::BadName { name }) if name == "a]b"));
}

/// The first things that clients do.
async fn first(number: usize, seen: &mut UnboundedReceiver<Seen>) -> Vec<Seen> {
    let mut first = Vec::new();
    while first.len() < number {
        first.push(seen.recv().await.unwrap());
    }
    first
}

fn assert_given_up(error: &StoreError) {
    let StoreError::Deadline { limit } = error else { panic!("{error:?}") };
    assert!(*limit < Duration::from_secs(10), "{limit:?}");
    assert!(error.is_transient());
}

#[tokio::test]
async fn calls_that_are_not_answered_end_and_their_connections_and_sessions_with_them() {
    let (port, mut seen) = start(Plan::SilentCalls).await;
    let store = SqlServerStore::connect(&address(port, PLAIN)).await.unwrap();
    let nodes = store.nodes();
    let (one, other) = tokio::join!(nodes.alive(), nodes.now());
    assert_given_up(&one.unwrap_err());
    assert_given_up(&other.unwrap_err());
    let seen = first(6, &mut seen).await;
    assert_eq!(seen[..2], [Seen::Call, Seen::Call], "none waits for the other");
    let times = |what| seen.iter().filter(|seen| **seen == what).count();
    assert_eq!((times(Seen::Close), times(Seen::SearchForSession)), (2, 2), "{seen:?}");
}

#[tokio::test]
async fn what_is_asked_after_a_call_that_was_not_answered_is_asked_over_another_connection() {
    let (port, mut seen) = start(Plan::SilentCalls).await;
    let store = SqlServerStore::connect(&address(port, PLAIN)).await.unwrap();
    for _ in 0..2 {
        assert_given_up(&store.nodes().now().await.unwrap_err());
    }
    // The server takes one call of a connection.
    let seen = first(5, &mut seen).await;
    assert_eq!(seen.iter().filter(|seen| **seen == Seen::Call).count(), 2, "{seen:?}");
}

/// What a statement of a handler fails with.
async fn error_of(number: u32) -> (DriverError, SqlServerStore) {
    let (port, _seen) = start(Plan::FailCalls(number)).await;
    let store = SqlServerStore::connect(&address(port, PLAIN)).await.unwrap();
    let mut connection = store.pool().acquire().await.unwrap();
    let refused = match connection.simple_query("update orders set shipped = 1").await {
        Ok(answer) => answer.into_results().await.unwrap_err(),
        Err(refused) => refused,
    };
    assert_eq!(refused.code(), Some(number));
    (refused, store)
}

/// A run that meets another transaction is repeated at no cost; a test cannot make a server say
/// all of these at will.
#[tokio::test]
async fn deadlocks_changed_snapshots_and_locks_are_conflicts_and_no_other_errors_are() {
    for number in [1205, 3960, 3961, 41302, 1222, 1204] {
        let (error, store) = error_of(number).await;
        let is_conflict = store.info().is_conflict;
        assert!(is_conflict(&error), "{number}");
        assert!(is_conflict(&Arc::new(error.clone())), "{number}, shared");
        assert!(is_conflict(&Box::new(error)), "{number}, boxed");
    }
    for number in [2627, 2601, 547, 208, 229, 9002, 50_000] {
        let (error, store) = error_of(number).await;
        assert!(!(store.info().is_conflict)(&error), "{number}");
    }
}

#[tokio::test]
async fn a_right_that_the_login_lacks_is_forbidden_in_words() {
    // Of an object, of a database, and where an object cannot be seen for want of rights.
    for number in [229, 262, 1088, 2760, 3701, 15247] {
        let (port, _seen) = start(Plan::FailCalls(number)).await;
        let store = SqlServerStore::connect(&address(port, PLAIN)).await.unwrap();
        let admin = store.admin();
        for (done, what) in [
            (admin.prepare().await, "make or upgrade the tables"),
            (admin.check().await, "look at the tables"),
            (admin.rebuild().await, "drop the tables and make them anew"),
            (admin.clear().await, "delete all messages"),
        ] {
            let error = done.unwrap_err();
            assert!(matches!(error, StoreError::Forbidden { .. }), "{number}: {error:?}");
            let said = error.to_string();
            assert!(said.contains(&format!("may not {what} in `127.0.0.1:{port}/shop`")), "{said}");
            assert!(said.contains("give it the right"), "{said}");
        }
    }
}
