//! A listener: a task that consumes, and begins anew whatever ends it.

use std::sync::Arc;

use futures_util::future::{BoxFuture, join_all};
use parking_lot::Mutex;
use tokio::sync::Semaphore;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::super::connection::BrokerConnection;
use super::super::endpoint::ServiceBusEndpoint;
use super::super::requests::Serving;
use super::locks::Locks;
use crate::envelope::Address;
use crate::transport::listener_state::ListenerState;
use crate::transport::{EnvelopeMapper, Listener, Mode, Receiver, TransportError};

/// What a listener needs.
#[derive(Debug)]
pub(in super::super) struct Listening {
    pub(in super::super) address: Address,
    pub(in super::super) endpoint: ServiceBusEndpoint,
    pub(in super::super) connection: Arc<BrokerConnection>,
    pub(in super::super) receiver: Arc<dyn Receiver>,
    pub(in super::super) serving: Arc<Serving>,
    pub(in super::super) mapper: Option<Arc<dyn EnvelopeMapper>>,
    /// The locks of what has come.
    pub(in super::super) locks: Arc<Locks>,
    /// What is being taken and settled; it goes on when a link ends.
    pub(in super::super) tasks: TaskTracker,
    /// Where messages are taken in order, the turn of the next ones.
    pub(in super::super) turns: Arc<Semaphore>,
    /// Cancelled where the listener is not stopped in an orderly way.
    pub(in super::super) abort: CancellationToken,
    pub(in super::super) stop: CancellationToken,
    pub(in super::super) state: ListenerState,
}

/// One of the tasks of a listener: the only one, or one for each session that is held.
#[derive(Debug)]
struct Worker {
    listening: Arc<Listening>,
    task: Mutex<Option<JoinHandle<()>>>,
}

#[derive(Debug)]
pub(in super::super) struct ServiceBusListener {
    address: Address,
    workers: Vec<Worker>,
}

impl ServiceBusListener {
    /// Begins to consume. That the broker cannot be reached is no error: it is tried again.
    pub(in super::super) async fn start(
        address: Address,
        all: Vec<Listening>,
    ) -> Result<Self, TransportError> {
        let workers: Vec<_> = all.into_iter().map(Worker::start).collect();
        let listener = Self { address, workers };
        for worker in &listener.workers {
            if let Err(error) = worker.listening.state.first().await {
                listener.end().await;
                return Err(error);
            }
        }
        Ok(listener)
    }

    async fn end(&self) {
        join_all(self.workers.iter().map(Worker::end)).await;
    }
}

impl Worker {
    fn start(listening: Listening) -> Self {
        let listening = Arc::new(listening);
        let task = tokio::spawn(run(Arc::clone(&listening)));
        Self { listening, task: Mutex::new(Some(task)) }
    }

    async fn end(&self) {
        self.listening.stop.cancel();
        let task = self.task.lock().take();
        if let Some(task) = task
            && let Err(error) = task.await
        {
            let address = &self.listening.address;
            tracing::error!(%address, %error, "a listener has ended badly");
        }
    }
}

impl Drop for Worker {
    fn drop(&mut self) {
        // Not stopped in an orderly way: what is not settled is delivered again.
        self.listening.abort.cancel();
        if let Some(task) = self.task.lock().take() {
            task.abort();
        }
    }
}

async fn run(listening: Arc<Listening>) {
    let consuming = async {
        let Listening { state, stop, .. } = &*listening;
        state.consume_again_and_again(stop, || listening.consume()).await;
        listening.settle_all().await;
    };
    tokio::select! {
        () = listening.locks.renew_all() => {}
        () = consuming => {}
    }
}

impl Listening {
    /// Whether a message is settled at the end of its handler.
    pub(super) fn is_inline(&self) -> bool {
        self.receiver.mode() == Mode::Inline && !self.endpoint.listening.is_of_dead_letters
    }
}

impl Listener for ServiceBusListener {
    fn address(&self) -> Address {
        self.address.clone()
    }

    fn problem(&self) -> Option<String> {
        self.workers.iter().find_map(|worker| worker.listening.state.problem())
    }

    fn stop(&self) -> BoxFuture<'_, ()> {
        Box::pin(self.end())
    }
}
