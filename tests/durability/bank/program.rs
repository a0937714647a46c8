//! The program of the bank, on one database.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Stdio;

use tests::program;
use tokio::process::Command;

/// The numbers of transfers that different nodes send lie so far apart.
pub const APART: usize = 10_000_000;

pub struct Bank {
    program: PathBuf,
    url: String,
    accepted: PathBuf,
}

impl Bank {
    /// What was accepted is written down in this folder.
    pub fn new(url: &str, folder: &Path) -> Self {
        let accepted = folder.join("accepted");
        Self { program: program("bank"), url: url.to_owned(), accepted }
    }

    pub fn command(&self, subcommand: &str) -> Command {
        let mut command = Command::new(&self.program);
        command.arg(subcommand).arg(&self.url).kill_on_drop(true);
        command.stdin(Stdio::null()).stdout(Stdio::piped());
        command
    }

    /// Sends transfers after this number, up to `count` more than were accepted before.
    pub fn send(&self, after: usize, count: usize) -> Command {
        let count = self.accepted(after) + count;
        let mut command = self.command("send");
        command.arg(count.to_string()).arg("--after").arg(after.to_string());
        command.arg("--accepted").arg(&self.accepted);
        command
    }

    pub async fn setup(&self) {
        assert!(self.command("setup").output().await.unwrap().status.success());
    }

    /// How many transfers after this number were accepted, of one node.
    fn accepted(&self, after: usize) -> usize {
        let ids = fs::read_to_string(&self.accepted).unwrap_or_default();
        let ids = ids.lines().map(|id| id.parse::<usize>().unwrap());
        ids.filter(|id| (after + 1..after + APART).contains(id)).count()
    }

    /// What it says of the books; `Err` where they are wrong.
    pub async fn check(&self) -> Result<String, String> {
        let mut check = self.command("check");
        let output = check.arg("--accepted").arg(&self.accepted).output().await.unwrap();
        let text = String::from_utf8(output.stdout).unwrap();
        if output.status.success() { Ok(text) } else { Err(text) }
    }
}
