//! Nodes of the bank that are killed at random moments, on any database.

use std::process::ExitStatus;
use std::time::Duration;

use tempfile::TempDir;
use tests::Seed;
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::{Child, Command};
use tokio::time::timeout;

use crate::program::Bank;
use crate::recovery::Watch;

/// No step takes so long, unless something is stuck.
const LIMIT: Duration = Duration::from_secs(120);

/// More transfers than a node mostly sends before it is killed.
const SENT_AT_ONCE: usize = 5_000;

/// One node sends transfers, and all of them handle what is sent. Each that is killed is started
/// again.
pub struct Crashes {
    pub url: String,
    pub nodes: usize,
    pub kills: usize,
    pub lease: Duration,
}

impl Crashes {
    /// Kills nodes, waits until the others have done all the work, and looks at the books.
    pub async fn run(&self, mut seed: Seed) {
        println!("{seed}");
        let folder = TempDir::new().unwrap();
        let bank = Bank::new(&self.url, folder.path());
        bank.setup().await;
        let transfers = seed.number();
        let start = async |node| start(self.node(&bank, node, transfers)).await;
        let mut nodes = Vec::new();
        for node in 0..self.nodes {
            nodes.push(start(node).await);
        }
        let mut watch = Watch::start(&bank);
        let mut kills = 0;
        while kills < self.kills {
            let moment = Duration::from_millis(20).mul_f64(1.0 + 9.0 * seed.fraction());
            // Real time: the moment of the kill is what is random here.
            tokio::time::sleep(moment).await;
            let victim = (seed.number() % self.nodes as u64) as usize;
            if let Some(process) = kill(&mut nodes[victim]).await {
                watch.killed(process).await;
                kills += 1;
            }
            nodes[victim] = start(victim).await;
        }
        assert!(ended(&mut nodes[0]).await.success(), "{seed}");
        for node in &mut nodes[1..] {
            terminate(node).await;
            assert!(ended(node).await.success(), "{seed}");
        }
        println!(
            "{} kills, each of one of {} nodes: {}",
            self.kills,
            self.nodes,
            watch.end().await
        );
        match bank.check().await {
            Ok(books) => print!("{books}"),
            Err(books) => panic!("{seed}:\n{books}"),
        }
    }

    fn node(&self, bank: &Bank, node: usize, transfers: u64) -> Command {
        let mut command = match node {
            0 => bank.send(bank.accepted() + SENT_AT_ONCE),
            _ => bank.command("serve"),
        };
        // Ignored by those that send nothing.
        command.arg("--seed").arg(transfers.to_string());
        command.arg("--lease").arg(self.lease.as_millis().to_string());
        command
    }
}

async fn start(mut command: Command) -> Child {
    let mut child = command.spawn().unwrap();
    let mut lines = BufReader::new(child.stdout.as_mut().unwrap()).lines();
    let line = timeout(LIMIT, lines.next_line()).await.expect("a node starts in time").unwrap();
    assert_eq!(line.as_deref(), Some("ready"));
    child
}

/// Says which process that was; `None` where it had done its work before.
async fn kill(node: &mut Child) -> Option<u32> {
    let process = node.id();
    node.start_kill().unwrap();
    let is_done = ended(node).await.success();
    process.filter(|_| !is_done)
}

async fn terminate(node: &Child) {
    let process = node.id().expect("it serves until it is told to end");
    let mut command = Command::new("sh");
    command.args(["-c", &format!("kill -TERM {process}")]);
    assert!(command.status().await.unwrap().success());
}

async fn ended(node: &mut Child) -> ExitStatus {
    timeout(LIMIT, node.wait()).await.expect("a node ends in time").unwrap()
}
