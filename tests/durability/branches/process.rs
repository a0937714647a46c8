//! The processes of the branches.

use std::process::Stdio;
use std::time::Duration;

use tests::Seed;
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::{Child, Command};
use tokio::time::timeout;

/// No step takes so long, unless something is stuck.
pub const LIMIT: Duration = Duration::from_secs(120);

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Side {
    Payer,
    Payee,
}

impl Side {
    pub fn any(seed: &mut Seed) -> Self {
        [Self::Payer, Self::Payee][(seed.number() % 2) as usize]
    }
}

/// A branch that runs.
pub struct Process(Child);

impl Process {
    /// Starts it; says where it listens, without the scheme.
    pub async fn start(command: &mut Command) -> (Self, String) {
        command.kill_on_drop(true).stdin(Stdio::null()).stdout(Stdio::piped());
        let mut child = command.spawn().unwrap();
        let mut lines = BufReader::new(child.stdout.as_mut().unwrap()).lines();
        let line = timeout(LIMIT, lines.next_line())
            .await
            .expect("it starts in time")
            .unwrap()
            .expect("it starts");
        let address = line.strip_prefix("listening ").expect("it says where").to_owned();
        (Self(child), address)
    }

    pub async fn kill(mut self) {
        self.0.start_kill().unwrap();
        timeout(LIMIT, self.0.wait()).await.expect("it ends in time").unwrap();
    }
}
