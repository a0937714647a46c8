//! Locks that run out, links that are dropped and a broker that goes away, under load: nothing is
//! lost, and nothing is handled twice.
//!
//! `JASPER_EXPIRED_LOCKS`, `JASPER_DROPPED_LINKS` and `JASPER_RESTARTS` say how many.

use std::time::Duration;

use jasper::Jasper;
use jasper::testing::servicebus::Broker;
use tests::{Journal, Seed};

use crate::bench::{ADDRESS, QUEUE, broker, note, problem_of, receiver, sender, settings, until};

/// How many messages are sent between two mishaps.
const EACH: usize = 20;

struct Load {
    broker: Broker,
    journal: Journal,
    sender: Jasper,
    receiver: Jasper,
    sent: usize,
    seed: Seed,
}

impl Load {
    async fn start() -> Self {
        let (broker, journal) =
            (broker(settings().max_delivery_count(100_000)).await, Journal::default());
        let sender = sender(&broker, ADDRESS).start().await.unwrap();
        let receiver = receiver(&broker, &journal).listen(ADDRESS).start().await.unwrap();
        let seed = Seed::from_env();
        println!("{seed}");
        Self { broker, journal, sender, receiver, sent: 0, seed }
    }

    /// Sends some, and returns at a moment of chance.
    async fn go_on(&mut self) {
        let notes = (self.sent..self.sent + EACH).map(|number| note(format!("{number:06}")));
        self.sent += self.sender.bus().send_all(notes.collect::<Vec<_>>()).await.unwrap();
        // Real time: the moment is what is random here.
        tokio::time::sleep(Duration::from_millis(self.seed.number() % 15)).await;
    }

    /// Each is handled, and none twice.
    async fn check(self) {
        let Self { broker, journal, sender, receiver, sent, seed } = self;
        sender.until_idle().await.unwrap();
        until(&broker, QUEUE, |counts| counts.active + counts.locked == 0).await;
        receiver.until_idle().await.unwrap();
        let expected: Vec<_> = (0..sent).map(|number| format!("{number:06}")).collect();
        let notes = journal.sorted();
        assert!(notes == expected, "{seed}: {} of {sent} notes", notes.len());
        let counts = broker.counts(QUEUE);
        println!("{sent} sent, {} deliveries, {counts:?}", counts.delivered);
        assert_eq!(counts.dead_lettered, 0);
        sender.stop().await.unwrap();
        receiver.stop().await.unwrap();
    }
}

fn number(variable: &str, usual: u64) -> u64 {
    std::env::var(variable).map_or(usual, |number| number.parse().expect("a number"))
}

#[tokio::test]
async fn locks_that_run_out_lose_and_double_nothing() {
    let mut load = Load::start().await;
    let wanted = number("JASPER_EXPIRED_LOCKS", 20);
    while load.broker.counts(QUEUE).expired_locks < wanted {
        load.go_on().await;
        load.broker.faults().expire_locks(QUEUE);
    }
    load.check().await;
}

#[tokio::test]
async fn links_that_are_dropped_lose_and_double_nothing() {
    let mut load = Load::start().await;
    for _ in 0..number("JASPER_DROPPED_LINKS", 20) {
        load.go_on().await;
        load.broker.faults().drop_links(QUEUE);
    }
    load.check().await;
}

#[tokio::test]
async fn settlements_whose_outcomes_are_lost_lose_and_double_nothing() {
    let mut load = Load::start().await;
    for _ in 0..10 {
        load.broker.faults().lose_outcomes_of_settlements(QUEUE, 1);
        load.broker.faults().lose_outcomes_of_sends(QUEUE, 1);
        load.go_on().await;
    }
    load.check().await;
}

#[tokio::test]
async fn restarts_of_the_broker_lose_and_double_nothing() {
    let mut load = Load::start().await;
    for _ in 0..number("JASPER_RESTARTS", 5) {
        load.go_on().await;
        load.broker.faults().refuse_connections();
        load.broker.restart();
        load.go_on().await;
        load.broker.faults().accept_connections();
    }
    load.check().await;
}

#[tokio::test]
async fn the_endpoints_of_an_application_say_while_its_namespace_is_away() {
    let (broker, journal) = (broker(settings()).await, Journal::default());
    let receiver = receiver(&broker, &journal).listen(ADDRESS).start().await.unwrap();
    let sender = sender(&broker, ADDRESS).start().await.unwrap();
    sender.bus().send(note("before")).await.unwrap();
    journal.wait_for("before").await;
    let problems = |app: &Jasper| {
        let states = app.endpoints();
        states.into_iter().filter_map(|state| state.problem).collect::<Vec<_>>()
    };
    assert!(problems(&receiver).is_empty() && problems(&sender).is_empty());
    broker.faults().refuse_connections();
    broker.faults().cut_connections();
    sender.bus().send(note("meanwhile")).await.unwrap();
    for app in [&receiver, &sender] {
        let problem = problem_of(app).await;
        assert!(!problem.contains("SharedAccessKey"), "{problem}");
    }
    broker.faults().accept_connections();
    journal.wait_for("meanwhile").await;
    sender.until_idle().await.unwrap();
    assert!(problems(&receiver).is_empty() && problems(&sender).is_empty());
    sender.stop().await.unwrap();
    receiver.stop().await.unwrap();
}
