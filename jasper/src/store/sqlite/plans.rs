//! Every statement that looks for rows finds them through an index.

use sqlx::{AssertSqlSafe, Connection, Row, SqliteConnection};

use super::error::Place;
use super::sql::SQL;
use super::{inbox, migrate, settlement};

/// Any number of them may wait.
#[tokio::test]
async fn a_look_walks_over_no_types_before_the_next_one() {
    let mut connection = connect().await;
    let plan = plan(&mut connection, SQL.inbox.waiting).await;
    let is_next = |step: &&String| step.ends_with("(destination=? AND message_type>?)");
    assert_eq!(plan.iter().filter(is_next).count(), 2, "{plan:#?}");
    let is_known = |step: &&String| step.ends_with("(destination>?)");
    assert_eq!(plan.iter().filter(is_known).count(), 2, "{plan:#?}");
}

async fn connect() -> SqliteConnection {
    let mut connection = SqliteConnection::connect("sqlite::memory:")
        .await
        .expect("SQLite opens a database in memory");
    let place = Place::new("memory".as_ref());
    migrate::upgrade(&mut connection, &place).await.expect("the tables can be made");
    connection
}

async fn plan(connection: &mut SqliteConnection, sql: &str) -> Vec<String> {
    let explain = AssertSqlSafe(format!("explain query plan {sql}"));
    let plan = sqlx::query(explain)
        .fetch_all(connection)
        .await
        .unwrap_or_else(|error| panic!("{sql}: {error}"));
    plan.iter().map(|step| step.get("detail")).collect()
}

#[tokio::test]
async fn no_statement_scans_a_table() {
    let mut connection = connect().await;
    let claim = inbox::oldest_sql(2);
    let statements = SQL.list().into_iter().filter_map(|(_name, text)| match *text {
        text if text == SQL.inbox.oldest => Some(claim.clone()),
        text if text == SQL.inbox.taken => Some(inbox::taken_sql(2)),
        // It deletes all there is.
        text if text == SQL.admin.clear => None,
        text => Some(settlement::for_all(text, 2)),
    });
    for sql in statements {
        for step in plan(&mut connection, &sql).await {
            let scans = step.starts_with("SCAN jasper_") && !step.contains("INDEX");
            // One row for each process that ever ran; its leases need no index.
            assert!(!scans || step == "SCAN jasper_nodes", "{step}, in\n{sql}");
            assert!(
                !step.starts_with("USE TEMP B-TREE FOR ORDER BY") || sql == claim,
                "{step}, in\n{sql}"
            );
        }
    }
}
