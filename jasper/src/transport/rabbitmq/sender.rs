//! The port's sender: batches to the broker, and what becomes of them.

use std::sync::{Arc, Weak};
use std::time::Duration;

use futures_util::future::BoxFuture;
use parking_lot::Mutex;

use super::connection::Connected;
use super::declare::declare;
use super::endpoint::{Entity, RabbitEndpoint};
use super::failure::{is_not_found, no_connection, not_sent};
use super::message::{Outgoing, from_foreign, properties};
use super::publisher::{Outcome, Publisher};
use super::requests::Requester;
use crate::envelope::{Address, Envelope};
use crate::transport::cause::Cause;
use crate::transport::declare::Declare;
use crate::transport::mapped::write_by;
use crate::transport::{
    Answer, Batch, EnvelopeMapper, ForeignMessage, Guarantee, Receipt, Request, Sender,
    TransportError,
};

/// All endpoints of a broker share one connection, so that it costs little to ask for it.
const LONGEST_PAUSE: Duration = Duration::from_millis(500);

/// The way to one queue or exchange.
#[derive(Debug)]
pub(super) struct RabbitSender {
    pub(super) address: Address,
    pub(super) endpoint: RabbitEndpoint,
    pub(super) mapper: Option<Arc<dyn EnvelopeMapper>>,
    pub(super) publisher: Arc<Publisher>,
    pub(super) requester: Requester,
    pub(super) max_message: usize,
    pub(super) patience: Duration,
    /// The connection on which the place was last declared.
    pub(super) declared: Mutex<Weak<Connected>>,
}

impl RabbitSender {
    async fn send_all(&self, batch: Batch) -> Result<Vec<Receipt>, TransportError> {
        let connected = self.ready().await?;
        let mut receipts: Vec<Option<Receipt>> = Vec::with_capacity(batch.envelopes.len());
        let mut messages = Vec::with_capacity(batch.envelopes.len());
        for envelope in &batch.envelopes {
            receipts.push(match self.outgoing(envelope, batch.guarantee) {
                Ok(message) => {
                    messages.push(message);
                    None
                }
                Err(why) => Some(Receipt::refused(why)),
            });
        }
        if messages.is_empty() {
            return Ok(receipts.into_iter().flatten().collect());
        }
        let outcomes = self.publisher.publish(&connected, &messages, self.patience).await;
        let outcomes = outcomes.map_err(|error| not_sent(self.address.as_str(), &error))?;
        let mut outcomes = messages.iter().zip(outcomes);
        let receipts = receipts.into_iter().map(|receipt| match receipt {
            Some(receipt) => receipt,
            None => match outcomes.next() {
                Some((message, outcome)) => self.receipt(message, outcome),
                None => Receipt::unknown("there was no receipt"),
            },
        });
        Ok(receipts.collect())
    }

    /// The connection, with what this endpoint needs declared on it.
    async fn ready(&self) -> Result<Arc<Connected>, TransportError> {
        let address = self.address.as_str();
        let connected =
            self.publisher.connected().await.map_err(|error| no_connection(address, error))?;
        if let Some(why) = blocked(&connected) {
            return Err(Cause::from(why).unreachable(address));
        }
        let is_declared = std::ptr::eq(self.declared.lock().as_ptr(), Arc::as_ptr(&connected));
        if !is_declared {
            declare(&connected, address, &self.endpoint).await?;
            *self.declared.lock() = Arc::downgrade(&connected);
        }
        Ok(connected)
    }

    fn too_large(&self, size: usize) -> Option<TransportError> {
        let limit = self.max_message.min(self.publisher.limit());
        let address = self.address.to_string();
        (size > limit).then_some(TransportError::TooLarge { address, size, limit })
    }

