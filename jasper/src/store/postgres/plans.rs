//! Every statement that looks for rows finds them through an index.

use sqlx::{AssertSqlSafe, Connection, Executor, PgConnection};

use super::builder::PLAN_FOR_LARGE_TABLES;
use super::store::PostgresStore;
use crate::store::MessageStore;

/// Some ten thousand rows in each state, and statistics.
const FILL: &str = "\
insert into {incoming} (id, destination, status, owner, attempts, due_at, message_type, body,
    sent_at, retention, retained_until)
select gen_random_uuid(), 'local://queue/handler' || n % 10, status, owner, 1,
    case when status = 'scheduled' then n end, 'type@1',
    case when status <> 'handled' then 'body'::bytea end, n,
    case when status = 'handled' then 1 end, case when status = 'handled' then n end
from generate_series(1, 10000) n,
    (values ('incoming', 0), ('incoming', 7), ('scheduled', 0), ('handled', 0)) s (status, owner);
insert into {outgoing} (id, destination, owner, attempts, message_type, body, sent_at)
select gen_random_uuid(), 'tcp://host:' || n % 10, owner, 1, 'type@1', 'body', n
from generate_series(1, 10000) n, (values (0), (7)) o (owner);
insert into {dead_letters} (id, destination, reason, message_type, error_type, error_message,
    attempts, body, dead_lettered_at, sent_at)
select gen_random_uuid(), 'local://queue/handler' || n % 10, 'exhausted', 'type@1', '', '', 1,
    'body', n, n
from generate_series(1, 10000) n;
analyze {incoming};
analyze {outgoing};
analyze {dead_letters}";

/// What reads a whole table, as it is asked to.
const WHOLE: [&str; 4] = ["counts", "clear_incoming", "clear_outgoing", "clear_dead_letters"];

const PLANS: &str = "the server plans every statement";

#[tokio::test]
async fn no_statement_scans_a_table() {
    let url = std::env::var("JASPER_TEST_POSTGRES")
        .expect("JASPER_TEST_POSTGRES names a server, as `tests/run` starts one");
    let schema = format!("plans_{}", std::process::id());
    let store = PostgresStore::builder().schema(&schema).connect(&url).await.unwrap();
    store.admin().prepare().await.unwrap();
    let mut connection = PgConnection::connect(&url).await.unwrap();
    let names = &store.internal_pool().names;
    connection.execute("set plan_cache_mode = force_generic_plan").await.unwrap();
    let sql = store.sql();
    let mut scans = Vec::new();
    // On connections whose settings are the users', also where there are no rows yet.
    for rows in ["select 1", FILL] {
        connection.execute(sqlx::raw_sql(names.statement(rows))).await.unwrap();
        for (name, text) in [sql.rows.list(), sql.completion.list()].concat() {
            scans.extend(scans_of(&mut connection, name, text.as_str()).await);
        }
    }
    connection.execute(PLAN_FOR_LARGE_TABLES).await.unwrap();
    for (name, text) in sql.list().into_iter().filter(|(name, _)| !WHOLE.contains(name)) {
        scans.extend(scans_of(&mut connection, name, text.as_str()).await);
    }
    let drop_schema = names.statement("drop schema {schema} cascade");
    connection.execute(sqlx::raw_sql(drop_schema)).await.unwrap();
    assert!(scans.is_empty(), "{scans:#?}");
}

/// The steps of a statement that read a whole table.
async fn scans_of(connection: &mut PgConnection, name: &str, text: &str) -> Vec<String> {
    // One row for each process that ever ran; its leases need no index.
    let scans =
        |step: &String| step.contains("Seq Scan on jasper_") && !step.contains("jasper_nodes");
    let plan = plan(connection, text).await.into_iter();
    plan.filter(scans).map(|step| format!("{name}: {step}")).collect()
}

/// How the database executes a statement without knowing its arguments.
async fn plan(connection: &mut PgConnection, text: &str) -> Vec<String> {
    let prepare = format!("prepare planned as {text}");
    connection.execute(sqlx::raw_sql(AssertSqlSafe(prepare))).await.expect(PLANS);
    let arguments = (1..).take_while(|n| text.contains(&format!("${n}"))).count();
    let arguments = match arguments {
        0 => String::new(),
        some => format!("({})", vec!["null"; some].join(", ")),
    };
    let explain = sqlx::query_scalar(AssertSqlSafe(format!("explain execute planned{arguments}")));
    let plan = explain.persistent(false).fetch_all(&mut *connection).await.expect(PLANS);
    connection.execute("deallocate planned").await.expect(PLANS);
    plan
}
