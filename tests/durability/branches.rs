//! Two branches of a bank in two processes with two databases and a bad network between them:
//! either is killed, connections are cut, and no transfer is lost or done twice.
//!
//! `JASPER_KILLS` and `JASPER_CUTS` say how many, `JASPER_SEED` repeats a run. By way of a broker,
//! `JASPER_RESTARTS` says how often that goes away.

#[path = "branches/books.rs"]
mod books;
#[path = "branches/broker.rs"]
mod broker;
#[path = "branches/network.rs"]
mod network;
#[path = "branches/process.rs"]
mod process;
#[path = "branches/servicebus.rs"]
mod servicebus;

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use tests::Seed;
use tests::proxy::Proxy;

use crate::books::Books;
use crate::network::{cut, leave_alone};
use crate::process::{Process, Side};

const RATE: u32 = 150;

/// Both branches, with a network that leads to each.
struct Branches {
    books: Books,
    ways: [Proxy; 2],
    nodes: [Option<Process>; 2],
}

impl Branches {
    async fn open() -> Self {
        let nowhere: SocketAddr = ([127, 0, 0, 1], 1).into();
        let ways = [Proxy::start(nowhere).await, Proxy::start(nowhere).await];
        Self { books: Books::open().await, ways, nodes: [None, None] }
    }

    /// Starts a branch, or one in place of another that was killed.
    async fn start(&mut self, side: Side, rate: u32) {
        let (own, other) = (side as usize, 1 - side as usize);
        let other = format!("durable://{}", self.ways[other].addr());
        let mut command = self.books.command(side, "durable://127.0.0.1:0", &other, rate);
        let (process, address) = Process::start(&mut command).await;
        self.ways[own].lead_to(address.parse().unwrap());
        self.nodes[own] = Some(process);
    }

    async fn kill(&mut self, side: Side) {
        self.nodes[side as usize].take().expect("it runs").kill().await;
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
            let side = Side::any(&mut seed);
            branches.kill(side).await;
            branches.start(side, RATE).await;
            left[0] -= 1;
        } else {
            cut(&branches.ways[(seed.number() % 2) as usize], &mut seed);
            left[1] -= 1;
        }
    }
    branches.ways.iter().for_each(leave_alone);
    branches.kill(Side::Payer).await;
    branches.start(Side::Payer, 0).await;
    branches.books.settle().await;
    match branches.books.check().await {
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
