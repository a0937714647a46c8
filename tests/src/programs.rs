//! Programs of the tests that listen, each in a process of its own.

use std::process::Stdio;
use std::time::Duration;

use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::{Child, Command};
use tokio::time::timeout;

/// No program takes so long to start, unless something is stuck.
const LIMIT: Duration = Duration::from_secs(120);

/// Starts a program that prints `listening ADDRESS`; gives that address.
///
/// # Panics
/// It does not start, or prints something else.
pub async fn listening(command: &mut Command) -> (Child, String) {
    command.kill_on_drop(true).stdin(Stdio::null()).stdout(Stdio::piped());
    let mut child = command.spawn().expect("it is built");
    let mut lines = BufReader::new(child.stdout.as_mut().expect("it is piped")).lines();
    let line = timeout(LIMIT, lines.next_line()).await.expect("it starts in time");
    let line = line.expect("it prints text").expect("it starts");
    let address = line.strip_prefix("listening ").expect("it says where").to_owned();
    (child, address)
}
