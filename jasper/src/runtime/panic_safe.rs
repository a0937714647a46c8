//! Transports that an application brings: where their code panics, that is an error like another.

use std::sync::Arc;
use std::time::Duration;

use futures_util::future::{BoxFuture, FutureExt};

use super::backoff::Backoff;
use crate::caught::{Caught, Panic, caught};
use crate::envelope::Address;
use crate::transport::{
    Answer, Batch, Direction, EndpointUri, Listener, Receipt, Receiver, Request, Sender, Transport,
    TransportError,
};

/// A sender whose panics are errors.
#[derive(Debug)]
pub(crate) struct PanicSafeSender {
    address: Address,
    inner: Arc<dyn Sender>,
}

impl PanicSafeSender {
    /// The way to a destination.
    ///
    /// # Errors
    /// As [`Transport::sender`].
    pub(crate) fn open(
        transport: &dyn Transport,
        uri: &EndpointUri,
    ) -> Result<Arc<dyn Sender>, TransportError> {
        let address = uri.address.clone();
        let inner = caught(|| transport.sender(uri)).map_err(|panic| unusable(&address, &panic))?;
        Ok(Arc::new(Self { address, inner: inner? }))
    }

    /// What was sent before it panicked may have arrived.
    fn lost(&self, panic: &Panic) -> TransportError {
        TransportError::Lost {
            address: self.address.to_string(),
            why: panicked(panic),
            source: None,
        }
    }
}

impl Sender for PanicSafeSender {
    fn send(&self, batch: Batch) -> BoxFuture<'_, Result<Vec<Receipt>, TransportError>> {
        let sent = Caught::of(|| self.inner.send(batch));
        async { sent.await.unwrap_or_else(|panic| Err(self.lost(&panic))) }.boxed()
    }

    fn longest_pause(&self) -> Duration {
        caught(|| self.inner.longest_pause()).unwrap_or(Backoff::LONGEST)
    }

    fn problem(&self) -> Option<String> {
        caught(|| self.inner.problem()).unwrap_or_else(|panic| Some(panicked(&panic)))
    }

    fn request(&self, request: Request) -> BoxFuture<'_, Result<Answer, TransportError>> {
        let answer = Caught::of(|| self.inner.request(request));
        async { answer.await.unwrap_or_else(|panic| Err(self.lost(&panic))) }.boxed()
    }
}

/// A listener whose panics are noted in the log.
#[derive(Debug)]
pub(crate) struct PanicSafeListener {
    address: Address,
    inner: Box<dyn Listener>,
}

impl PanicSafeListener {
    /// Begins to receive.
    ///
    /// # Errors
    /// As [`Transport::listen`].
    pub(crate) async fn open(
        transport: &dyn Transport,
        uri: EndpointUri,
        receiver: Arc<dyn Receiver>,
    ) -> Result<Arc<dyn Listener>, TransportError> {
        let address = uri.address.clone();
        let unusable = |panic: Panic| unusable(&address, &panic);
        let inner = Caught::of(|| transport.listen(uri, receiver)).await.map_err(unusable)??;
        let address = caught(|| inner.address()).map_err(unusable)?;
        Ok(Arc::new(Self { address, inner }))
    }
}

impl Listener for PanicSafeListener {
    fn address(&self) -> Address {
        self.address.clone()
    }

    fn problem(&self) -> Option<String> {
        caught(|| self.inner.problem()).unwrap_or_else(|panic| Some(panicked(&panic)))
    }

    fn stop(&self) -> BoxFuture<'_, ()> {
        let stopped = Caught::of(|| self.inner.stop());
        async {
            if let Err(panic) = stopped.await {
                let address = &self.address;
                tracing::error!(%address, %panic, "its transport panicked while it stopped");
            }
        }
        .boxed()
    }
}

/// What is wrong with these endpoints, by their numbers.
pub(crate) async fn prepare(
    transport: &dyn Transport,
    endpoints: &[(EndpointUri, Direction)],
) -> Vec<(usize, TransportError)> {
    let prepared = Caught::of(|| transport.prepare(endpoints)).await;
    prepared.unwrap_or_else(|panic| {
        let all = endpoints.iter().enumerate();
        all.map(|(number, (uri, _))| (number, unusable(&uri.address, &panic))).collect()
    })
}

fn unusable(address: &Address, panic: &Panic) -> TransportError {
    TransportError::Address { address: address.to_string(), why: panicked(panic) }
}

fn panicked(panic: &Panic) -> String {
    format!("its transport panicked: {panic}")
}
