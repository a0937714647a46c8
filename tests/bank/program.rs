//! The program of the bank, on one database.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Stdio;

use tests::example;
use tokio::process::Command;

pub struct Bank {
    program: PathBuf,
    url: String,
    accepted: PathBuf,
}

impl Bank {
    /// What was accepted is written down in this folder.
    pub fn new(url: &str, folder: &Path) -> Self {
        let accepted = folder.join("accepted");
        Self { program: example("bank"), url: url.to_owned(), accepted }
    }

    pub fn command(&self, subcommand: &str) -> Command {
        let mut command = Command::new(&self.program);
        command.arg(subcommand).arg(&self.url).kill_on_drop(true);
        command.stdin(Stdio::null()).stdout(Stdio::piped());
        command
    }

    /// Sends transfers up to this one that were not accepted before.
    pub fn send(&self, count: usize) -> Command {
        let mut command = self.command("send");
        command.arg(count.to_string()).arg("--accepted").arg(&self.accepted);
        command
    }

    pub async fn setup(&self) {
        assert!(self.command("setup").output().await.unwrap().status.success());
    }

    /// How many transfers were accepted.
    pub fn accepted(&self) -> usize {
        fs::read_to_string(&self.accepted).map_or(0, |ids| ids.lines().count())
    }

    /// What it says of the books; `Err` where they are wrong.
    pub async fn check(&self) -> Result<String, String> {
        let mut check = self.command("check");
        let output = check.arg("--accepted").arg(&self.accepted).output().await.unwrap();
        let text = String::from_utf8(output.stdout).unwrap();
        if output.status.success() { Ok(text) } else { Err(text) }
    }
}
