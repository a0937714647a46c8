//! One endpoint with a queue for each type of message.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::{BoxFuture, join_all};

use crate::envelope::Address;
use crate::transport::cause::Cause;
use crate::transport::{Answer, Batch, Receipt, Request, Sender, TransportError};

/// The ways to the queues of several messages, by the names of the messages.
#[derive(Debug)]
pub(super) struct RoutedSender {
    pub(super) address: Address,
    pub(super) senders: BTreeMap<String, Arc<dyn Sender>>,
}

impl RoutedSender {
    fn refused(&self, message: &str) -> String {
        let address = &self.address;
        format!("`{address}` has no queue for the message `{message}`: add it to the address")
    }

    async fn send_all(&self, batch: Batch) -> Result<Vec<Receipt>, TransportError> {
        if batch.envelopes.is_empty() {
            return self.ping(batch).await;
        }
        let count = batch.envelopes.len();
        let mut batches: BTreeMap<&str, (Vec<usize>, Batch)> = BTreeMap::new();
        let mut receipts = vec![Receipt::unknown("there was no receipt"); count];
        let guarantee = batch.guarantee;
        for (place, envelope) in batch.envelopes.into_iter().enumerate() {
            let message = envelope.message_type.name();
            let Some((name, _)) = self.senders.get_key_value(message) else {
                receipts[place] = Receipt::refused(self.refused(message));
                continue;
            };
            let empty = || (Vec::new(), Batch { envelopes: Vec::new(), guarantee });
            let (places, part) = batches.entry(name).or_insert_with(empty);
            places.push(place);
            part.envelopes.push(envelope);
        }
        let parts = batches.into_iter().filter_map(|(name, (places, part))| {
            let sender = self.senders.get(name)?;
            Some(async move { (places, sender.send(part).await) })
        });
        for (places, sent) in join_all(parts).await {
            match sent {
                Ok(part) => {
                    for (place, receipt) in places.into_iter().zip(part) {
                        receipts[place] = receipt;
                    }
                }
                // Others may have arrived.
                Err(error) => {
                    for place in places {
                        receipts[place] = if error.may_have_arrived() {
                            Receipt::unknown(error.to_string())
                        } else {
                            Receipt::deferred(error.to_string())
                        };
                    }
                }
            }
        }
        Ok(receipts)
    }

    /// All queues are of one namespace: one of them says whether that answers.
    async fn ping(&self, batch: Batch) -> Result<Vec<Receipt>, TransportError> {
        match self.senders.values().next() {
            Some(sender) => sender.send(batch).await,
            None => Ok(Vec::new()),
        }
    }
}

impl Sender for RoutedSender {
    fn send(&self, batch: Batch) -> BoxFuture<'_, Result<Vec<Receipt>, TransportError>> {
        Box::pin(self.send_all(batch))
    }

    fn longest_pause(&self) -> Duration {
        let pauses = self.senders.values().map(|sender| sender.longest_pause());
        pauses.max().unwrap_or_default()
    }

    fn problem(&self) -> Option<String> {
        self.senders.values().find_map(|sender| sender.problem())
    }

    fn request(&self, request: Request) -> BoxFuture<'_, Result<Answer, TransportError>> {
        match self.senders.get(request.envelope.message_type.name()) {
            Some(sender) => sender.request(request),
            None => {
                let why = self.refused(request.envelope.message_type.name());
                let error = Cause::from(why).rejected(&self.address);
                Box::pin(std::future::ready(Err(error)))
            }
        }
    }
}