    /// The message that an envelope becomes, or why it cannot be sent.
    fn outgoing(&self, envelope: &Envelope, guarantee: Guarantee) -> Result<Outgoing, String> {
        let mapper = self.mapper.as_deref();
        let mapped = mapper.map(|mapper| write_by(mapper, envelope)).transpose()?.flatten();
        let (properties, payload) = match &mapped {
            Some(message) => (from_foreign(message, envelope.id)?, message.body.clone()),
            None => (properties(envelope, guarantee), envelope.payload.clone()),
        };
        if let Some(error) = self.too_large(payload.len()) {
            return Err(error.to_string());
        }
        let (exchange, key) = self.exchange_and_key(envelope, mapped.as_ref())?;
        // Longer than the protocol takes.
        if key.len() > 255 {
            return Err(format!("the mapper gives a routing key of {} bytes", key.len()));
        }
        Ok(Outgoing { exchange: exchange.into(), key: key.into(), properties, payload })
    }

    fn exchange_and_key<'a>(
        &'a self,
        envelope: &'a Envelope,
        mapped: Option<&'a ForeignMessage>,
    ) -> Result<(&'a str, &'a str), String> {
        let message = envelope.message_type.name();
        Ok(match &self.endpoint.entity {
            Entity::Queue(name) => ("", name),
            Entity::Queues(_) => ("", self.queue_of(message)?),
            Entity::Exchange(name, Some(key)) => (name, key),
            Entity::Exchange(name, None) => {
                let key = mapped.and_then(|message| message.routing_key.as_deref());
                (name, key.unwrap_or(message))
            }
        })
    }

    fn queue_of(&self, message: &str) -> Result<&str, String> {
        let unknown = || format!("`{}` names no queue for `{message}`", self.address);
        self.endpoint.queue_of(message).ok_or_else(unknown)
    }

    fn receipt(&self, message: &Outgoing, outcome: Outcome) -> Receipt {
        match outcome {
            Outcome::Taken => Receipt::Accepted,
            Outcome::Unroutable(why) => self.unroutable(why),
            Outcome::NotTaken => Receipt::deferred("the broker did not take it"),
            Outcome::Late => Receipt::unknown("the broker has not confirmed it"),
            // The exchange is not there, so nothing has gone to it.
            Outcome::Ended(error) if is_not_found(&error) => {
                self.forget();
                Receipt::deferred(error.to_string())
            }
            Outcome::Ended(error) => match self.too_large(message.payload.len()) {
                Some(too_large) => Receipt::refused(too_large.to_string()),
                None => Receipt::unknown(error.to_string()),
            },
        }
    }

    /// A queue that was deleted is made again, where that is this application's affair.
    fn unroutable(&self, why: String) -> Receipt {
        let makes_queue = self.endpoint.declare == Declare::Provision;
        match self.endpoint.entity {
            Entity::Queue(_) | Entity::Queues(_) if makes_queue => {
                self.forget();
                Receipt::deferred(why)
            }
            _ if !self.endpoint.mandatory => {
                tracing::debug!(address = %self.address, why, "dropped");
                Receipt::Accepted
            }
            _ => Receipt::refused(why),
        }
    }

    /// What is declared is declared anew before the next batch.
    fn forget(&self) {
        *self.declared.lock() = Weak::new();
    }

    async fn ask(&self, request: Request) -> Result<Answer, TransportError> {
        let Some(queue) = self.endpoint.queue_of(request.envelope.message_type.name()) else {
            let why = "a request goes to one receiver: send it to `rabbitmq://queue/NAME`";
            let address = self.address.to_string();
            return Err(TransportError::Address { address, why: why.to_owned() });
        };
        if let Some(error) = self.too_large(request.envelope.payload.len()) {
            return Err(error);
        }
        self.requester.ask(self.address.as_str(), queue, request).await
    }
}

fn blocked(connected: &Connected) -> Option<String> {
    let why = connected.blocked()?;
    Some(format!("the broker takes no messages at present: {why}"))
}

impl Sender for RabbitSender {
    fn send(&self, batch: Batch) -> BoxFuture<'_, Result<Vec<Receipt>, TransportError>> {
        Box::pin(self.send_all(batch))
    }

    fn longest_pause(&self) -> Duration {
        LONGEST_PAUSE
    }

    fn problem(&self) -> Option<String> {
        blocked(&*self.declared.lock().upgrade()?)
    }

    fn request(&self, request: Request) -> BoxFuture<'_, Result<Answer, TransportError>> {
        Box::pin(self.ask(request))
    }
}
