//! Sessions over several applications of one process.

use std::time::Duration;

use jasper::prelude::*;
use jasper::store::memory::MemoryStore;
use jasper::testing::MessageEvent::{
    DeadLettered, Delivered, ExecutionFinished, ExecutionStarted, NoHandler, Received, Sent,
};
use jasper::testing::TrackFailure;
use jasper::{Builder, InvokeError};
use serde::{Deserialize, Serialize};
use tests::Journal;

use super::events;

#[derive(Command, Serialize, Deserialize)]
#[command(to = "ponger", reply = u32)]
struct Ping {
    number: u32,
}

#[derive(Command, Serialize, Deserialize)]
#[command(to = "pinger")]
struct Pong {
    number: u32,
}

#[handler]
async fn ping(cmd: Ping) -> Result<(Reply<u32>, Pong), HandlerError> {
    match cmd.number {
        0 => Err(HandlerError::terminal("0 is no ping")),
        number => Ok((Reply(number + 1), Pong { number })),
    }
}

#[handler]
async fn pong(cmd: Pong, journal: State<Journal>) {
    tokio::task::yield_now().await;
    journal.note(cmd.number.to_string());
}

/// What only its sender knows.
#[derive(Command, Serialize, Deserialize)]
#[command(to = "ponger")]
struct Unknown;

struct Pair {
    pinger: Jasper,
    ponger: Jasper,
    journal: Journal,
}

/// Two applications, each of which sends to the other.
async fn pair(scheme: &str, query: &str, setup: fn(Builder) -> Builder) -> Pair {
    let journal = Journal::default();
    // Each needs the other's address, so one is begun twice.
    let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let (here, listen) =
        (format!("{scheme}://127.0.0.1:{port}"), format!("{scheme}://127.0.0.1:0"));
    let ponger = setup(Jasper::builder().service("ponger").handler(ping));
    let ponger = ponger.listen(format!("{listen}{query}"));
    let ponger = ponger.endpoint("pinger", format!("{here}{query}"));
    let ponger = ponger.endpoint("ponger", "local://ping").start().await.unwrap();
    let there = &ponger.addresses()[0];
    let pinger = setup(Jasper::builder().service("pinger").handler(pong));
    let pinger = pinger.state(journal.clone()).endpoint("ponger", format!("{there}{query}"));
    let pinger = pinger.listen(format!("{here}{query}")).endpoint("pinger", "local://pong");
    Pair { pinger: pinger.start().await.unwrap(), ponger, journal }
}

impl Pair {
    async fn stop(self) {
        self.pinger.stop().await.unwrap();
        self.ponger.stop().await.unwrap();
    }
}

fn with_store(builder: Builder) -> Builder {
    builder.store(MemoryStore::new())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_another_application_does_with_a_message_belongs_to_the_session() {
    let pairs = [
        pair("durable", "", with_store).await,
        pair("tcp", "", |builder| builder).await,
        pair("tcp", "?mode=inline", |builder| builder).await,
        pair("tcp", "", with_store).await,
    ];
    for pair in pairs {
        for number in 1..20 {
            let session = pair.pinger.track().also(&pair.ponger).send(Ping { number });
            let tracked = session.await.unwrap();
            assert_eq!(pair.journal.take(), [number.to_string()], "{tracked}");
            tracked.assert_no_failures();
            assert_eq!(tracked.assert_received::<Ping>(1)[0].number, number);
            tracked.assert_handled::<Pong>(1);
            let mut of_ping = events::<Ping>(&tracked);
            of_ping.sort_by_key(|event| format!("{event:?}"));
            let all = [Delivered, ExecutionFinished, ExecutionStarted, Received, Sent];
            assert_eq!(of_ping, all, "{tracked}");
        }
        pair.stop().await;
    }
}

#[tokio::test]
async fn a_message_to_an_application_that_is_not_tracked_ends_with_its_delivery() {
    let pair = pair("durable", "", with_store).await;
    let tracked = pair.pinger.track().send(Ping { number: 1 }).await.unwrap();
    assert_eq!(events::<Ping>(&tracked), [Sent, Delivered]);
    pair.journal.wait_for("1").await;
    pair.stop().await;
}

#[tokio::test]
async fn a_request_to_another_application_is_tracked_there() {
    let pair = pair("tcp", "", |builder| builder).await;
    let session = pair.pinger.track().also(&pair.ponger).invoke(Ping { number: 4 });
    let (reply, tracked) = session.await.unwrap();
    assert_eq!(reply, 5);
    tracked.assert_handled::<Ping>(1);
    assert_eq!(tracked.assert_handled::<Pong>(1)[0].number, 4);
    let session = pair.pinger.track().also(&pair.ponger).invoke(Ping { number: 0 });
    let error = session.await.unwrap_err();
    assert!(matches!(error.failure(), TrackFailure::Invoke(InvokeError::Remote { .. })), "{error}");
    error.tracked().assert_failed::<Ping>(1);
    pair.stop().await;
}

#[tokio::test]
async fn a_destination_that_is_down_is_still_going_on() {
    let pair = pair("durable", "", with_store).await;
    pair.ponger.pause_listeners().await;
    let session = pair.pinger.track().also(&pair.ponger).time_limit(Duration::from_millis(300));
    let error = session.send(Ping { number: 1 }).await.unwrap_err();
    let text = error.to_string();
    assert!(text.contains("at endpoint://ponger: sent, "), "{text}");
    pair.stop().await;
}

#[tokio::test]
async fn a_message_that_the_other_application_does_not_know_ends_the_session() {
    let stored = pair("durable", "", with_store).await;
    let tracked = stored.pinger.track().also(&stored.ponger).send(Unknown).await.unwrap();
    let mut of_unknown = events::<Unknown>(&tracked);
    of_unknown.sort_by_key(|event| format!("{event:?}"));
    assert_eq!(of_unknown, [Delivered, NoHandler, Sent], "{tracked}");
    stored.stop().await;
    // Without a store it is refused, and becomes a dead letter of its sender.
    let pair = pair("tcp", "", |builder| builder).await;
    let tracked = pair.pinger.track().also(&pair.ponger).send(Unknown).await.unwrap();
    assert_eq!(events::<Unknown>(&tracked), [Sent, DeadLettered], "{tracked}");
    pair.stop().await;
}
