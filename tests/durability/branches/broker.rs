//! The branches with a RabbitMQ broker between them, which goes away and comes back.

use std::time::{Duration, Instant, SystemTime};

use tests::Seed;
use tests::proxy::Proxy;
use tests::servers::Server;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::books::Books;
use crate::network::{cut, leave_alone};
use crate::process::{Process, Side};
use crate::{RATE, number};

/// How soon messages flow again after the broker has come back; asked for are two seconds, on a
/// machine that has nothing else to do.
const SOON: Duration = Duration::from_secs(5);

/// Both branches, a broker, and a network that leads each to it.
struct Branches {
    books: Books,
    broker: Server,
    ways: [Proxy; 2],
    nodes: [Option<Process>; 2],
}

impl Branches {
    async fn open() -> Self {
        let broker = Server::rabbitmq().await;
        let ways = [Proxy::in_front_of(broker.url()).await, Proxy::in_front_of(broker.url()).await];
        Self { books: Books::open().await, broker, ways, nodes: [None, None] }
    }

    async fn start(&mut self, side: Side, rate: u32) {
        let [own, other] = match side {
            Side::Payer => ["payer", "payee"],
            Side::Payee => ["payee", "payer"],
        };
        let queue = |name: &str| format!("rabbitmq://queue/{name}");
        let mut command = self.books.command(side, &queue(own), &queue(other), rate);
        let way = &self.ways[side as usize];
        command.env("JASPER_BROKER_RABBITMQ", way.url(self.broker.url()));
        self.nodes[side as usize] = Some(Process::start(&mut command).await.0);
    }

    async fn kill(&mut self, side: Side) {
        self.nodes[side as usize].take().expect("it runs").kill().await;
    }

    async fn replace(&mut self, side: Side, rate: u32) {
        self.kill(side).await;
        self.start(side, rate).await;
    }

    /// Stops the broker and starts it again; perhaps a branch is killed and starts without it. Says
    /// how long it took from then until messages had gone both ways.
    async fn restart_broker(&mut self, seed: &mut Seed) -> Duration {
        // A network that takes its time would be measured with it.
        self.ways.iter().for_each(leave_alone);
        self.broker.stop().await;
        if seed.number().is_multiple_of(2) {
            self.replace(Side::any(seed), RATE).await;
        }
        let (returned, ()) = tokio::join!(answers(self.broker.port()), self.broker.start_again());
        let there = self.books.first_after("credit", returned).await;
        let back = self.books.first_after("confirm", returned).await;
        let [there, back] = [there, back].map(|time| time.duration_since(returned).unwrap());
        let at = returned.duration_since(SystemTime::UNIX_EPOCH).unwrap();
        println!(
            "back at {:.3}: messages flow there after {there:.3?} and back after {back:.3?}",
            at.as_secs_f64()
        );
        there.max(back)
    }

    /// Waits until nothing is on its way: not at the branches, and not at the broker.
    async fn settle(&self) {
        let began = Instant::now();
        let mut quiet = 0;
        while quiet < 2 {
            self.books.settle().await;
            let queues = self
                .broker
                .control(&["list_queues", "--no-table-headers", "name", "messages"])
                .await;
            let is_empty = queues.lines().all(|queue| queue.ends_with("\t0"));
            quiet = if is_empty { quiet + 1 } else { 0 };
            assert!(began.elapsed() < Duration::from_secs(120), "{queues}");
        }
    }
}

/// When a broker answers on this port.
async fn answers(port: u16) -> SystemTime {
    loop {
        if let Ok(mut broker) = TcpStream::connect(("127.0.0.1", port)).await
            && broker.write_all(b"AMQP\0\0\x09\x01").await.is_ok()
            && broker.read_u8().await.is_ok()
        {
            return SystemTime::now();
        }
        // Real time: a port that is closed gives no word.
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

#[derive(Debug, Clone, Copy)]
pub(crate) enum Mishap {
    Kill,
    Cut,
    Restart,
}

/// All of them, in an order of chance.
pub(crate) fn mishaps(seed: &mut Seed) -> Vec<Mishap> {
    let numbers = [
        (Mishap::Kill, number("JASPER_KILLS", 6)),
        (Mishap::Cut, number("JASPER_CUTS", 60)),
        (Mishap::Restart, number("JASPER_RESTARTS", 1)),
    ];
    println!("{numbers:?}");
    let all = numbers.iter().flat_map(|(mishap, number)| (0..*number).map(|_| *mishap));
    let mut all: Vec<_> = all.map(|mishap| (seed.number(), mishap)).collect();
    all.sort_by_key(|(chance, _)| *chance);
    all.into_iter().map(|(_, mishap)| mishap).collect()
}

#[tokio::test]
async fn restarts_of_the_broker_cuts_and_kills_lose_and_double_no_transfer() {
    let mut seed = Seed::from_env();
    println!("{seed}");
    let mut branches = Branches::open().await;
    branches.start(Side::Payee, RATE).await;
    branches.start(Side::Payer, RATE).await;
    let (started, mut waits) = (Instant::now(), Vec::new());
    for mishap in mishaps(&mut seed) {
        // Real time: the moment is what is random here.
        tokio::time::sleep(Duration::from_millis(5 + seed.number() % 100)).await;
        match mishap {
            Mishap::Kill => branches.replace(Side::any(&mut seed), RATE).await,
            Mishap::Cut => cut(&branches.ways[(seed.number() % 2) as usize], &mut seed),
            Mishap::Restart => waits.push(branches.restart_broker(&mut seed).await),
        }
    }
    branches.ways.iter().for_each(leave_alone);
    branches.replace(Side::Payer, 0).await;
    branches.settle().await;
    match branches.books.check().await {
        Ok(transfers) => println!(
            "{transfers} transfers accepted: 0 lost, 0 double, {:.1} s",
            started.elapsed().as_secs_f64()
        ),
        Err(books) => panic!("{seed}: {books}"),
    }
    waits.sort();
    if let Some(longest) = waits.last() {
        let at = |percent: usize| waits[(waits.len() - 1) * percent / 100];
        let (p50, p99) = (at(50), at(99));
        println!("messages flow again after p50 {p50:.3?}, p99 {p99:.3?}, at most {longest:.3?}");
        assert!(*longest < SOON, "{waits:?}");
    }
}
