//! Publishes with publisher confirms, and gives the outcome of each message.

use std::collections::HashMap;
use std::future::poll_fn;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::Poll;
use std::time::Duration;

use futures_util::future::{MaybeDone, join_all, maybe_done};
use lapin::message::BasicReturnMessage;
use lapin::options::{BasicPublishOptions, ConfirmSelectOptions};
use lapin::types::ShortString;
use lapin::{Channel, Confirmation, Error};
use parking_lot::Mutex;
use tokio::sync::Semaphore;
use tokio::time::timeout;

use super::connection::error::DialError;
use super::connection::{BrokerConnection, Connected};
use super::failure::size_limit;
use super::message::Outgoing;

/// The most batches on their way to one broker at a time; each has a channel of its own.
const CHANNELS: usize = 64;

/// Publishes to one broker.
#[derive(Debug)]
pub(super) struct Publisher {
    connection: Arc<BrokerConnection>,
    /// Channels that nobody uses at present.
    idle: Mutex<Vec<Confirming>>,
    permits: Semaphore,
    /// The most bytes of a message, once the broker has said it.
    limit: AtomicUsize,
}

#[derive(Debug)]
struct Confirming {
    connected: Arc<Connected>,
    channel: Channel,
}

/// What became of one message.
#[derive(Debug)]
pub(super) enum Outcome {
    /// The broker has it, in every queue to which it goes.
    Taken,
    /// No queue takes it.
    Unroutable(String),
    /// The broker did not take it.
    NotTaken,
    /// The channel ended before an answer came.
    Ended(Error),
    /// No answer came in time, or before the connection ended.
    Late,
}

impl Publisher {
    pub(super) fn new(connection: Arc<BrokerConnection>) -> Self {
        Self {
            connection,
            idle: Mutex::default(),
            permits: Semaphore::new(CHANNELS),
            limit: AtomicUsize::new(usize::MAX),
        }
    }

    /// The connection, opened where there is none.
    pub(super) async fn connected(&self) -> Result<Arc<Connected>, DialError> {
        self.connection.get_or_connect().await
    }

    /// The most bytes of a message, as far as the broker has said it.
    pub(super) fn limit(&self) -> usize {
        self.limit.load(Ordering::Relaxed)
    }

    /// Publishes these one after the other, and waits for what becomes of each.
    ///
    /// # Errors
    /// There is no channel for it, and nothing was sent.
    ///
    /// # Cancel safety
    /// Dropped, they may or may not have arrived.
    pub(super) async fn publish(
        &self,
        connected: &Arc<Connected>,
        messages: &[Outgoing],
        patience: Duration,
    ) -> Result<Vec<Outcome>, Error> {
        // Never closed.
        let _permit = self.permits.acquire().await;
        let confirming = connected.unless_ended(self.channel(connected)).await?;
        let mut publishing: Vec<_> = messages
            .iter()
            .map(|message| maybe_done(Box::pin(publish_one(&confirming.channel, message))))
            .collect();
        // Begun in their order, which is that of the channel.
        poll_fn(|cx| {
            for one in &mut publishing {
                let _ = Pin::new(one).poll(cx);
            }
            Poll::Ready(())
        })
        .await;
        let answers = async {
            tokio::select! {
                _answers = join_all(publishing.iter_mut()) => {}
                () = connected.ended() => {}
            }
        };
        let is_late = timeout(patience, answers).await.is_err();
        let outcomes = outcomes(messages, publishing);
        self.note_limit(&outcomes);
        if !is_late && confirming.channel.status().connected() {
            self.idle.lock().push(confirming);
        }
        Ok(outcomes)
    }

    /// A channel that nothing else uses: `lapin` gives a message that has come back with the next
    /// confirmation, whichever that is, so what is on a channel together is looked at together.
    async fn channel(&self, connected: &Arc<Connected>) -> Result<Confirming, Error> {
        let is_of_use = |idle: &Confirming| {
            Arc::ptr_eq(&idle.connected, connected) && idle.channel.status().connected()
        };
        let idle = {
            let mut all = self.idle.lock();
            all.retain(is_of_use);
            all.pop()
        };
        if let Some(confirming) = idle {
            return Ok(confirming);
        }
        let channel = connected.connection.create_channel().await?;
        channel.confirm_select(ConfirmSelectOptions::default()).await?;
        Ok(Confirming { connected: Arc::clone(connected), channel })
    }

    fn note_limit(&self, outcomes: &[Outcome]) {
        let limits = outcomes.iter().filter_map(|outcome| match outcome {
            Outcome::Ended(error) => size_limit(error),
            _ => None,
        });
        if let Some(limit) = limits.min() {
            tracing::warn!(limit, "the broker takes no messages of more bytes than that");
            self.limit.fetch_min(limit, Ordering::Relaxed);
        }
    }
}

async fn publish_one(channel: &Channel, message: &Outgoing) -> Result<Confirmation, Error> {
    let options = BasicPublishOptions { mandatory: true, immediate: false };
    let (exchange, key) = (message.exchange.clone(), message.key.clone());
    let properties = message.properties.clone();
    let publish = channel.basic_publish(exchange, key, options, &message.payload, properties);
    publish.await?.await
}

/// A message, by what the broker says of one that comes back.
type Returned = (String, ShortString, ShortString);

fn outcomes<F>(messages: &[Outgoing], publishing: Vec<MaybeDone<F>>) -> Vec<Outcome>
where
    F: Future<Output = Result<Confirmation, Error>> + Unpin,
{
    let mut returned = HashMap::<Returned, String>::new();
    let mut outcomes = Vec::with_capacity(messages.len());
    for mut one in publishing {
        let (outcome, message) = match Pin::new(&mut one).take_output() {
            None => (Outcome::Late, None),
            Some(Err(error)) => (Outcome::Ended(error), None),
            Some(Ok(Confirmation::Ack(message))) => (Outcome::Taken, message),
            Some(Ok(Confirmation::Nack(message))) => (Outcome::NotTaken, message),
            Some(Ok(Confirmation::NotRequested)) => (Outcome::Late, None),
        };
        outcomes.push(outcome);
        returned.extend(message.map(|message| (key_of(&message), why_returned(&message))));
    }
    if returned.is_empty() {
        return outcomes;
    }
    for (message, outcome) in messages.iter().zip(&mut outcomes) {
        let id = message.properties.message_id().as_ref().map(ToString::to_string);
        let key = (id.unwrap_or_default(), message.exchange.clone(), message.key.clone());
        if let Some(why) = returned.get(&key) {
            *outcome = Outcome::Unroutable(why.clone());
        }
    }
    outcomes
}

fn key_of(message: &BasicReturnMessage) -> Returned {
    let id = message.properties.message_id().as_ref().map(ToString::to_string);
    (id.unwrap_or_default(), message.exchange.clone(), message.routing_key.clone())
}

/// What the broker says of a message that no queue takes.
pub(super) fn why_returned(message: &BasicReturnMessage) -> String {
    let (exchange, key) = (&message.exchange, &message.routing_key);
    let place = match exchange.as_str() {
        "" => format!("there is no queue `{key}`"),
        exchange => format!("no queue is bound to the exchange `{exchange}` for the key `{key}`"),
    };
    format!("{place} (the broker says {} {})", message.reply_code, message.reply_text)
}
