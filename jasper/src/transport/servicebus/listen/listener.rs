//! A listener: a task that consumes, and begins anew whatever ends it.

use std::sync::Arc;
use std::time::Duration;

use futures_util::future::{BoxFuture, join_all};
use parking_lot::Mutex;
use tokio::sync::{Semaphore, watch};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::super::connection::BrokerConnection;
use super::super::endpoint::ServiceBusEndpoint;
use super::super::requests::Serving;
use super::locks::Locks;
use crate::envelope::Address;
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
    pub(in super::super) state: watch::Sender<State>,
}

/// Whether messages come.
#[derive(Debug, Clone, Default)]
pub(in super::super) enum State {
    #[default]
    Starting,
    Up,
    /// Nothing comes, or what comes is not taken.
    Down(TransportError),
    Waiting(String),
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

/// How long a listener waits before it tries again, at first and at most.
const FIRST: Duration = Duration::from_millis(50);
const LONGEST: Duration = Duration::from_millis(500);

impl ServiceBusListener {
    /// Begins to consume. That the broker cannot be reached is no error: it is tried again.
    pub(in super::super) async fn start(
        address: Address,
        all: Vec<Listening>,
    ) -> Result<Self, TransportError> {
        let workers: Vec<_> = all.into_iter().map(Worker::start).collect();
        let listener = Self { address, workers };
        for worker in &listener.workers {
            if let State::Down(
                error @ (TransportError::Address { .. }
                | TransportError::Insecure { .. }
                | TransportError::Mismatch { .. }
                | TransportError::Rejected { .. }),
            ) = worker.first_state().await
            {
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

    async fn first_state(&self) -> State {
        let mut state = self.listening.state.subscribe();
        // The sender lives as long as the worker.
        let first = state.wait_for(|state| !matches!(state, State::Starting)).await;
        first.map(|state| state.clone()).unwrap_or_default()
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

    fn problem(&self) -> Option<String> {
        match &*self.listening.state.borrow() {
            State::Starting | State::Up => None,
            State::Down(error) => Some(error.to_string()),
            State::Waiting(why) => Some(format!("what has come is not taken yet: {why}")),
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
    let renewing = listening.locks.renew_all();
    tokio::select! {
        () = renewing => {}
        () = consume_again_and_again(&listening) => {}
    }
}

async fn consume_again_and_again(listening: &Arc<Listening>) {
    let mut pause = FIRST;
    while let Err(error) = listening.consume().await {
        if matches!(*listening.state.borrow(), State::Up | State::Waiting(_)) {
            pause = FIRST;
        }
        let is_news = listening.is_down_with(&error);
        if is_news {
            tracing::warn!(address = %listening.address, %error, "the listener is down");
        }
        listening.state.send_replace(State::Down(error));
        let wait = tokio::time::sleep(pause);
        if listening.stop.run_until_cancelled(wait).await.is_none() {
            break;
        }
        pause = (pause * 2).min(LONGEST);
    }
    listening.settle_all().await;
}

impl Listening {
    /// Whether a message is settled at the end of its handler.
    pub(super) fn is_inline(&self) -> bool {
        self.receiver.mode() == Mode::Inline && !self.endpoint.listening.is_of_dead_letters
    }

    /// Whether it is down for another reason than until now.
    fn is_down_with(&self, error: &TransportError) -> bool {
        match &*self.state.borrow() {
            State::Down(known) => known.to_string() != error.to_string(),
            _ => true,
        }
    }

    /// Messages come.
    pub(super) fn note_up(&self) {
        let was_down = !matches!(self.state.send_replace(State::Up), State::Up | State::Starting);
        if was_down {
            tracing::info!(address = %self.address, "the listener works again");
        }
    }

    /// What came is taken.
    pub(super) fn note_taken(&self) {
        let waited = self.state.send_if_modified(|state| {
            let waits = matches!(state, State::Waiting(_));
            if waits {
                *state = State::Up;
            }
            waits
        });
        if waited {
            tracing::info!(address = %self.address, "the listener works again");
        }
    }

    /// What came is not taken at present.
    pub(super) fn note_waiting(&self, why: &str) {
        let is_new = self.state.send_if_modified(|state| {
            let is_new = matches!(state, State::Up | State::Starting);
            if is_new || matches!(state, State::Waiting(_)) {
                *state = State::Waiting(why.to_owned());
            }
            is_new
        });
        if is_new {
            tracing::warn!(address = %self.address, why, "what has come is not taken yet");
        }
    }
}

impl Listener for ServiceBusListener {
    fn address(&self) -> Address {
        self.address.clone()
    }

    fn problem(&self) -> Option<String> {
        self.workers.iter().find_map(Worker::problem)
    }

    fn stop(&self) -> BoxFuture<'_, ()> {
        Box::pin(self.end())
    }
}
