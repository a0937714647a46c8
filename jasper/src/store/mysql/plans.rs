//! Every statement that looks for rows finds them through an index, on tables that are full.
//!
//! On the MariaDB server that `JASPER_TEST_MARIADB` names; `tests/run` starts one.

use sqlx::{AssertSqlSafe, Connection, MySqlConnection, Row};

use super::inbox::{claim_sql, page_sql, waiting_sql};
use super::nodes::asked_by;
use super::rows::SHARED_ROWS;
use super::settlement::schedule_sql;
use super::sql::keyed;
use super::store::MysqlStore;
use crate::envelope::Address;
use crate::store::{StoreAdmin, Subscription};

const DIGITS: &str = "(select 0 d union all select 1 union all select 2 union all select 3
    union all select 4 union all select 5 union all select 6 union all select 7 union all select 8
    union all select 9)";

/// Of a hundred thousand rows of the inbox, 40 % are unowned, 40 % belong to eight owners, and the
/// rest is evenly scheduled and handled.
const INCOMING: &str = "\
insert into jasper_incoming (id, destination, status, owner, attempts, due_at, message_type, body,
    sent_at, retained_until)
select unhex(lpad(hex(n), 32, '0')), concat('local://queue/', n % 7),
    case when n % 10 = 8 then 'scheduled' when n % 10 = 9 then 'handled' else 'incoming' end,
    case when n % 10 < 4 then 1 + n % 8 else 0 end, 1,
    case when n % 10 = 8 then n end, concat('type@', 1 + n % 3),
    case when n % 10 = 9 then null else 'body' end, n, case when n % 10 = 9 then n end
from (select a.d + 10 * b.d + 100 * c.d + 1000 * e.d + 10000 * f.d n
    from {digits} a, {digits} b, {digits} c, {digits} e, {digits} f) numbers";

const OUTGOING: &str = "\
insert into jasper_outgoing (id, destination, owner, attempts, message_type, body, sent_at)
select id, concat('tcp://', sent_at % 5), owner, attempts, message_type, 'body', sent_at
from jasper_incoming";

const DEAD_LETTERS: &str = "\
insert into jasper_dead_letters (id, destination, reason, message_type, error_type, error_message,
    attempts, body, dead_lettered_at, sent_at)
select id, destination, 'terminal', message_type, '', '', attempts, 'body', sent_at, sent_at
from jasper_incoming where sent_at % 5 = 0";

const ANALYZE: &str = "analyze table jasper_incoming, jasper_outgoing, jasper_dead_letters";

/// Statements that read a whole index, as they count.
const COUNTS: [&str; 1] = ["counts"];

/// Statements that read one entry of the index for each group.
const GROUPS: [&str; 6] =
    ["waiting", "waiting_here", "waiting_beyond", "destinations", "expired", "pulse"];

/// Statements of the store's own connections that read a page of groups, and not all of them.
const PAGES: [&str; 3] = ["waiting", "waiting_here", "waiting_beyond"];

#[tokio::test]
async fn no_statement_scans_a_table() {
    let server = std::env::var("JASPER_TEST_MARIADB")
        .expect("JASPER_TEST_MARIADB is not set: run `tests/run`");
    let name = format!("jasper_plans_{}", std::process::id());
    let mut admin = MySqlConnection::connect(&server).await.unwrap();
    execute(&mut admin, &format!("create database {name}")).await;
    let store = MysqlStore::connect(&format!("{server}{name}")).await.unwrap();
    store.prepare().await.unwrap();
    let mut connection = store.pool().acquire().await.unwrap().detach();
    for fill in [INCOMING, OUTGOING, DEAD_LETTERS, ANALYZE] {
        execute(&mut connection, &fill.replace("{digits}", DIGITS)).await;
    }
    let mut internal = store.internal_pool().pool.acquire().await.unwrap();
    let mut offences = Vec::new();
    for (name, text) in statements(&store, 3).into_iter().chain(statements(&store, SHARED_ROWS)) {
        let explain = AssertSqlSafe(format!("explain {}", with_values(&text)));
        let executor =
            if PAGES.contains(&name) { &mut internal.connection } else { &mut connection };
        // Each is asked for as it is executed.
        let plan = if text.contains('?') {
            sqlx::query(explain).fetch_all(executor).await
        } else {
            sqlx::raw_sql(explain).fetch_all(executor).await
        };
        let plan = plan.unwrap_or_else(|error| panic!("{text}: {error}"));
        let steps: Vec<PlanStep> = plan.iter().map(PlanStep::read).collect();
        let found = steps.iter().filter_map(|step| step.offence(name));
        offences.extend(found.map(|offence| format!("{name}: {offence}")));
        let is_grouped = steps.iter().any(|step| step.extra.contains("Using index for group-by"));
        if GROUPS.contains(&name) && !is_grouped {
            offences.push(format!("{name} reads all entries: {steps:?}"));
        }
        if PAGES.contains(&name) && steps.iter().any(|step| step.extra.contains("temporary")) {
            offences.push(format!("{name} reads more than a page: {steps:?}"));
        }
    }
    execute(&mut admin, &format!("drop database {name}")).await;
    assert!(offences.is_empty(), "{offences:#?}");
}

