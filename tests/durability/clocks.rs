//! Nodes on machines whose clocks are off by an hour: delays, retries and expiry are counted in the
//! time of the database.

use std::process::Stdio;
use std::time::{Duration, Instant};

use tests::servers::{new_mariadb_database, new_postgres_database};
use tokio::io::{AsyncBufReadExt, BufReader, Lines};
use tokio::process::{Child, ChildStdout, Command};
use tokio::time::timeout;

const STUCK: Duration = Duration::from_secs(60);

/// The delay of the message, and that of its handler's retry.
const DELAY: Duration = Duration::from_secs(1);

/// Starts a node whose clock differs so from the database's.
fn node(url: &str, difference: &str, task: Option<&str>) -> Child {
    let mut node = Command::new("faketime");
    node.args(["--exclude-monotonic", "-f", difference, env!("CARGO_BIN_EXE_clock-node"), url]);
    node.args(task)
        .stdout(Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .expect("faketime is installed")
}

async fn says(lines: &mut Lines<BufReader<ChildStdout>>, expected: &str) {
    let line = timeout(STUCK, lines.next_line())
        .await
        .unwrap_or_else(|_elapsed| panic!("it did not say `{expected}` in time"));
    assert_eq!(line.unwrap().as_deref(), Some(expected));
}

async fn waits_as_long_as_it_is_to(url: &str, difference: &str) {
    let mut node = node(url, difference, None);
    let mut lines = BufReader::new(node.stdout.take().unwrap()).lines();
    let began = Instant::now();
    says(&mut lines, "sent").await;
    says(&mut lines, "tried").await;
    assert!(began.elapsed() > DELAY, "{difference}: tried after {:?}", began.elapsed());
    let tried = Instant::now();
    says(&mut lines, "handled").await;
    // Some of it may have gone by before this process has read the line.
    let waited = tried.elapsed();
    assert!(waited > DELAY / 2, "{difference}: tried again after {waited:?}");
    assert!(timeout(STUCK, node.wait()).await.unwrap().unwrap().success());
}

#[tokio::test]
async fn a_node_that_is_an_hour_ahead_waits_no_longer_on_postgres() {
    waits_as_long_as_it_is_to(&new_postgres_database("clocks").await, "+1h").await;
}

#[tokio::test]
async fn a_node_that_is_an_hour_behind_waits_as_long_on_postgres() {
    waits_as_long_as_it_is_to(&new_postgres_database("clocks").await, "-1h").await;
}

#[tokio::test]
async fn a_node_that_is_an_hour_ahead_waits_no_longer_on_mariadb() {
    waits_as_long_as_it_is_to(&new_mariadb_database("clocks").await, "+1h").await;
}

#[tokio::test]
async fn a_node_that_is_an_hour_behind_waits_as_long_on_mariadb() {
    waits_as_long_as_it_is_to(&new_mariadb_database("clocks").await, "-1h").await;
}

/// Else it would be handled when the quiet node looks by itself, some fifteen seconds later.
async fn is_notified_to_a_quiet_node(difference: &str) {
    let url = new_postgres_database("clocks").await;
    let mut handler = node(&url, "+0", Some("handle"));
    let mut quiet = BufReader::new(handler.stdout.take().unwrap()).lines();
    says(&mut quiet, "ready").await;
    let mut sender = node(&url, difference, Some("send"));
    let mut lines = BufReader::new(sender.stdout.take().unwrap()).lines();
    says(&mut lines, "sent").await;
    let sent = Instant::now();
    says(&mut quiet, "tried").await;
    assert!(sent.elapsed() < DELAY * 8, "{difference}: tried after {:?}", sent.elapsed());
    says(&mut quiet, "handled").await;
    for mut node in [handler, sender] {
        assert!(timeout(STUCK, node.wait()).await.unwrap().unwrap().success());
    }
}

#[tokio::test]
async fn what_a_node_delays_that_is_an_hour_behind_is_notified_to_others_on_postgres() {
    is_notified_to_a_quiet_node("-1h").await;
}

#[tokio::test]
async fn what_a_node_delays_that_is_half_a_minute_behind_is_notified_to_others_on_postgres() {
    is_notified_to_a_quiet_node("-30s").await;
}
