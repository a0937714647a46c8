//! The quickstart as its user runs it: a process on a file, killed, stopped, and given bad files.

use std::collections::{BTreeMap, HashMap};
use std::path::{Path, PathBuf};
use std::process::{Output, Stdio};
use std::time::{Duration, Instant};

use sqlx::sqlite::SqliteConnectOptions;
use sqlx::{ConnectOptions, query_scalar};
use tempfile::TempDir;
use tests::{Seed, program};
use tokio::process::Command;

const KILLS: usize = 8;

struct Quickstart {
    program: PathBuf,
    folder: TempDir,
}

impl Quickstart {
    fn new() -> Self {
        Self { program: program("quickstart"), folder: TempDir::new().unwrap() }
    }

    fn file(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn command(&self, orders: Option<&Path>) -> Command {
        let mut command = Command::new(&self.program);
        command.args(orders).current_dir(self.folder.path()).kill_on_drop(true);
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        command
    }

    async fn run(&self, orders: Option<&Path>) -> Output {
        self.command(orders).output().await.unwrap()
    }

    /// The table that a run prints.
    async fn table(&self, orders: Option<&Path>) -> BTreeMap<String, u64> {
        let output = self.run(orders).await;
        let errors = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{errors}");
        let text = String::from_utf8(output.stdout).unwrap();
        let row = |line: &str| {
            let (what, count) = line.rsplit_once(' ').unwrap();
            (what.trim().to_owned(), count.parse().unwrap())
        };
        text.lines().map(row).collect()
    }

    async fn error(&self) -> String {
        let output = self.run(None).await;
        assert!(!output.status.success());
        String::from_utf8(output.stderr).unwrap()
    }
}

fn expected() -> BTreeMap<String, u64> {
    let rows = [
        ("received", 1_000),
        ("stored", 908),
        ("refused: not an order", 18),
        ("refused: ordered before", 30),
        ("refused: out of stock", 40),
        ("refused: no such article", 4),
        ("e-mails", 905),
        ("dead letters", 3),
    ];
    rows.into_iter().map(|(what, count)| (what.to_owned(), count)).collect()
}

#[tokio::test]
async fn every_order_of_the_file_is_accounted_for_and_a_second_run_changes_nothing() {
    let quickstart = Quickstart::new();
    assert_eq!(quickstart.table(None).await, expected());
    assert_eq!(quickstart.table(None).await, expected());
}

/// Good orders: a run of many is long enough to be killed in.
fn many_orders(quickstart: &Quickstart, count: usize) -> PathBuf {
    let line = |n| {
        format!(r#"{{"order_id":"B-{n}","sku":"mug","quantity":1,"email":"b{n}@example.com"}}"#)
    };
    let file = quickstart.file("orders.jsonl");
    std::fs::write(&file, (0..count).map(line).collect::<Vec<_>>().join("\n")).unwrap();
    file
}

#[tokio::test]
async fn killed_at_random_moments_it_loses_nothing_and_does_nothing_twice() {
    const ORDERS: usize = 4_000;
    // How long a whole run takes here, so that the kills are spread over one.
    let measured = Quickstart::new();
    let started = Instant::now();
    measured.table(Some(&many_orders(&measured, ORDERS))).await;
    let mut whole = started.elapsed();
    let mut seed = Seed::from_env();
    for _ in 0..5 {
        let quickstart = Quickstart::new();
        let orders = many_orders(&quickstart, ORDERS);
        if kill_all_over(&quickstart, &orders, whole, &mut seed).await {
            let table = quickstart.table(Some(&orders)).await;
            let count = ORDERS as u64;
            let counts = (table["stored"], table["e-mails"], table["dead letters"]);
            assert_eq!(counts, (count, count, 0), "{seed}");
            return each_order_once(&quickstart, ORDERS, &seed).await;
        }
        // The machine is faster now than when it was measured.
        whole /= 2;
    }
    panic!("it always ended before all kills; {seed}");
}

/// Kills the process again and again, at random moments that add up to about one whole run.
/// `false`: it ended before it was killed so often.
async fn kill_all_over(
    quickstart: &Quickstart,
    orders: &Path,
    whole: Duration,
    seed: &mut Seed,
) -> bool {
    for _ in 0..KILLS {
        let mut process = quickstart.command(Some(orders)).spawn().unwrap();
        let moment = whole.mul_f64(seed.fraction() * 2.0 / KILLS as f64);
        // Real time: the moment of the kill is what is random here.
        if tokio::time::timeout(moment, process.wait()).await.is_ok() {
            return false;
        }
        process.start_kill().unwrap();
        process.wait().await.unwrap();
    }
    true
}

async fn each_order_once(quickstart: &Quickstart, orders: usize, seed: &Seed) {
    let options = SqliteConnectOptions::new().filename(quickstart.file("quickstart.db"));
    let mut db = options.connect().await.unwrap();
    for table in ["orders", "emails"] {
        let count = format!("select count(distinct order_id) from {table}");
        let count: i64 = query_scalar(sqlx::AssertSqlSafe(count)).fetch_one(&mut db).await.unwrap();
        assert_eq!(count, orders as i64, "{table} differ from one another; {seed}");
    }
    let left: i64 = query_scalar("select count(*) from jasper_incoming where status <> 'handled'")
        .fetch_one(&mut db)
        .await
        .unwrap();
    assert_eq!(left, 0, "{seed}");
    let mail = std::fs::read_to_string(quickstart.file("quickstart.mail")).unwrap();
    let mut sent = HashMap::<&str, usize>::new();
    for order in mail.lines() {
        *sent.entry(order).or_default() += 1;
    }
    assert_eq!(sent.len(), orders, "an e-mail was never sent; {seed}");
    let repeated = sent.values().filter(|times| **times > 1).count();
    println!("{seed}: {KILLS} kills, {orders} orders, {repeated} e-mails sent more than once");
}

#[tokio::test]
async fn a_file_that_is_not_a_database_is_named_and_left_alone() {
    let quickstart = Quickstart::new();
    let text = "These are my notes, which no program may destroy. ".repeat(100);
    std::fs::write(quickstart.file("quickstart.db"), &text).unwrap();
    let error = quickstart.error().await;
    assert!(error.contains("`quickstart.db` is not a database"), "{error}");
    assert_eq!(std::fs::read_to_string(quickstart.file("quickstart.db")).unwrap(), text);
}

#[tokio::test]
async fn a_newer_schema_that_breaks_older_builds_is_refused_and_says_so() {
    let quickstart = Quickstart::new();
    quickstart.table(None).await;
    let options = SqliteConnectOptions::new().filename(quickstart.file("quickstart.db"));
    let mut db = options.connect().await.unwrap();
    let newer = "insert into jasper_migrations
        select 9999, description, installed_on, success, checksum, execution_time
        from jasper_migrations limit 1;
        update jasper_schema set usable_from = 9999";
    sqlx::raw_sql(newer).execute(&mut db).await.unwrap();
    let error = quickstart.error().await;
    assert!(error.contains("schema version 9999"), "{error}");
}

#[tokio::test]
async fn lines_that_are_no_orders_are_counted_and_stop_nothing() {
    let quickstart = Quickstart::new();
    let file = quickstart.file("bad.jsonl");
    let good = r#"{"order_id":"B-1","sku":"mug","quantity":1,"email":"b@example.com"}"#;
    std::fs::write(&file, format!("\n{{\n{good}\nnull\n\u{7f}\n")).unwrap();
    let table = quickstart.table(Some(&file)).await;
    assert_eq!((table["received"], table["refused: not an order"], table["stored"]), (5, 4, 1));
}

#[tokio::test]
async fn a_file_of_orders_that_is_not_there_is_an_error() {
    let quickstart = Quickstart::new();
    let missing = quickstart.file("missing.jsonl");
    let output = quickstart.run(Some(&missing)).await;
    assert!(!output.status.success());
    assert!(String::from_utf8(output.stderr).unwrap().contains("missing.jsonl"));
}
