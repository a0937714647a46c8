//! Whether messages come to a listener of a broker, and its beginning anew whatever ends it.

use std::time::Duration;

use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use super::error::TransportError;
use crate::envelope::Address;

/// How long a listener waits before it tries again, at first and at most.
const FIRST: Duration = Duration::from_millis(50);
const LONGEST: Duration = Duration::from_millis(500);

/// Whether messages come.
#[derive(Debug, Clone, Default)]
enum State {
    #[default]
    Starting,
    Up,
    /// Nothing comes, or what comes is not taken.
    Down(TransportError),
    Waiting(String),
}

/// Whether messages come to one listener; changes are logged.
#[derive(Debug)]
pub(super) struct ListenerState {
    address: Address,
    state: watch::Sender<State>,
}

impl ListenerState {
    pub(super) fn new(address: Address) -> Self {
        Self { address, state: watch::Sender::default() }
    }

    /// Waits until it is known whether messages come.
    ///
    /// # Errors
    /// They never will: to try again does not help.
    pub(super) async fn first(&self) -> Result<(), TransportError> {
        let mut state = self.state.subscribe();
        // The sender lives as long as this.
        let first = state.wait_for(|state| !matches!(state, State::Starting)).await;
        match first.map(|state| state.clone()).unwrap_or_default() {
            State::Down(
                error @ (TransportError::Address { .. }
                | TransportError::Insecure { .. }
                | TransportError::Mismatch { .. }
                | TransportError::Rejected { .. }),
            ) => Err(error),
            _ => Ok(()),
        }
    }

    /// Consumes until that ends without an error, or the listener is stopped.
    pub(super) async fn consume_again_and_again<C: Future<Output = Result<(), TransportError>>>(
        &self,
        stop: &CancellationToken,
        consume: impl Fn() -> C,
    ) {
        let mut pause = FIRST;
        while let Err(error) = consume().await {
            if matches!(*self.state.borrow(), State::Up | State::Waiting(_)) {
                pause = FIRST;
            }
            let is_news = self.is_down_with(&error);
            if is_news {
                tracing::warn!(address = %self.address, %error, "the listener is down");
            }
            self.state.send_replace(State::Down(error));
            let wait = tokio::time::sleep(pause);
            if stop.run_until_cancelled(wait).await.is_none() {
                return;
            }
            pause = (pause * 2).min(LONGEST);
        }
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

    /// What came is taken. Where nothing more comes meanwhile, that stays known.
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

    /// Why messages do not come, or are not taken.
    pub(super) fn problem(&self) -> Option<String> {
        match &*self.state.borrow() {
            State::Starting | State::Up => None,
            State::Down(error) => Some(error.to_string()),
            State::Waiting(why) => Some(format!("what has come is not taken yet: {why}")),
        }
    }
}
