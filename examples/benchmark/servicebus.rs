//! Azure Service Bus: messages by way of the test broker, beside a bare sender and receiver, and
//! beside what two stores do for a durable message.

use std::time::Instant;

use fe2o3_amqp::connection::ConnectionHandle;
use fe2o3_amqp::link::receiver::CreditMode;
use fe2o3_amqp::sasl_profile::SaslProfile;
use fe2o3_amqp::session::SessionHandle;
use fe2o3_amqp::types::messaging::{Body, Data, Message, Outcome as Answer};
use fe2o3_amqp::types::primitives::{Binary, Value};
use fe2o3_amqp::{Connection, Receiver, Sender, Session};
use futures_util::future::try_join_all;
use jasper::prelude::*;
use jasper::testing::servicebus::{Broker, EntitySettings};
use jasper::transport::servicebus::ServiceBus;

use crate::folder::Folder;
use crate::report::{Layout, Report};
use crate::tcp::ours::Pair;
use crate::tcp::stores::Stores;
use crate::{Outcome, ROUNDS};

const BYTES: usize = 1024;
const QUEUE: &str = "benchmark";
/// How many messages are sent before their outcomes are waited for, and how many may come.
const BATCH: usize = 500;

const BARE: &str = "bare sender and receiver, outcomes and accepts";
const INLINE: &str = "buffered sender, inline listener, no database";
const STORES: &str = "what both stores do for it, without a network";
const DURABLE: &str = "durable at both ends, SQLite";

const LAYOUT: Layout = Layout {
    conditions: "1 KiB, the test broker and both applications in one process",
    rates: &[BARE, INLINE, STORES, DURABLE],
    times: &[],
    moments: &[],
    ratios: &[(INLINE, BARE, ">= 0.8"), (DURABLE, STORES, ">= 0.7")],
};

pub(crate) async fn measure(messages: usize) -> Outcome<()> {
    let (mut report, folder) = (Report::default(), Folder::new()?);
    for round in 0..ROUNDS {
        eprintln!("round {} of {ROUNDS}", round + 1);
        report.add(BARE, bare(messages).await?);
        report.add(INLINE, inline(messages).await?);
        let file = |name| folder.file(name, round);
        let stores = Stores::open(&file("store-from"), &file("store-to")).await?;
        report.add(STORES, stores.rate(messages, BYTES).await?);
        report.add(DURABLE, durable(&folder, round, messages).await?);
    }
    report.print(&LAYOUT);
    Ok(())
}

async fn broker() -> Outcome<Broker> {
    let broker = Broker::start().await?;
    broker.create_queue(QUEUE, EntitySettings::new())?;
    Ok(broker)
}

async fn session(
    broker: &Broker,
    name: &str,
) -> Outcome<(ConnectionHandle<()>, SessionHandle<()>)> {
    let (username, password) = broker.key();
    let profile =
        SaslProfile::Plain { username: username.to_owned(), password: password.to_owned() };
    let opening = Connection::builder().container_id(name).sasl_profile(profile);
    let mut connection = opening.open(format!("amqp://{}", broker.address()).as_str()).await?;
    let session = Session::begin(&mut connection).await?;
    Ok((connection, session))
}

/// In batches as large as ours are, each after the outcomes of the one before.
async fn bare(messages: usize) -> Outcome<f64> {
    let broker = broker().await?;
    let (_sending, mut session_of_sender) = session(&broker, "sender").await?;
    let (_receiving, mut session_of_receiver) = session(&broker, "receiver").await?;
    let mut sender = Sender::attach(&mut session_of_sender, "sender", QUEUE).await?;
    let mut receiver = Receiver::builder()
        .name("receiver")
        .source(QUEUE)
        .credit_mode(CreditMode::Auto(u32::try_from(BATCH)?))
        .attach(&mut session_of_receiver)
        .await?;
    let started = Instant::now();
    let receiving = async {
        for _ in 0..messages {
            let delivery = receiver.recv::<Body<Value>>().await?;
            receiver.accept(&delivery).await?;
        }
        Outcome::Ok(())
    };
    let sending = async {
        let mut left = messages;
        while left > 0 {
            let batch = left.min(BATCH);
            let mut outcomes = Vec::with_capacity(batch);
            for _ in 0..batch {
                let data = Data(Binary::from(vec![b'x'; BYTES]));
                let message = Message::builder().data(data).build();
                outcomes.push(sender.send_batchable(message).await?);
            }
            for outcome in try_join_all(outcomes).await? {
                if !matches!(outcome, Answer::Accepted(_)) {
                    return Err("the broker has not accepted a message".into());
                }
            }
            left -= batch;
        }
        Outcome::Ok(())
    };
    let (received, sent) = tokio::join!(receiving, sending);
    received.and(sent)?;
    Ok(messages as f64 / started.elapsed().as_secs_f64())
}

async fn inline(messages: usize) -> Outcome<f64> {
    let broker = broker().await?;
    let listen = format!("asb://queue/{QUEUE}?mode=inline");
    let address = format!("asb://queue/{QUEUE}?mode=buffered");
    let builder = || Jasper::builder().transport(ServiceBus::at(broker.connection_string()));
    let pair = Pair::start(builder(), builder(), &listen, Some(&address)).await?;
    rate_of(pair, messages).await
}

async fn durable(folder: &Folder, round: usize, messages: usize) -> Outcome<f64> {
    let broker = broker().await?;
    let address = format!("asb://queue/{QUEUE}");
    let builder = async |name| {
        let store = SqliteStore::open(folder.file(name, round)).await?;
        let transport = ServiceBus::at(broker.connection_string());
        Outcome::Ok(Jasper::builder().store(store).transport(transport))
    };
    let (sender, receiver) = (builder("sender").await?, builder("receiver").await?);
    let pair = Pair::start(sender, receiver, &address, Some(&address)).await?;
    rate_of(pair, messages).await
}

async fn rate_of(pair: Pair, messages: usize) -> Outcome<f64> {
    // Warm, as connections are that are in use.
    pair.rate(messages / 10, BYTES).await?;
    let rate = pair.rate(messages, BYTES).await?;
    pair.stop().await?;
    Ok(rate)
}
