//! Two branches of a bank in two processes with two databases and a bad network between them:
//! either is killed, connections are cut, and no transfer is lost or done twice.
//!
//! `JASPER_KILLS` and `JASPER_CUTS` say how many, `JASPER_SEED` repeats a run.

use std::collections::HashMap;
use std::fs;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::Stdio;
use std::time::{Duration, Instant};

use sqlx::{Connection, PgConnection, query_as, query_scalar};
use tempfile::TempDir;
use tests::Seed;
use tests::proxy::{Ending, Proxy};
use tests::servers::new_postgres_database;
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::{Child, Command};
use tokio::time::timeout;

/// No step takes so long, unless something is stuck.
const LIMIT: Duration = Duration::from_secs(120);

const RATE: u32 = 150;

/// Nothing that the network does to a connection but to cut it.
const SLICES: [usize; 3] = [0, 1, 7];

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Side {
    Payer,
    Payee,
}

/// Both branches, with a network that leads to each.
struct Branches {
    folder: TempDir,
    urls: [String; 2],
    ways: [Proxy; 2],
    nodes: [Option<Child>; 2],
}

impl Branches {
    async fn open() -> Self {
        let urls = [new_postgres_database("payer").await, new_postgres_database("payee").await];
        let nowhere: SocketAddr = ([127, 0, 0, 1], 1).into();
        let ways = [Proxy::start(nowhere).await, Proxy::start(nowhere).await];
        Self { folder: TempDir::new().unwrap(), urls, ways, nodes: [None, None] }
    }

    fn accepted(&self) -> PathBuf {
        self.folder.path().join("accepted")
    }

    /// Starts a branch, or one in place of another that was killed.
    async fn start(&mut self, side: Side, rate: u32) {
        let (own, other) = (side as usize, 1 - side as usize);
        let mut command = Command::new(env!("CARGO_BIN_EXE_branch"));
        command.arg(["payer", "payee"][own]).arg(&self.urls[own]);
        command.arg(format!("durable://{}", self.ways[other].addr()));
        if side == Side::Payer {
            command.arg(self.accepted()).arg(rate.to_string());
        }
        command.kill_on_drop(true).stdin(Stdio::null()).stdout(Stdio::piped());
        let mut child = command.spawn().unwrap();
        let mut lines = BufReader::new(child.stdout.as_mut().unwrap()).lines();
        let line = timeout(LIMIT, lines.next_line())
            .await
            .expect("it starts in time")
            .unwrap()
            .expect("it starts");
        let addr = line.strip_prefix("listening ").expect("it says where").parse().unwrap();
        self.ways[own].lead_to(addr);
        self.nodes[own] = Some(child);
    }

    async fn kill(&mut self, side: Side) {
        let mut child = self.nodes[side as usize].take().expect("it runs");
        child.start_kill().unwrap();
        timeout(LIMIT, child.wait()).await.expect("it ends in time").unwrap();
    }

    /// How many rows wait in inboxes and outboxes.
    async fn waiting(&self) -> i64 {
        const WAITING: &str = "select (select count(*) from jasper.jasper_incoming \
                               where status <> 'handled') \
                               + (select count(*) from jasper.jasper_outgoing)";
        let mut sum = 0;
        for url in &self.urls {
            let mut db = PgConnection::connect(url).await.unwrap();
            sum += query_scalar::<_, i64>(WAITING).fetch_one(&mut db).await.unwrap();
        }
        sum
    }

    /// Waits until all is done.
    async fn settle(&self) {
        let done = async {
            // Between the two databases there is no moment for both.
            let mut quiet = 0;
            while quiet < 3 {
                // Real time: other processes do the work.
                tokio::time::sleep(Duration::from_millis(100)).await;
                quiet = if self.waiting().await == 0 { quiet + 1 } else { 0 };
            }
        };
        timeout(LIMIT, done).await.expect("all is done in time");
    }

    /// Looks at the books; says how many transfers there were.
    async fn check(&self) -> Result<usize, String> {
        let (mut legs, mut sum) = (HashMap::<i64, [u32; 3]>::new(), 0);
        for url in &self.urls {
            let mut db = PgConnection::connect(url).await.unwrap();
            let effects: Vec<(i64, String)> =
                query_as("select id, leg from effects").fetch_all(&mut db).await.unwrap();
            for (id, leg) in effects {
                let leg = ["debit", "credit", "confirm"].iter().position(|name| *name == leg);
                legs.entry(id).or_default()[leg.unwrap()] += 1;
            }
            let balance = query_scalar::<_, i64>("select sum(balance)::bigint from accounts");
            sum += balance.fetch_one(&mut db).await.unwrap();
            let letters: i64 = query_scalar("select count(*) from jasper.jasper_dead_letters")
                .fetch_one(&mut db)
                .await
                .unwrap();
            if letters > 0 {
                return Err(format!("{letters} dead letters"));
            }
        }
        let accepted: Vec<i64> = fs::read_to_string(self.accepted())
            .unwrap()
            .lines()
            .map(|id| id.parse().unwrap())
            .collect();
        let lost = accepted.iter().filter(|id| !legs.contains_key(id)).count();
        let wrong: Vec<_> = legs.iter().filter(|(_, legs)| **legs != [1, 1, 1]).take(5).collect();
        match (lost, wrong.is_empty(), sum) {
            (0, true, 0) => Ok(accepted.len()),
            _ => Err(format!("{lost} lost, sum {sum}, and these are wrong: {wrong:?}")),
        }
    }
}

#[tokio::test]
async fn kills_of_either_side_and_cuts_in_between_lose_and_double_no_transfer() {
    let mut seed = Seed::from_env();
    println!("{seed}");
    let (kills, cuts) = (number("JASPER_KILLS", 20), number("JASPER_CUTS", 200));
    let started = Instant::now();
    let mut branches = Branches::open().await;
    branches.start(Side::Payee, RATE).await;
    branches.start(Side::Payer, RATE).await;
    // Each leads to the other once both have started.
    let mut left = [kills, cuts];
    while left != [0, 0] {
        // Real time: the moment is what is random here.
        tokio::time::sleep(Duration::from_millis(5 + seed.number() % 40)).await;
        let chosen = seed.number() % (left[0] + left[1]);
        if chosen < left[0] {
            let side = [Side::Payer, Side::Payee][(seed.number() % 2) as usize];
            branches.kill(side).await;
            branches.start(side, RATE).await;
            left[0] -= 1;
        } else {
            let way = &branches.ways[(seed.number() % 2) as usize];
            way.slice(SLICES[(seed.number() % 3) as usize]);
            way.delay(Duration::from_millis(seed.number() % 3));
            way.end_all(
                [Ending::Close, Ending::Reset, Ending::HalfClose][(seed.number() % 3) as usize],
            );
            left[1] -= 1;
        }
    }
    for way in &branches.ways {
        way.slice(0);
        way.delay(Duration::ZERO);
    }
    branches.kill(Side::Payer).await;
    branches.start(Side::Payer, 0).await;
    branches.settle().await;
    match branches.check().await {
        Ok(transfers) => println!(
            "{kills} kills, {cuts} cuts, {transfers} transfers accepted: 0 lost, 0 double, {:.1} s",
            started.elapsed().as_secs_f64()
        ),
        Err(books) => panic!("{seed}: {books}"),
    }
}

fn number(variable: &str, usual: u64) -> u64 {
    std::env::var(variable).map_or(usual, |number| number.parse().expect("a number"))
}
