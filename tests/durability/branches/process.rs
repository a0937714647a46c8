//! The processes of the branches.

use std::time::Duration;

use tests::Seed;
use tests::programs::listening;
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
        let (child, address) = listening(command).await;
        (Self(child), address)
    }

    pub async fn kill(mut self) {
        self.0.start_kill().unwrap();
        timeout(LIMIT, self.0.wait()).await.expect("it ends in time").unwrap();
    }
}