async fn execute(connection: &mut MySqlConnection, sql: &str) {
    let done = sqlx::raw_sql(AssertSqlSafe(sql.to_owned())).execute(connection).await;
    done.expect("the server does it");
}

/// All that look for rows, with lists of this many.
fn statements(store: &MysqlStore, length: usize) -> Vec<(&'static str, String)> {
    let all = store.sql().list().into_iter().map(|(name, text)| {
        let text = match name {
            "waiting" => waiting_sql(text, length),
            "waiting_here" | "waiting_beyond" => page_sql(text, &subscription(), length),
            "expired" | "pulse" => asked_by(text, 3),
            "claimable" | "taken" => claim_sql(text, length),
            "schedule" => schedule_sql(text, length),
            _ => keyed(text, length),
        };
        (name, text.as_str().to_owned())
    });
    all.filter(|(_name, text)| text.contains(" where ") || text.contains("\nwhere ")).collect()
}

fn subscription() -> Subscription {
    let destination = Address::local("queue", "1");
    Subscription { destination, message_type: "type@1".to_owned() }
}

/// With a value for each argument, by what stands before it; each id is another.
fn with_values(text: &str) -> String {
    let text = text.replace("(?, ?)", "(@id, 'local://queue/1')").replace("id = ?", "id = @id");
    let mut parts = text.split("@id");
    let first = parts.next().unwrap_or_default().to_owned();
    let ids = parts.zip(1..).map(|(part, number)| format!("x'{number:032x}'{part}"));
    ids.fold(first, |text, part| text + &part)
        .replace("destination = ?", "destination = 'local://queue/1'")
        .replace("waits_at = ?", "waits_at = 'local://queue/1'")
        .replace("waits_as = ?", "waits_as = 'type@1'")
        .replace("owner = ?", "owner = 3")
        .replace("? is null", "null is null")
        .replace('?', "1")
}

/// A line of a plan, as both servers write it.
#[derive(Debug)]
struct PlanStep {
    table: String,
    kind: String,
    key: Option<String>,
    extra: String,
}

impl PlanStep {
    fn read(row: &sqlx::mysql::MySqlRow) -> Self {
        let text = |column: &str| row.get::<Option<String>, _>(column);
        Self {
            table: text("table").unwrap_or_default(),
            kind: text("type").unwrap_or_default(),
            key: text("key"),
            extra: text("Extra").unwrap_or_default(),
        }
    }

    fn offence(&self, statement: &str) -> Option<String> {
        // One row for each process that ever ran; its leases need no index. `row` and `owners` are
        // no tables.
        let is_large = self.table.starts_with("jasper_") && self.table != "jasper_nodes";
        let scans = self.key.is_none() || self.kind == "ALL";
        let walks = self.kind == "index" && statement != "list" && !COUNTS.contains(&statement);
        // What is left of groups is little.
        let sorts = self.extra.contains("filesort") && !GROUPS.contains(&statement);
        (is_large && (scans || walks || sorts)).then(|| format!("{self:?}"))
    }
}
