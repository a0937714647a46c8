//! Connections to a SQL Server that fail, against a small server that speaks its protocol.

#[path = "sqlserver_faults/server.rs"]
mod server;

use jasper::store::StoreError;
use jasper::store::sqlserver::SqlServerStore;

use server::{Plan, start};

/// Without TLS, as the server has none.
const PLAIN: &str = "Encrypt=DANGER_PLAINTEXT";

/// What becomes of a store that is opened there.
async fn refusal(plan: Plan, options: &str) -> StoreError {
    let port = start(plan).await;
    let address = format!(
        "Server=tcp:127.0.0.1,{port};Database=shop;User Id=app;Password=hidden-one;{options}"
    );
    let refused = SqlServerStore::connect(&address).await.unwrap_err();
    let shown = format!("{refused} {refused:?}");
    assert!(shown.contains(&format!("127.0.0.1:{port}")), "{shown}");
    assert!(!shown.contains("hidden-one"), "{shown}");
    refused
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
