//! Handlers that spoil the transaction which they share on SQLite: what each costs it, and that it
//! costs no other message anything.

use futures_util::future::join_all;
use jasper::prelude::*;
use jasper::store::{DeadLetter, DeadLetterQuery, MessageStore};
use serde::{Deserialize, Serialize};
use sqlx::{AssertSqlSafe, Connection, SqliteConnection, query, query_scalar, raw_sql};
use tests::{Fixture, Journal};

#[derive(Command, Serialize, Deserialize)]
struct Act {
    name: String,
    act: What,
}

#[derive(Command, Serialize, Deserialize)]
struct ActLater {
    name: String,
    act: What,
}

/// What a handler does with the connection.
#[derive(Serialize, Deserialize, Clone, PartialEq, Debug)]
enum What {
    /// A row, and no more.
    Write,
    /// A row, and this, of which errors are passed over.
    Sql(String),
    /// A row, and a commit hook that refuses.
    Hook,
    /// A transaction within this one that is never ended.
    ForgetTransaction,
    /// An error after this.
    Fail(String),
}

async fn act(name: &str, what: What, db: &mut SqliteConnection) -> Result<(), HandlerError> {
    query("insert into effects (note) values (?)").bind(name).execute(&mut *db).await?;
    match what {
        What::Write => {}
        What::Sql(sql) => drop(raw_sql(AssertSqlSafe(sql)).execute(db).await),
        What::Hook => db.lock_handle().await?.set_commit_hook(|| false),
        What::ForgetTransaction => {
            let mut nested = db.begin().await?;
            query("insert into parents values (null)").execute(&mut *nested).await?;
            std::mem::forget(nested);
        }
        What::Fail(sql) => {
            raw_sql(AssertSqlSafe(sql)).execute(db).await?;
            return Err(HandlerError::new("as told"));
        }
    }
    Ok(())
}

#[handler(attempts = 3, delays = ["1ms"], queue = "now")]
#[durable]
async fn on_act(
    cmd: Act,
    db: &mut SqliteConnection,
    runs: State<Journal>,
) -> Result<(), HandlerError> {
    runs.note(&cmd.name);
    act(&cmd.name, cmd.act, db).await
}

#[handler(attempts = 6, delays = ["20ms"], queue = "later")]
#[durable]
async fn on_act_later(
    cmd: ActLater,
    db: &mut SqliteConnection,
    runs: State<Journal>,
) -> Result<(), HandlerError> {
    runs.note(&cmd.name);
    act(&cmd.name, cmd.act, db).await
}

const TABLES: &str = "
    create table parents (id integer primary key);
    create table late_children (
        parent integer not null references parents (id) deferrable initially deferred
    );
    create table children (parent integer not null references parents (id));
    create table one (id integer primary key);
    insert into one values (1);";

/// How many innocent messages are sent beside a guilty one.
const INNOCENT: usize = 200;

struct Bench {
    fixture: Fixture,
    app: Jasper,
    store: SqliteStore,
}

impl Bench {
    async fn start() -> Self {
        let fixture = Fixture::create();
        let store = fixture.store().await;
        raw_sql(TABLES).execute(store.pool()).await.unwrap();
        let app = Jasper::builder()
            .store(store.clone())
            .state(fixture.journal.clone())
            .handler(on_act)
            .handler(on_act_later)
            .start()
            .await
            .unwrap();
        Self { fixture, app, store }
    }

    async fn send(&self, name: &str, act: What) {
        self.app.bus().send(Act { name: name.into(), act }).await.unwrap();
    }

    /// Sends the guilty among innocent messages, all at once, and waits until all are done. Each
    /// send has to succeed.
    async fn send_among_innocents(&self, guilty: &[What]) {
        let mut all = Vec::new();
        for number in 0..INNOCENT {
            if number % 50 == 20 {
                let guilty = guilty.iter().enumerate().skip(number / 50).take(1);
                all.extend(guilty.map(|(number, act)| (format!("guilty {number}"), act.clone())));
            }
            all.push((format!("innocent {number:03}"), What::Write));
        }
        let sends = all.into_iter().map(async |(name, act)| self.send(&name, act).await);
        join_all(sends).await;
        self.app.until_idle().await.unwrap();
    }

    async fn letters(&self) -> Vec<DeadLetter> {
        self.store.dead_letters().list(DeadLetterQuery::default()).await.unwrap()
    }

    async fn effects(&self) -> Vec<String> {
        let effects = query_scalar("select note from effects order by note");
        effects.fetch_all(self.store.pool()).await.unwrap()
    }

    /// How often a message ran.
    fn runs(&self, name: &str) -> usize {
        self.fixture.journal.notes().iter().filter(|note| *note == name).count()
    }

    /// Each innocent message took effect once, and nothing else did.
    async fn assert_only_innocents(&self) {
        let expected: Vec<_> = (0..INNOCENT).map(|n| format!("innocent {n:03}")).collect();
        assert_eq!(self.effects().await, expected);
    }
}

/// The guilty message is a dead letter after its attempts; all others are as if it had not been.
async fn is_counted(act: What) {
    let bench = Bench::start().await;
    bench.send_among_innocents(std::slice::from_ref(&act)).await;
    let letters = bench.letters().await;
    assert_eq!(letters.len(), 1, "{act:?}");
    assert_eq!(letters[0].attempts, 3, "{act:?}");
    assert_eq!(bench.runs("guilty 0"), 3, "{act:?}");
    let message = &letters[0].error_message;
    let blames = ["does not commit what the handler did", "ended its transaction itself"];
    assert!(blames.iter().any(|blame| message.contains(blame)), "{act:?}: {message}");
    bench.assert_only_innocents().await;
    bench.app.stop().await.unwrap();
}

