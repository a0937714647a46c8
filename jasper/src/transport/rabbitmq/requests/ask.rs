//! The side that asks.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures_util::StreamExt;
use futures_util::future::BoxFuture;
use lapin::options::{BasicConsumeOptions, BasicPublishOptions, ConfirmSelectOptions};
use lapin::types::{AMQPValue, FieldTable};
use lapin::{BasicProperties, Channel, Confirmation, Consumer, Error};
use parking_lot::Mutex;
use tokio::sync::oneshot;
use tokio::time::{Instant, timeout_at};
use uuid::Uuid;

use super::super::connection::error::DialError;
use super::super::connection::{BrokerConnection, Connected};
use super::super::failure::no_connection;
use super::super::message::properties;
use super::super::publisher::why_returned;
use super::answer;
use super::names::{CORRELATION, TIMEOUT, queue_of_requests};
use crate::transport::cause::Cause;
use crate::transport::shared_connection::{Dial, SharedConnection};
use crate::transport::{Answer, Guarantee, Request, TransportError};

/// Where the broker sends answers, which is a queue that exists for this channel only.
const REPLIES: &str = "amq.rabbitmq.reply-to";

/// Sends requests to one broker.
#[derive(Debug, Clone)]
pub(in super::super) struct Requester(Arc<SharedConnection<AskDialler>>);

/// Opens the channel of requests.
#[derive(Debug)]
pub(in super::super) struct AskDialler(pub(in super::super) Arc<BrokerConnection>);

/// The channel of requests, and who waits for an answer on it.
#[derive(Debug)]
pub(in super::super) struct Asking {
    connected: Arc<Connected>,
    channel: Channel,
    waiting: Waiting,
}

/// By the number of the request.
type Waiting = Arc<Mutex<HashMap<String, oneshot::Sender<Result<Answer, Silence>>>>>;

/// Why there is no answer.
#[derive(Debug)]
enum Silence {
    /// Nothing takes requests there.
    NoReceiver(String),
    /// The channel has ended.
    Ended(Cause),
}

impl Dial for AskDialler {
    type Link = Asking;
    type Error = DialError;

    fn dial(&self) -> BoxFuture<'_, Result<Asking, DialError>> {
        Box::pin(async {
            let connected = self.0.get_or_connect().await?;
            let gone = |error: Error| DialError::Gone(Cause::of(error));
            let opened = connected.unless_ended(open(&connected)).await;
            let (channel, consumer) = opened.map_err(gone)?;
            let waiting = Waiting::default();
            tokio::spawn(hand_out(Arc::clone(&connected), consumer, Arc::clone(&waiting)));
            Ok(Asking { connected, channel, waiting })
        })
    }

    fn is_usable(link: &Asking) -> bool {
        link.channel.status().connected()
    }

    fn given_up() -> DialError {
        DialError::Gone("dialling was given up".into())
    }
}

async fn open(connected: &Connected) -> Result<(Channel, Consumer), Error> {
    let channel = connected.connection.create_channel().await?;
    channel.confirm_select(ConfirmSelectOptions::default()).await?;
    let options = BasicConsumeOptions { no_ack: true, ..Default::default() };
    let consumer =
        channel.basic_consume(REPLIES.into(), "".into(), options, FieldTable::default()).await?;
    Ok((channel, consumer))
}

/// Gives each answer to who waits for it.
async fn hand_out(connected: Arc<Connected>, mut consumer: Consumer, waiting: Waiting) {
    let mut why = Cause::from("the connection to the broker has ended");
    loop {
        let next = tokio::select! {
            biased;
            next = consumer.next() => next,
            () = connected.ended() => None,
        };
        let Some(delivery) = next else { break };
        match delivery {
            Ok(delivery) => {
                let request = delivery.properties.correlation_id().as_ref();
                let asked = request.and_then(|id| waiting.lock().remove(id.as_str()));
                if let Some(asked) = asked {
                    let answer = answer::read(&delivery.properties, Bytes::from(delivery.data));
                    // Who asked may have given up.
                    let _ = asked.send(Ok(answer));
                }
            }
            Err(error) => why = Cause::of(error),
        }
    }
    for (_, asked) in std::mem::take(&mut *waiting.lock()) {
        let _ = asked.send(Err(Silence::Ended(why.clone())));
    }
}

