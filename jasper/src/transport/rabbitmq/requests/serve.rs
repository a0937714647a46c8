//! The side that answers.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures_util::StreamExt;
use lapin::message::Delivery;
use lapin::options::{
    BasicAckOptions, BasicCancelOptions, BasicConsumeOptions, BasicPublishOptions, BasicQosOptions,
    QueueDeclareOptions,
};
use lapin::types::{AMQPValue, FieldTable};
use lapin::{Channel, Consumer, Error};
use tokio::sync::Semaphore;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::super::connection::Connected;
use super::super::message::read;
use super::answer;
use super::names::{CORRELATION, TIMEOUT, queue_of_requests};
use crate::envelope::Address;
use crate::transport::{FailureKind, ReceivedRequest, Receiver, RemoteFailure};

/// The most requests at one time.
const MOST: u16 = 256;

/// How long the queue stays where no listener is, in milliseconds: after a crash of the broker.
const EXPIRES: i64 = 60_000;

/// Answers the requests to one queue.
#[derive(Debug)]
pub(in super::super) struct Serving {
    stop: CancellationToken,
    task: Option<JoinHandle<()>>,
}

impl Serving {
    /// Begins to take requests beside this queue.
    pub(in super::super) async fn start(
        connected: &Arc<Connected>,
        queue: &str,
        address: Address,
        receiver: Arc<dyn Receiver>,
    ) -> Result<Self, Error> {
        let opened = connected.unless_ended(open(connected, &queue_of_requests(queue))).await;
        let (channel, consumer) = opened?;
        let stop = CancellationToken::new();
        let answering = Arc::new(Answering { channel, address, receiver });
        let connected = Arc::clone(connected);
        let task = tokio::spawn(serve(connected, answering, consumer, stop.clone()));
        Ok(Self { stop, task: Some(task) })
    }

    /// Takes no more requests, and returns when all are answered.
    pub(in super::super) async fn stop(mut self) {
        self.stop.cancel();
        if let Some(task) = self.task.take()
            && let Err(error) = task.await
        {
            tracing::error!(%error, "the task that answers requests has ended badly");
        }
    }
}

impl Drop for Serving {
    fn drop(&mut self) {
        self.stop.cancel();
    }
}

async fn open(connected: &Connected, queue: &str) -> Result<(Channel, Consumer), Error> {
    let channel = connected.connection.create_channel().await?;
    let mut arguments = FieldTable::default();
    arguments.insert("x-expires".into(), AMQPValue::LongLongInt(EXPIRES));
    let options = QueueDeclareOptions { durable: true, auto_delete: true, ..Default::default() };
    channel.queue_declare(queue.into(), options, arguments).await?;
    channel.basic_qos(MOST, BasicQosOptions::default()).await?;
    let (queue, options) = (queue.into(), BasicConsumeOptions::default());
    let consumer = channel.basic_consume(queue, "".into(), options, FieldTable::default()).await?;
    Ok((channel, consumer))
}

struct Answering {
    channel: Channel,
    address: Address,
    receiver: Arc<dyn Receiver>,
}

async fn serve(
    connected: Arc<Connected>,
    answering: Arc<Answering>,
    mut consumer: Consumer,
    stop: CancellationToken,
) {
    let (running, places) = (TaskTracker::new(), Arc::new(Semaphore::new(MOST.into())));
    loop {
        let next = tokio::select! {
            biased;
            () = stop.cancelled() => break,
            () = connected.ended() => break,
            next = consumer.next() => next,
        };
        let Some(Ok(delivery)) = next else { break };
        let Ok(place) = Arc::clone(&places).acquire_owned().await else { break };
        let answering = Arc::clone(&answering);
        running.spawn(async move {
            if let Err(error) = answering.answer(delivery).await {
                tracing::warn!(address = %answering.address, %error, "a request has no answer");
            }
            drop(place);
        });
    }
    let cancelled = answering.channel.basic_cancel(consumer.tag(), BasicCancelOptions::default());
    if let Err(error) = connected.unless_ended(cancelled).await {
        // The channel has ended, and the consumer with it.
        tracing::debug!(%error, "no more requests");
    }
    running.close();
    running.wait().await;
}

impl Answering {
    async fn answer(&self, delivery: Delivery) -> Result<(), Error> {
        // Before it runs: a request whose process ends is not run again by another.
        if !delivery.acker.ack(BasicAckOptions::default()).await? {
            return Ok(());
        }
        let properties = &delivery.properties;
        let Some(reply_to) = properties.reply_to().clone() else {
            tracing::warn!(address = %self.address, "a request without a place for its answer");
            return Ok(());
        };
        let number = properties.correlation_id().clone().unwrap_or_default();
        let text = |name: &str| match properties.headers().as_ref()?.inner().get(name)? {
            AMQPValue::LongString(text) => Some(text.to_string()),
            _ => None,
        };
        let timeout = text(TIMEOUT).and_then(|millis| millis.parse().ok());
        let timeout = Duration::from_millis(timeout.unwrap_or(30_000));
        let payload = Bytes::from(delivery.data);
        let answered = match read(properties, payload, self.address.clone(), None) {
            Ok(mut envelope) => {
                envelope.correlation_id = text(CORRELATION);
                let request = ReceivedRequest { peer: None, envelope, timeout };
                self.receiver.answer(request).await
            }
            Err(error) => Err(RemoteFailure::new(FailureKind::Codec, error.to_string())),
        };
        let (properties, payload) = answer::write(answered, number);
        let options = BasicPublishOptions::default();
        let published =
            self.channel.basic_publish("".into(), reply_to, options, &payload, properties);
        published.await.map(drop)
    }
}
