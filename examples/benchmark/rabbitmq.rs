//! RabbitMQ: messages by way of a broker, beside a bare producer and consumer, and beside one
//! insert and commit for each message.

use std::time::Instant;

use futures_util::StreamExt;
use futures_util::future::try_join_all;
use jasper::prelude::*;
use jasper::transport::rabbitmq::RabbitMq;
use lapin::options::{
    BasicAckOptions, BasicConsumeOptions, BasicPublishOptions, BasicQosOptions,
    ConfirmSelectOptions, QueueDeclareOptions, QueueDeleteOptions,
};
use lapin::types::{AMQPValue, FieldTable};
use lapin::{BasicProperties, Channel, Connection, ConnectionProperties};
use sqlx::{AssertSqlSafe, Connection as _, Executor, PgConnection};

use crate::report::{Layout, Report};
use crate::tcp::ours::Pair;
use crate::{Outcome, ROUNDS};

const BYTES: usize = 1024;

const BARE: &str = "bare producer and consumer, confirms and acks";
const INLINE: &str = "buffered sender, inline listener, no database";
const SINGLE: &str = "one insert and commit for each message";
const DURABLE: &str = "durable at both ends, PostgreSQL";

const LAYOUT: Layout = Layout {
    conditions: "1 KiB, quorum queues, both applications in one process",
    rates: &[BARE, INLINE, SINGLE, DURABLE],
    times: &[],
    moments: &[],
    ratios: &[(INLINE, BARE, ">= 0.8"), (DURABLE, SINGLE, ">= 3")],
};

pub(crate) async fn measure(broker: &str, database: &str, messages: usize) -> Outcome<()> {
    let mut report = Report::default();
    for round in 0..ROUNDS {
        eprintln!("round {} of {ROUNDS}", round + 1);
        report.add(BARE, bare(broker, messages).await?);
        report.add(INLINE, inline(broker, messages).await?);
        report.add(SINGLE, single(database, messages / 10).await?);
        report.add(DURABLE, durable(broker, database, messages).await?);
    }
    report.print(&LAYOUT);
    Ok(())
}

async fn channel(broker: &str) -> Outcome<(Connection, Channel)> {
    let connection = Connection::connect(broker, ConnectionProperties::default()).await?;
    let channel = connection.create_channel().await?;
    Ok((connection, channel))
}

fn unique() -> String {
    format!("benchmark-{}", uuid::Uuid::now_v7().simple())
}

/// In batches as large as ours are, each after the confirms of the one before.
async fn bare(broker: &str, messages: usize) -> Outcome<f64> {
    let queue = unique();
    let (_sending, producer) = channel(broker).await?;
    let (_listening, consumer) = channel(broker).await?;
    let mut arguments = FieldTable::default();
    arguments.insert("x-queue-type".into(), AMQPValue::LongString("quorum".into()));
    let options = QueueDeclareOptions::durable();
    consumer.queue_declare(queue.as_str().into(), options, arguments).await?;
    consumer.basic_qos(1_000, BasicQosOptions::default()).await?;
    let options = BasicConsumeOptions::default();
    let deliveries =
        consumer.basic_consume(queue.as_str().into(), "".into(), options, FieldTable::default());
    let mut deliveries = deliveries.await?;
    producer.confirm_select(ConfirmSelectOptions::default()).await?;
    let started = Instant::now();
    let consuming = async {
        for _ in 0..messages {
            let delivery = deliveries.next().await.ok_or("the consumer has ended")??;
            delivery.ack(BasicAckOptions::default()).await?;
        }
        Outcome::Ok(())
    };
    let producing = async {
        let payload = vec![b'x'; BYTES];
        let mut left = messages;
        while left > 0 {
            let batch = left.min(500);
            let published = (0..batch).map(|_| async {
                let options = BasicPublishOptions { mandatory: true, ..Default::default() };
                let properties = BasicProperties::default().with_delivery_mode(2);
                let key = queue.as_str().into();
                let sent = producer.basic_publish("".into(), key, options, &payload, properties);
                sent.await?.await
            });
            try_join_all(published).await?;
            left -= batch;
        }
        Outcome::Ok(())
    };
    let (consumed, produced) = tokio::join!(consuming, producing);
    consumed.and(produced)?;
    let rate = messages as f64 / started.elapsed().as_secs_f64();
    consumer.queue_delete(queue.as_str().into(), QueueDeleteOptions::default()).await?;
    Ok(rate)
}

async fn inline(broker: &str, messages: usize) -> Outcome<f64> {
    let queue = unique();
    let (listen, address) = (
        format!("rabbitmq://queue/{queue}?mode=inline"),
        format!("rabbitmq://queue/{queue}?mode=buffered"),
    );
    let builder = || Jasper::builder().transport(RabbitMq::at(broker));
    let pair = Pair::start(builder(), builder(), &listen, Some(&address)).await?;
    let rate = rate_of(pair, messages).await?;
    delete(broker, &queue).await?;
    Ok(rate)
}

async fn durable(broker: &str, database: &str, messages: usize) -> Outcome<f64> {
    let queue = unique();
    let address = format!("rabbitmq://queue/{queue}");
    let builder = async || {
        let store = PostgresStore::connect(&new_database(database).await?).await?;
        Outcome::Ok(Jasper::builder().store(store).transport(RabbitMq::at(broker)))
    };
    let (sender, receiver) = (builder().await?, builder().await?);
    let pair = Pair::start(sender, receiver, &address, Some(&address)).await?;
    let rate = rate_of(pair, messages).await?;
    delete(broker, &queue).await?;
    Ok(rate)
}

async fn rate_of(pair: Pair, messages: usize) -> Outcome<f64> {
    // Warm, as connections are that are in use.
    pair.rate(messages / 10, BYTES).await?;
    let rate = pair.rate(messages, BYTES).await?;
    pair.stop().await?;
    Ok(rate)
}

async fn delete(broker: &str, queue: &str) -> Outcome<()> {
    let (_connection, channel) = channel(broker).await?;
    channel.queue_delete(queue.into(), QueueDeleteOptions::default()).await?;
    Ok(())
}

async fn new_database(url: &str) -> Outcome<String> {
    let name = unique().replace('-', "_");
    let mut server = PgConnection::connect(url).await?;
    server.execute(AssertSqlSafe(format!("create database {name}"))).await?;
    let (server, _database) = url.rsplit_once('/').ok_or("no database in the address")?;
    Ok(format!("{server}/{name}"))
}

/// One insert and commit for each message, one after the other.
async fn single(database: &str, messages: usize) -> Outcome<f64> {
    let mut server = PgConnection::connect(&new_database(database).await?).await?;
    server.execute("create table messages (id uuid primary key, body bytea not null)").await?;
    let body = vec![b'x'; BYTES];
    let started = Instant::now();
    for _ in 0..messages {
        let insert = sqlx::query("insert into messages values ($1, $2)");
        insert.bind(uuid::Uuid::now_v7()).bind(&body).execute(&mut server).await?;
    }
    Ok(messages as f64 / started.elapsed().as_secs_f64())
}
