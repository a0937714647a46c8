//! Nodes of the bank that are killed at random moments, on any database.

use std::process::ExitStatus;
use std::time::Duration;

use tempfile::TempDir;
use tests::Seed;
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::{Child, Command};
use tokio::time::timeout;

use crate::program::{APART, Bank};
use crate::recovery::Watch;

/// No step takes so long, unless something is stuck.
const LIMIT: Duration = Duration::from_secs(120);

/// More transfers than a node sends before it is killed.
const MANY: usize = 100_000;

/// Nodes that send transfers and handle what any of them has sent. Each that is killed is started
/// again.
pub struct Crashes {
    pub url: String,
    pub nodes: usize,
    /// How often there is a mishap.
    pub kills: usize,
    pub lease: Duration,
    /// How long it takes on average from one to the next.
    pub apart: Duration,
    /// By which part of that it may be more or less.
    pub jitter: f64,
    /// How many transfers each node sends in a second.
    pub rate: u32,
    pub mishap: Mishap,
    /// How many messages each node sends beside whose handler harms its own transaction.
    pub harms: usize,
}

/// What becomes of a node.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mishap {
    /// It is killed, and another one is started.
    Kill,
    /// It is frozen, and goes on only when others have done its work.
    Freeze,
}

impl Crashes {
    /// Kills nodes, waits until the others have done all the work, and looks at the books.
    pub async fn run(&self, mut seed: Seed) {
        println!("{seed}");
        let folder = TempDir::new().unwrap();
        let bank = Bank::new(&self.url, folder.path());
        bank.setup().await;
        let transfers = seed.number();
        let start = async |node, count| start(self.node(&bank, node, count, transfers)).await;
        let mut nodes = Vec::new();
        for node in 0..self.nodes {
            nodes.push(start(node, MANY).await);
        }
        let mut watch = Watch::start(&bank);
        for _ in 0..self.kills {
            let moment = self.apart.mul_f64(1.0 + self.jitter * (2.0 * seed.fraction() - 1.0));
            // Real time: the moment of the kill is what is random here.
            tokio::time::sleep(moment).await;
            let victim = (seed.number() % self.nodes as u64) as usize;
            if self.mishap == Mishap::Freeze {
                freeze(&nodes[victim], &mut watch).await;
                continue;
            }
            watch.ended(kill(&mut nodes[victim]).await).await;
            nodes[victim] = start(victim, MANY).await;
        }
        for (number, node) in nodes.iter_mut().enumerate() {
            watch.ended(kill(node).await).await;
            // Sends no more, and ends when all is handled.
            *node = start(number, 0).await;
        }
        for node in &mut nodes {
            assert!(ended(node).await.success(), "{seed}");
        }
        println!(
            "{} times {:?}, each of one of {} nodes: {}",
            self.kills,
            self.mishap,
            self.nodes,
            watch.end().await
        );
        match bank.check().await {
            Ok(books) => print!("{books}"),
            Err(books) => panic!("{seed}:\n{books}"),
        }
    }

    fn node(&self, bank: &Bank, node: usize, count: usize, transfers: u64) -> Command {
        let mut command = bank.send(node * APART, count);
        command.arg("--rate").arg(self.rate.to_string());
        command.arg("--seed").arg(transfers.to_string());
        // One that only ends what is left sends none again.
        let harms = if count > 0 { self.harms } else { 0 };
        command.arg("--harms").arg(harms.to_string());
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

/// Freezes a node until others have done its work.
async fn freeze(node: &Child, watch: &mut Watch) {
    let process = node.id().expect("it has more to send than it has time for");
    signal(process, "STOP").await;
    let owned = watch.ended(process).await;
    if owned > 0 {
        timeout(LIMIT, watch.recovered(process)).await.expect("others do its work");
    }
    signal(process, "CONT").await;
}

async fn signal(process: u32, signal: &str) {
    let status = Command::new("kill").args(["-s", signal, &process.to_string()]).status().await;
    assert!(status.unwrap().success());
}

/// Says which process that was.
async fn kill(node: &mut Child) -> u32 {
    let process = node.id().expect("it has more to send than it has time for");
    node.start_kill().unwrap();
    assert!(!ended(node).await.success());
    process
}

async fn ended(node: &mut Child) -> ExitStatus {
    timeout(LIMIT, node.wait()).await.expect("a node ends in time").unwrap()
}
