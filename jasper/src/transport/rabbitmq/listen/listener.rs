//! A listener: a task that consumes, and begins anew whatever ends it.

use std::sync::Arc;

use futures_util::future::BoxFuture;
use parking_lot::Mutex;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use super::super::connection::BrokerConnection;
use super::super::endpoint::RabbitEndpoint;
use super::super::listen_options::Offset;
use super::super::publisher::Publisher;
use crate::envelope::Address;
use crate::transport::listener_state::ListenerState;
use crate::transport::{EnvelopeMapper, Listener, Receiver, TransportError};

/// What a listener needs.
#[derive(Debug)]
pub(in super::super) struct Listening {
    pub(in super::super) address: Address,
    pub(in super::super) endpoint: RabbitEndpoint,
    pub(in super::super) connection: Arc<BrokerConnection>,
    /// Publishes refused messages to the dead-letter queue.
    pub(in super::super) publisher: Arc<Publisher>,
    pub(in super::super) receiver: Arc<dyn Receiver>,
    pub(in super::super) mapper: Option<Arc<dyn EnvelopeMapper>>,
    /// The offset at which a stream is read on after a new connection.
    pub(in super::super) position: Mutex<Option<Offset>>,
    pub(in super::super) stop: CancellationToken,
    pub(in super::super) state: ListenerState,
}

#[derive(Debug)]
pub(in super::super) struct RabbitListener {
    address: Address,
    listening: Arc<Listening>,
    task: Mutex<Option<JoinHandle<()>>>,
}

impl RabbitListener {
    /// Begins to consume. That the broker cannot be reached is no error: it is tried again.
    pub(in super::super) async fn start(listening: Listening) -> Result<Self, TransportError> {
        let listening = Arc::new(listening);
        let task = tokio::spawn(run(Arc::clone(&listening)));
        let listener =
            Self { address: listening.address.clone(), listening, task: Mutex::new(Some(task)) };
        if let Err(error) = listener.listening.state.first().await {
            listener.end().await;
            return Err(error);
        }
        Ok(listener)
    }

    async fn end(&self) {
        self.listening.stop.cancel();
        let task = self.task.lock().take();
        if let Some(task) = task
            && let Err(error) = task.await
        {
            tracing::error!(address = %self.address, %error, "a listener has ended badly");
        }
    }
}

impl Drop for RabbitListener {
    fn drop(&mut self) {
        // Not stopped in an orderly way: what is not acknowledged is delivered again.
        if let Some(task) = self.task.lock().take() {
            task.abort();
        }
    }
}

async fn run(listening: Arc<Listening>) {
    let Listening { state, stop, .. } = &*listening;
    state.consume_again_and_again(stop, || listening.consume()).await;
}

impl Listener for RabbitListener {
    fn address(&self) -> Address {
        self.address.clone()
    }

    fn problem(&self) -> Option<String> {
        self.listening.state.problem()
    }

    fn stop(&self) -> BoxFuture<'_, ()> {
        Box::pin(self.end())
    }
}
