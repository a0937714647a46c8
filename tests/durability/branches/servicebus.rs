//! The branches with Azure Service Bus between them, as the test broker has it: connections are
//! cut, locks run out, the broker goes away and comes back.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use jasper::testing::servicebus::{Broker, EntitySettings};
use tests::Seed;
use tests::proxy::Proxy;
use tokio::time::timeout;

use crate::RATE;
use crate::books::Books;
use crate::broker::{Mishap, mishaps};
use crate::network::{cut, leave_alone};
use crate::process::{Process, Side};

const QUEUES: [&str; 2] = ["payer", "payee"];

/// Both branches, a broker, and a network that leads each to it.
struct Branches {
    books: Books,
    broker: Broker,
    ways: [Proxy; 2],
    nodes: [Option<Process>; 2],
}

impl Branches {
    async fn open() -> Self {
        let broker = Broker::start().await.unwrap();
        let locks = EntitySettings::new().lock_duration(Duration::from_secs(2));
        for queue in QUEUES {
            // Each kill and each cut counts a delivery of what was under way.
            broker.create_queue(queue, locks.clone().max_delivery_count(100_000)).unwrap();
        }
        let ways = [Proxy::start(broker.address()).await, Proxy::start(broker.address()).await];
        Self { books: Books::open().await, broker, ways, nodes: [None, None] }
    }

    async fn start(&mut self, side: Side, rate: u32) {
        let [own, other] = match side {
            Side::Payer => QUEUES,
            Side::Payee => [QUEUES[1], QUEUES[0]],
        };
        let queue = |name: &str| format!("asb://queue/{name}");
        let mut command = self.books.command(side, &queue(own), &queue(other), rate);
        let way = self.by_way_of(self.ways[side as usize].addr());
        command.env("JASPER_BROKER_SERVICEBUS", way);
        self.nodes[side as usize] = Some(Process::start(&mut command).await.0);
    }

    fn by_way_of(&self, address: SocketAddr) -> String {
        let direct = self.broker.address().to_string();
        self.broker.connection_string().replace(&direct, &address.to_string())
    }

    async fn replace(&mut self, side: Side, rate: u32) {
        self.nodes[side as usize].take().expect("it runs").kill().await;
        self.start(side, rate).await;
    }

    /// The broker goes away for a while, in which a branch may be killed and start without it; what
    /// was locked comes again at once.
    async fn restart_broker(&mut self, seed: &mut Seed) {
        self.broker.faults().refuse_connections();
        self.broker.restart();
        if seed.number().is_multiple_of(2) {
            self.replace(Side::any(seed), RATE).await;
        }
        QUEUES.iter().for_each(|queue| self.broker.faults().expire_locks(queue));
        self.broker.faults().accept_connections();
    }

    /// Waits until nothing is on its way: not at the branches, and not at the broker.
    async fn settle(&self) {
        let is_empty = async {
            loop {
                self.books.settle().await;
                for queue in QUEUES {
                    let empty = self.broker.wait_until(queue, |it| it.active + it.locked == 0);
                    empty.await;
                }
                self.books.settle().await;
                let counts = QUEUES.map(|queue| self.broker.counts(queue));
                if counts.iter().all(|counts| counts.active + counts.locked == 0) {
                    return;
                }
            }
        };
        let settled = timeout(Duration::from_secs(120), is_empty).await;
        assert!(settled.is_ok(), "{:?}", QUEUES.map(|queue| self.broker.counts(queue)));
    }
}

#[tokio::test]
async fn kills_cuts_and_restarts_of_the_service_bus_lose_and_double_no_transfer() {
    let mut seed = Seed::from_env();
    println!("{seed}");
    let mut branches = Branches::open().await;
    branches.start(Side::Payee, RATE).await;
    branches.start(Side::Payer, RATE).await;
    let started = Instant::now();
    for mishap in mishaps(&mut seed) {
        // Real time: the moment is what is random here.
        tokio::time::sleep(Duration::from_millis(5 + seed.number() % 100)).await;
        match mishap {
            Mishap::Kill => branches.replace(Side::any(&mut seed), RATE).await,
            Mishap::Cut => cut(&branches.ways[(seed.number() % 2) as usize], &mut seed),
            Mishap::Restart => branches.restart_broker(&mut seed).await,
        }
    }
    branches.ways.iter().for_each(leave_alone);
    branches.replace(Side::Payer, 0).await;
    branches.settle().await;
    let counts = QUEUES.map(|queue| branches.broker.counts(queue));
    println!("{counts:?}");
    assert!(counts.iter().all(|counts| counts.dead_lettered == 0), "{counts:?}");
    match branches.books.check().await {
        Ok(transfers) => println!(
            "{transfers} transfers accepted: 0 lost, 0 double, {:.1} s",
            started.elapsed().as_secs_f64()
        ),
        Err(books) => panic!("{seed}: {books}"),
    }
}
