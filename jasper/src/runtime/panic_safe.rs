//! Transports that an application brings: where their code panics, that is an error like another.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::{BoxFuture, FutureExt};

use super::backoff::Backoff;
use crate::caught::{Caught, Panic, caught};
use crate::envelope::Address;
use crate::transport::{
    Answer, Batch, BrokerCounts, ConventionalPlace, Deployment, Direction, EndpointUri, Listener,
    Receipt, Receiver, Request, Sender, Transport, TransportError, TransportInfo,
};

/// A transport whose panics are errors. Clones are the same transport.
#[derive(Debug, Clone)]
pub(crate) struct PanicSafeTransport {
    /// Asked for once, so that it cannot change.
    info: TransportInfo,
    inner: Arc<dyn Transport>,
}

impl PanicSafeTransport {
    /// # Errors
    /// It cannot say what it is; said in words.
    pub(crate) fn new(inner: Arc<dyn Transport>) -> Result<Self, String> {
        let info = caught(|| inner.info());
        let info = info.map_err(|panic| format!("a transport panicked in `info`: {panic}"))?;
        Ok(Self { info, inner })
    }

    /// Whether this is the same transport.
    pub(crate) fn is(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.inner, &other.inner)
    }

    /// As [`Transport::info`].
    pub(crate) const fn info(&self) -> &TransportInfo {
        &self.info
    }

    /// As [`Transport::configure`].
    ///
    /// # Errors
    /// As [`Transport::configure`].
    pub(crate) fn configure(&self, deployment: &Deployment) -> Result<(), TransportError> {
        caught(|| self.inner.configure(deployment))
            .unwrap_or_else(|panic| Err(unusable(self.info.name, &panic)))
    }

    /// As [`Transport::check`].
    ///
    /// # Errors
    /// As [`Transport::check`].
    pub(crate) fn check(
        &self,
        uri: &EndpointUri,
        direction: Direction,
    ) -> Result<(), TransportError> {
        caught(|| self.inner.check(uri, direction))
            .unwrap_or_else(|panic| Err(unusable(&uri.address, &panic)))
    }

    /// What is wrong with these endpoints, by their numbers.
    pub(crate) async fn prepare(
        &self,
        endpoints: &[(EndpointUri, Direction)],
    ) -> Vec<(usize, TransportError)> {
        let prepared = Caught::of(|| self.inner.prepare(endpoints)).await;
        prepared.unwrap_or_else(|panic| {
            let all = endpoints.iter().enumerate();
            all.map(|(number, (uri, _))| (number, unusable(&uri.address, &panic))).collect()
        })
    }

    /// As [`Transport::convention`].
    ///
    /// # Errors
    /// It has none, or panicked; said in words.
    pub(crate) fn convention(&self, place: &ConventionalPlace<'_>) -> Result<String, String> {
        match caught(|| self.inner.convention(place)) {
            Ok(Some(address)) => Ok(address),
            Ok(None) => Err(format!("the transport `{}` has no conventions", self.info.name)),
            Err(panic) => Err(format!("the transport `{}` panicked: {panic}", self.info.name)),
        }
    }

    /// As [`Transport::counts`].
    ///
    /// # Errors
    /// As [`Transport::counts`].
    pub(crate) async fn counts(
        &self,
        uri: &EndpointUri,
    ) -> Result<Option<BrokerCounts>, TransportError> {
        let counts = Caught::of(|| self.inner.counts(uri)).await;
        counts.unwrap_or_else(|panic| Err(unusable(&uri.address, &panic)))
    }

    /// The way to a destination.
    ///
    /// # Errors
    /// As [`Transport::sender`].
    pub(crate) fn sender(&self, uri: &EndpointUri) -> Result<Arc<dyn Sender>, TransportError> {
        let address = uri.address.clone();
        let inner = caught(|| self.inner.sender(uri));
        let inner = inner.map_err(|panic| unusable(&address, &panic))??;
        Ok(Arc::new(PanicSafeSender { address, info: self.info, inner }))
    }

    /// Begins to receive.
    ///
    /// # Errors
    /// As [`Transport::listen`].
    pub(crate) async fn listen(
        &self,
        uri: EndpointUri,
        receiver: Arc<dyn Receiver>,
    ) -> Result<Arc<dyn Listener>, TransportError> {
        let address = uri.address.clone();
        let unusable = |panic: Panic| unusable(&address, &panic);
        let inner = Caught::of(|| self.inner.listen(uri, receiver)).await.map_err(unusable)??;
        let address = caught(|| inner.address()).map_err(unusable)?;
        Ok(Arc::new(PanicSafeListener { address, inner }))
    }
}

/// A sender whose panics are errors.
#[derive(Debug)]
struct PanicSafeSender {
    address: Address,
    info: TransportInfo,
    inner: Arc<dyn Sender>,
}

impl PanicSafeSender {
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
        if !self.info.capabilities.requests {
            let error = without_requests(&self.address, self.info.name);
            return std::future::ready(Err(error)).boxed();
        }
        let answer = Caught::of(|| self.inner.request(request));
        async { answer.await.unwrap_or_else(|panic| Err(self.lost(&panic))) }.boxed()
    }
}

/// A listener whose panics are noted in the log.
#[derive(Debug)]
struct PanicSafeListener {
    address: Address,
    inner: Box<dyn Listener>,
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

fn unusable(address: impl fmt::Display, panic: &Panic) -> TransportError {
    TransportError::Address { address: address.to_string(), why: panicked(panic) }
}

/// A request over a transport by which no answer comes back.
fn without_requests(address: &Address, transport: &str) -> TransportError {
    TransportError::Rejected {
        address: address.to_string(),
        why: format!(
            "the transport `{transport}` carries no answers: `send` the command in place of \
             `invoke`, or lead its endpoint over a transport that has requests"
        ),
        source: None,
    }
}

fn panicked(panic: &Panic) -> String {
    format!("its transport panicked: {panic}")
}
