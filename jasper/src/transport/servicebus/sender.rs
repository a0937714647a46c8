//! The port's sender: batches to the broker, and what becomes of them.

use std::sync::Arc;
use std::time::Duration;

use futures_util::future::BoxFuture;
use parking_lot::Mutex;
use tokio::time::Instant;

use super::endpoint::{Entity, ServiceBusEndpoint};
use super::failure::Refusal;
use super::message::{Outgoing, from_foreign, write};
use super::publisher::{LinkError, Outcome, Publisher, SendLink, live};
use super::requests::Requester;
use crate::envelope::{Address, Envelope, time};
use crate::transport::cause::Cause;
use crate::transport::mapped::write_by;
use crate::transport::{
    Answer, Batch, EnvelopeMapper, Guarantee, Receipt, Request, Sender, TransportError,
};

/// All endpoints of a namespace share one connection, so that it costs little to ask for it.
const LONGEST_PAUSE: Duration = Duration::from_millis(500);
/// How long nothing is sent after the broker has said that it has too much to do: it asks for two
/// seconds.
const BUSY: Duration = Duration::from_secs(2);

/// The way to one queue or topic.
#[derive(Debug)]
pub(super) struct ServiceBusSender {
    pub(super) address: Address,
    pub(super) endpoint: ServiceBusEndpoint,
    pub(super) mapper: Option<Arc<dyn EnvelopeMapper>>,
    pub(super) publisher: Arc<Publisher>,
    pub(super) requester: Option<Requester>,
    pub(super) max_message: usize,
    pub(super) patience: Duration,
    /// Until when the broker has too much to do.
    pub(super) busy_until: Mutex<Option<Instant>>,
}

impl ServiceBusSender {
    async fn send_all(&self, batch: Batch) -> Result<Vec<Receipt>, TransportError> {
        if let Some(why) = self.busy() {
            return Err(Cause::from(why).unreachable(&self.address));
        }
        let link = match live(&self.publisher).await {
            Ok(link) => link,
            Err(error) => return self.without_link(&batch, error),
        };
        let mut receipts: Vec<Option<Receipt>> = Vec::with_capacity(batch.envelopes.len());
        let mut messages = Vec::with_capacity(batch.envelopes.len());
        for envelope in &batch.envelopes {
            receipts.push(match self.outgoing(envelope, batch.guarantee, &link) {
                Ok(message) => {
                    messages.push(message);
                    None
                }
                Err(why) => Some(Receipt::refused(why)),
            });
        }
        let mut outcomes = link.publish(&messages, self.patience).await.into_iter();
        let receipts = receipts.into_iter().map(|receipt| match receipt {
            Some(receipt) => receipt,
            None => match outcomes.next() {
                Some(outcome) => self.receipt(outcome),
                None => Receipt::unknown("there was no receipt"),
            },
        });
        Ok(receipts.collect())
    }

    /// The broker answers, but has nothing of this name: each message is refused.
    fn without_link(
        &self,
        batch: &Batch,
        error: LinkError,
    ) -> Result<Vec<Receipt>, TransportError> {
        let Some(refusal) = error.not_found() else {
            return Err(error.not_sent(self.address.as_str()));
        };
        let why = self.no_entity(refusal);
        Ok(vec![Receipt::refused(why); batch.envelopes.len()])
    }

    fn no_entity(&self, refusal: &Refusal) -> String {
        let entity = &self.endpoint.entity;
        format!("there is no {} `{}`: {refusal}", entity.kind(), entity.path())
    }

    /// The message that an envelope becomes, or why it cannot be sent.
    fn outgoing(
        &self,
        envelope: &Envelope,
        guarantee: Guarantee,
        link: &SendLink,
    ) -> Result<Outgoing, String> {
        let mapper = self.mapper.as_deref();
        let mapped = mapper.map(|mapper| write_by(mapper, envelope)).transpose()?.flatten();
        let letter = match &mapped {
            Some(message) => from_foreign(message, envelope.id)?,
            None => write(envelope, guarantee, time::now()),
        };
        let message = Outgoing::of(letter)?;
        let (size, limit) = (message.bytes.len(), self.max_message.min(link.limit()));
        if size > limit {
            let address = self.address.to_string();
            return Err(TransportError::TooLarge { address, size, limit }.to_string());
        }
        Ok(message)
    }

    fn receipt(&self, outcome: Outcome) -> Receipt {
        match outcome {
            Outcome::Taken => Receipt::Accepted,
            Outcome::Refused(refusal) if refusal.is_busy() => {
                *self.busy_until.lock() = Some(Instant::now() + BUSY);
                Receipt::deferred(refusal.to_string())
            }
            Outcome::Refused(refusal) if refusal.is_not_found() => {
                Receipt::refused(self.no_entity(&refusal))
            }
            Outcome::Refused(refusal) if refusal.is_for_good() => {
                Receipt::refused(refusal.to_string())
            }
            Outcome::Refused(refusal) => Receipt::deferred(refusal.to_string()),
            Outcome::NotSent(fault) => Receipt::deferred(fault.to_string()),
            Outcome::Unknown(fault) => Receipt::unknown(fault.to_string()),
        }
    }

    /// Why nothing is sent at present.
    fn busy(&self) -> Option<String> {
        let until = (*self.busy_until.lock())?;
        let left = until.checked_duration_since(Instant::now())?;
        Some(format!("the broker has too much to do; it is tried again in {left:.1?}"))
    }

    async fn ask(&self, request: Request) -> Result<Answer, TransportError> {
        let address = self.address.as_str();
        if let Entity::Topic(_) = self.endpoint.entity {
            let why = "a request goes to one receiver: send it to `asb://queue/NAME`".to_owned();
            return Err(TransportError::Address { address: address.to_owned(), why });
        }
        let Some(requester) = &self.requester else {
            let why = "a request needs a queue with sessions at which its answer comes: give the \
                       transport a `.reply_queue(\"NAME\")`, here and at the receiver";
            return Err(Cause::from(why).rejected(address));
        };
        requester.ask(address, &self.publisher, request).await
    }
}

impl Sender for ServiceBusSender {
    fn send(&self, batch: Batch) -> BoxFuture<'_, Result<Vec<Receipt>, TransportError>> {
        Box::pin(self.send_all(batch))
    }

    fn longest_pause(&self) -> Duration {
        LONGEST_PAUSE
    }

    fn problem(&self) -> Option<String> {
        self.busy()
    }

    fn request(&self, request: Request) -> BoxFuture<'_, Result<Answer, TransportError>> {
        Box::pin(self.ask(request))
    }
}