impl Requester {
    pub(in super::super) fn new(connection: Arc<BrokerConnection>) -> Self {
        Self(SharedConnection::new(AskDialler(connection)))
    }

    pub(in super::super) async fn ask(
        &self,
        address: &str,
        queue: &str,
        request: Request,
    ) -> Result<Answer, TransportError> {
        let limit = request.timeout;
        // A time-out of centuries is none.
        let deadline = Instant::now() + limit.min(Duration::from_secs(u64::from(u32::MAX)));
        let address = || address.to_owned();
        let late = |_late| TransportError::Deadline { address: address(), limit };
        let asking = timeout_at(deadline, self.0.get_or_connect())
            .await
            .map_err(late)?
            .map_err(|error| no_connection(&address(), error))?;
        let answered = timeout_at(deadline, asking.ask(queue, request)).await.map_err(late)?;
        answered.map_err(|silence| match silence {
            Silence::NoReceiver(why) => Cause::from(why).unreachable(address()),
            Silence::Ended(cause) => cause.lost(address()),
        })
    }
}

impl Asking {
    async fn ask(&self, queue: &str, request: Request) -> Result<Answer, Silence> {
        let number = Uuid::now_v7().to_string();
        let (asked, answered) = oneshot::channel();
        self.waiting.lock().insert(number.clone(), asked);
        let _noted = Noted { waiting: &self.waiting, number: &number };
        let ended = |error: Error| Silence::Ended(Cause::of(error));
        let (key, options) = (queue_of_requests(queue), BasicPublishOptions::default());
        let options = BasicPublishOptions { mandatory: true, ..options };
        let properties = properties_of(&request, &number);
        let payload = &request.envelope.payload;
        let published = self.channel.basic_publish(
            "".into(),
            key.as_str().into(),
            options,
            payload,
            properties,
        );
        let confirmed = self.connected.unless_ended(async { published.await?.await });
        match confirmed.await.map_err(ended)? {
            Confirmation::Ack(Some(returned)) | Confirmation::Nack(Some(returned)) => {
                // Which may be another one's, on its way back at the same time.
                let number = returned.properties.correlation_id().as_ref();
                let asked = number.and_then(|id| self.waiting.lock().remove(id.as_str()));
                if let Some(asked) = asked {
                    let why = format!("nothing takes requests there: {}", why_returned(&returned));
                    let _ = asked.send(Err(Silence::NoReceiver(why)));
                }
            }
            _ => {}
        }
        let ended = || Silence::Ended("the connection to the broker has ended".into());
        answered.await.unwrap_or_else(|_dropped| Err(ended()))
    }
}

fn properties_of(request: &Request, number: &str) -> BasicProperties {
    let properties = properties(&request.envelope, Guarantee::InMemory);
    let mut headers = properties.headers().clone().unwrap_or_default();
    let millis =
        u64::try_from(request.timeout.as_millis()).unwrap_or(u64::MAX).min(u64::from(u32::MAX));
    headers.insert(TIMEOUT.into(), AMQPValue::LongString(millis.to_string().into()));
    if let Some(text) = &request.envelope.correlation_id {
        headers.insert(CORRELATION.into(), AMQPValue::LongString(text.as_str().into()));
    }
    properties
        .with_headers(headers)
        .with_correlation_id(number.into())
        .with_reply_to(REPLIES.into())
        // A request that nothing has taken by then is of no use to anybody.
        .with_expiration(millis.to_string().into())
}

/// A request that is waited for, until this is dropped.
struct Noted<'a> {
    waiting: &'a Waiting,
    number: &'a str,
}

impl Drop for Noted<'_> {
    fn drop(&mut self) {
        self.waiting.lock().remove(self.number);
    }
}