fn sql(sql: &str) -> What {
    What::Sql(sql.into())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_deferred_violation_costs_its_handler_its_attempts_and_others_nothing() {
    is_counted(sql("insert into late_children values (99)")).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_violation_under_deferred_foreign_keys_is_the_handlers_own() {
    is_counted(sql("pragma defer_foreign_keys = on; insert into children values (99)")).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_transaction_that_a_handler_ends_costs_its_handler_its_attempts_and_others_nothing() {
    for ends in ["commit", "rollback", "rollback; begin", "insert or rollback into one values (1)"]
    {
        is_counted(sql(ends)).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_connection_left_read_only_costs_its_handler_its_attempts_and_others_nothing() {
    is_counted(sql("pragma query_only = on")).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_dropped_or_changed_table_of_jasper_is_restored_and_counted() {
    for table in ["jasper_incoming", "jasper_outgoing", "jasper_dead_letters", "jasper_nodes"] {
        is_counted(sql(&format!("drop table {table}"))).await;
    }
    is_counted(sql("alter table jasper_outgoing rename to mine")).await;
    is_counted(sql("alter table jasper_dead_letters add column mine text")).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_that_are_refused_at_once_become_dead_letters() {
    let bench = Bench::start().await;
    let violation = sql("insert into late_children values (99)");
    bench.send_among_innocents(&[violation.clone(), violation]).await;
    let letters = bench.letters().await;
    assert_eq!(letters.len(), 2);
    for (number, letter) in letters.iter().enumerate() {
        assert_eq!(letter.attempts, 3);
        assert!(letter.error_message.contains("does not commit"), "{}", letter.error_message);
        let runs = bench.runs(&format!("guilty {number}"));
        // One run more for each time that the other was found first.
        assert!((3..=6).contains(&runs), "{runs}");
    }
    bench.assert_only_innocents().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_refused_commit_that_comes_back_after_delays_costs_no_more_than_its_attempts() {
    let bench = Bench::start().await;
    let act = sql("insert into late_children values (99)");
    bench.app.bus().send(ActLater { name: "delayed".into(), act }).await.unwrap();
    let mut sent = 0;
    while bench.letters().await.is_empty() {
        let more = (0..10).map(async |n| bench.send(&format!("{sent} {n}"), What::Write).await);
        join_all(more).await;
        sent += 1;
    }
    bench.app.until_idle().await.unwrap();
    assert_eq!(bench.letters().await[0].attempts, 6);
    assert_eq!(bench.runs("delayed"), 6);
    assert_eq!(bench.effects().await.len(), 10 * sent);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_commit_hook_of_a_handler_ends_as_a_dead_letter_and_reaches_no_other() {
    let bench = Bench::start().await;
    bench.send_among_innocents(&[What::Hook]).await;
    let letters = bench.letters().await;
    assert_eq!(letters.len(), 1);
    assert_eq!(letters[0].attempts, 3);
    bench.assert_only_innocents().await;
}

/// What a handler leaves behind reaches neither its next run nor another handler.
async fn leaves_nothing(act: What, check: &str, expected: i64) {
    let bench = Bench::start().await;
    for number in 0..3 {
        bench.send(&format!("leaves {number}"), act.clone()).await;
        bench.send(&format!("writes {number}"), What::Write).await;
        bench.app.until_idle().await.unwrap();
    }
    let mut transaction =
        bench.store.begin(jasper::store::TransactionOptions::of("looks")).await.unwrap();
    let connection = transaction.connection().unwrap().downcast_mut::<SqliteConnection>().unwrap();
    let found: i64 = query_scalar(AssertSqlSafe(check)).fetch_one(&mut *connection).await.unwrap();
    assert_eq!(found, expected, "{act:?}");
    transaction.rollback().await.unwrap();
    let written = bench.effects().await.into_iter().filter(|note| note.starts_with("writes"));
    assert_eq!(written.count(), 3, "{act:?}");
    bench.app.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_handler_sets_on_the_connection_reaches_no_other_message() {
    let settings = [
        ("recursive_triggers", "on", 0),
        ("ignore_check_constraints", "on", 0),
        ("query_only", "on", 0),
        ("reverse_unordered_selects", "on", 0),
        ("foreign_keys", "off", 1),
        ("defer_foreign_keys", "on", 0),
        ("busy_timeout", "1", 5_000),
        ("writable_schema", "on", 0),
    ];
    for (name, value, expected) in settings {
        let set = format!("pragma {name} = {value}");
        let column = if name == "busy_timeout" { "timeout" } else { name };
        let check = format!("select {column} from pragma_{name}");
        leaves_nothing(What::Sql(set.clone()), &check, expected).await;
        leaves_nothing(What::Fail(set), &check, expected).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_attached_database_or_a_temporary_table_reaches_no_other_message() {
    let attached = "select count(*) from pragma_database_list where name = 'aside'";
    leaves_nothing(sql("attach ':memory:' as aside"), attached, 0).await;
    let temporary = "select count(*) from sqlite_temp_schema";
    leaves_nothing(sql("create temp table mine (x)"), temporary, 0).await;
    leaves_nothing(What::Fail("attach ':memory:' as aside".into()), attached, 0).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_handler_leaves_open_commits_with_it() {
    for act in [sql("savepoint mine"), What::ForgetTransaction, sql("detach main")] {
        let bench = Bench::start().await;
        bench.send_among_innocents(std::slice::from_ref(&act)).await;
        assert_eq!(bench.letters().await.len(), 0, "{act:?}");
        assert_eq!(bench.runs("guilty 0"), 1, "{act:?}");
        assert_eq!(bench.effects().await.len(), INNOCENT + 1, "{act:?}");
    }
}
