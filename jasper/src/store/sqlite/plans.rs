//! Every statement that looks for rows finds them through an index.

use sqlx::{AssertSqlSafe, Connection, Row, SqliteConnection};

use super::error::Place;
use super::{admin, dead_letters, inbox, migrate, nodes, outbox, settlement};

#[tokio::test]
async fn no_statement_scans_a_table() {
    let mut connection = SqliteConnection::connect("sqlite::memory:").await.unwrap();
    let place = Place::new("memory".as_ref());
    migrate::upgrade(&mut connection, &place).await.unwrap();
    let (claim, taken) = (inbox::claim_sql(2), inbox::taken_sql(2));
    let statements = [inbox::STATEMENTS, outbox::STATEMENTS, settlement::STATEMENTS]
        .concat()
        .into_iter()
        .chain([
            claim.as_str(),
            &taken,
            dead_letters::LIST,
            nodes::EXPIRED,
            admin::COUNTS,
            admin::PURGE,
        ]);
    for sql in statements {
        let explain = AssertSqlSafe(format!("explain query plan {sql}"));
        let plan = sqlx::query(explain).fetch_all(&mut connection).await;
        for step in plan.unwrap_or_else(|error| panic!("{sql}: {error}")) {
            let step: String = step.get("detail");
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
