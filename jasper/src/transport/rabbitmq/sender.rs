//! The port's sender: batches to the broker, and what becomes of them.

use std::sync::{Arc, Weak};
use std::time::Duration;

use futures_util::future::BoxFuture;
use parking_lot::Mutex;

use super::connection::Connected;
use super::declare::declare;
use super::destination::{Destination, Place};
use super::failure::{is_not_found, no_connection, not_sent};
use super::message::{Outgoing, properties};
use super::publisher::{Outcome, Publisher};
use super::requests::Requester;
use super::topology::Declare;
use crate::envelope::{Address, Envelope};
use crate::transport::cause::Cause;
use crate::transport::{Answer, Batch, Guarantee, Receipt, Request, Sender, TransportError};

/// All endpoints of a broker share one connection, so that it costs little to ask for it.
const LONGEST_PAUSE: Duration = Duration::from_secs(1);

/// The way to one queue or exchange.
#[derive(Debug)]
pub(super) struct RabbitSender {
    pub(super) address: Address,
    pub(super) wanted: Destination,
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
            let too_large = self.too_large(envelope);
            if too_large.is_none() {
                messages.push(self.outgoing(envelope, batch.guarantee));
            }
            receipts.push(too_large.map(|error| Receipt::refused(error.to_string())));
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
            declare(&connected, address, &self.wanted).await?;
            *self.declared.lock() = Arc::downgrade(&connected);
        }
        Ok(connected)
    }

    fn too_large(&self, envelope: &Envelope) -> Option<TransportError> {
        let (size, limit) = (envelope.payload.len(), self.max_message.min(self.publisher.limit()));
        let address = self.address.to_string();
        (size > limit).then_some(TransportError::TooLarge { address, size, limit })
    }

    fn outgoing(&self, envelope: &Envelope, guarantee: Guarantee) -> Outgoing {
        let (exchange, key) = match &self.wanted.place {
            Place::Queue(name) => ("", name.as_str()),
            Place::Exchange(name, Some(key)) => (name.as_str(), key.as_str()),
            Place::Exchange(name, None) => (name.as_str(), envelope.message_type.name()),
        };
        Outgoing {
            exchange: exchange.into(),
            key: key.into(),
            properties: properties(envelope, guarantee),
            payload: envelope.payload.clone(),
        }
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
            Outcome::Ended(_) if message.payload.len() > self.publisher.limit() => {
                let (size, limit) = (message.payload.len(), self.publisher.limit());
                let address = self.address.to_string();
                Receipt::refused(TransportError::TooLarge { address, size, limit }.to_string())
            }
            Outcome::Ended(error) => Receipt::unknown(error.to_string()),
        }
    }

    /// A queue that was deleted is made again, where that is this application's affair.
    fn unroutable(&self, why: String) -> Receipt {
        let makes_queue = self.wanted.declare == Declare::Provision;
        match self.wanted.place {
            Place::Queue(_) if makes_queue => {
                self.forget();
                Receipt::deferred(why)
            }
            _ => Receipt::refused(why),
        }
    }

    /// What is declared is declared anew before the next batch.
    fn forget(&self) {
        *self.declared.lock() = Weak::new();
    }

    async fn ask(&self, request: Request) -> Result<Answer, TransportError> {
        let Place::Queue(queue) = &self.wanted.place else {
            let why = "a request goes to one receiver: send it to `rabbitmq://queue/NAME`";
            let address = self.address.to_string();
            return Err(TransportError::Address { address, why: why.to_owned() });
        };
        if let Some(error) = self.too_large(&request.envelope) {
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
