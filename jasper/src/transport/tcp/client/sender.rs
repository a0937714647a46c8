//! The port's sender: batches into frames, and what becomes of them.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures_util::future::BoxFuture;
use tokio::time::{Instant, timeout_at};

use super::super::frame::{BATCH_HEAD, ENVELOPE_HEAD, MOST_ENVELOPES, REQUEST_HEAD};
use super::super::handshake::ClientError;
use super::dial::PeerConnection;
use super::in_flight::ExchangeError;
use super::link::{PeerLink, in_batch, in_request};
use crate::envelope::Address;
use crate::transport::cause::Cause;
use crate::transport::{Answer, Batch, Guarantee, Receipt, Request, Sender, TransportError};

/// The way to one place.
#[derive(Debug)]
pub(in super::super) struct TcpSender {
    address: Address,
    connection: Arc<PeerConnection>,
    patience: Duration,
}

impl TcpSender {
    pub(in super::super) fn new(
        address: Address,
        connection: Arc<PeerConnection>,
        patience: Duration,
    ) -> Self {
        Self { address, connection, patience }
    }

    async fn send_all(&self, batch: Batch) -> Result<Vec<Receipt>, TransportError> {
        let parts: Vec<_> = batch.envelopes.iter().map(|envelope| envelope.to_parts()).collect();
        let mut receipts = Vec::with_capacity(parts.len());
        let mut sending = self.send_parts(batch.guarantee, &parts, &mut receipts).await;
        if let Err(SendFailure::Lost(ExchangeError::NotSent(_))) = sending {
            // The connection was about to end when it was taken; there may be another by now.
            sending = self.send_parts(batch.guarantee, &parts, &mut receipts).await;
        }
        match sending {
            Ok(()) => Ok(receipts),
            Err(failure) if receipts.is_empty() => Err(self.error(failure, self.patience)),
            Err(failure) => {
                // Something is known of the first, and of the rest no more than the error says.
                let error = self.error(failure, self.patience);
                receipts.resize_with(parts.len(), || {
                    if error.may_have_arrived() {
                        Receipt::unknown(error.to_string())
                    } else {
                        Receipt::deferred(error.to_string())
                    }
                });
                Ok(receipts)
            }
        }
    }

    /// Sends what has no receipt yet, frame after frame, so that it arrives in order.
    async fn send_parts(
        &self,
        guarantee: Guarantee,
        parts: &[(Bytes, Bytes)],
        receipts: &mut Vec<Receipt>,
    ) -> Result<(), SendFailure> {
        let link = self.link(Instant::now() + self.patience).await?;
        let limit = link.frame_limit();
        loop {
            let rest = &parts[receipts.len()..];
            let fitting = fitting(rest, limit);
            if let (0, Some(first)) = (fitting, rest.first()) {
                let size = in_batch(first) - ENVELOPE_HEAD;
                let limit = limit.saturating_sub(BATCH_HEAD + ENVELOPE_HEAD);
                receipts.push(Receipt::refused(self.too_large(size, limit).to_string()));
            } else {
                let deadline = Instant::now() + self.patience;
                receipts.extend(link.batch(guarantee, &rest[..fitting], deadline).await?);
            }
            if receipts.len() >= parts.len() {
                return Ok(());
            }
        }
    }

    async fn ask(&self, request: Request) -> Result<Answer, TransportError> {
        let (limit, envelope) = (request.timeout, request.envelope.to_parts());
        // A time-out of centuries is none.
        let far = Duration::from_secs(u64::from(u32::MAX));
        let deadline = Instant::now() + limit.min(far);
        let mut asking = self.ask_once(&envelope, deadline).await;
        if let Err(SendFailure::Lost(ExchangeError::NotSent(_))) = asking {
            asking = self.ask_once(&envelope, deadline).await;
        }
        asking.map_err(|failure| self.error(failure, limit))
    }

    async fn ask_once(
        &self,
        envelope: &(Bytes, Bytes),
        deadline: Instant,
    ) -> Result<Answer, SendFailure> {
        let link = self.link(deadline).await?;
        let size = in_request(envelope) - REQUEST_HEAD;
        let limit = link.frame_limit().saturating_sub(REQUEST_HEAD);
        if size > limit {
            return Err(SendFailure::TooLarge(size, limit));
        }
        Ok(link.request(envelope, deadline).await?)
    }

    async fn link(&self, deadline: Instant) -> Result<Arc<PeerLink>, SendFailure> {
        let late = |_late| ClientError::Gone("it took too long to reach it".into());
        Ok(timeout_at(deadline, self.connection.get_or_connect()).await.map_err(late)??)
    }

    fn too_large(&self, size: usize, limit: usize) -> TransportError {
        TransportError::TooLarge { address: self.address.to_string(), size, limit }
    }

    fn error(&self, failure: SendFailure, limit: Duration) -> TransportError {
        let address = self.address.to_string();
        match failure {
            SendFailure::Dial(ClientError::Rejected(cause)) => cause.rejected(address),
            SendFailure::Dial(ClientError::Gone(cause))
            | SendFailure::Lost(ExchangeError::NotSent(cause)) => cause.unreachable(address),
            SendFailure::Lost(ExchangeError::NoRoom(why)) => Cause::from(why).unreachable(address),
            SendFailure::Lost(ExchangeError::Lost(cause)) => cause.lost(address),
            SendFailure::Lost(ExchangeError::Late) => TransportError::Deadline { address, limit },
            SendFailure::TooLarge(size, limit) => self.too_large(size, limit),
        }
    }
}

/// How many of these fit into one frame, from the first on.
fn fitting(parts: &[(Bytes, Bytes)], limit: usize) -> usize {
    let mut size = BATCH_HEAD;
    let fits = |part: &&(Bytes, Bytes)| {
        size = size.saturating_add(in_batch(part));
        size <= limit
    };
    parts.iter().take(MOST_ENVELOPES).take_while(fits).count()
}

#[derive(Debug)]
enum SendFailure {
    Dial(ClientError),
    Lost(ExchangeError),
    TooLarge(usize, usize),
}

impl From<ClientError> for SendFailure {
    fn from(error: ClientError) -> Self {
        Self::Dial(error)
    }
}

impl From<ExchangeError> for SendFailure {
    fn from(loss: ExchangeError) -> Self {
        Self::Lost(loss)
    }
}

impl Sender for TcpSender {
    fn send(&self, batch: Batch) -> BoxFuture<'_, Result<Vec<Receipt>, TransportError>> {
        Box::pin(self.send_all(batch))
    }

    fn request(&self, request: Request) -> BoxFuture<'_, Result<Answer, TransportError>> {
        Box::pin(self.ask(request))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn as_many_as_fit_into_a_frame_are_sent_together() {
        let part = |size| (Bytes::new(), Bytes::from(vec![0; size]));
        let parts = [part(10), part(10), part(100), part(1)];
        assert_eq!(fitting(&parts, 14 + 14 + 14), 2);
        assert_eq!(fitting(&parts, 14 + 14 + 13), 1);
        assert_eq!(fitting(&parts[2..], 14 + 103), 0);
        assert_eq!(fitting(&parts, usize::MAX), 4);
        assert_eq!(fitting(&[], 100), 0);
        assert_eq!(fitting(&vec![part(0); 5_000], usize::MAX), 4_096);
    }
}
