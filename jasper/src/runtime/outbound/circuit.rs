//! The circuit breaker of one endpoint: open while its destination is down.

use std::sync::Mutex;
use std::sync::PoisonError;
use std::time::Duration;

use tokio::sync::watch;

use crate::runtime::own::node::jittered;

/// The first wait before a destination that failed is tried again; each further one doubles.
const FIRST_PAUSE: Duration = Duration::from_millis(50);
const LONGEST_PAUSE: Duration = Duration::from_secs(5);

/// Whether a destination is worth trying now.
#[derive(Debug)]
pub(crate) struct Circuit {
    is_open: watch::Sender<bool>,
    pause: Mutex<Duration>,
}

impl Default for Circuit {
    fn default() -> Self {
        Self { is_open: watch::Sender::new(false), pause: Mutex::new(FIRST_PAUSE) }
    }
}

impl Circuit {
    pub(crate) fn is_open(&self) -> bool {
        *self.is_open.borrow()
    }

    /// Waits until it is open.
    pub(crate) async fn opened(&self) {
        // The sender lives as long as this borrow of it.
        let _ = self.is_open.subscribe().wait_for(|is_open| *is_open).await;
    }

    /// The destination failed. `true`: it worked until now.
    pub(crate) fn open(&self) -> bool {
        !self.is_open.send_replace(true)
    }

    /// The destination answers. `true`: it did not until now.
    pub(crate) fn close(&self) -> bool {
        self.is_open.send_if_modified(std::mem::take)
    }

    /// The destination takes messages: a destination that answers and takes none is still asked
    /// more and more seldom.
    pub(crate) fn reset(&self) {
        *self.pause() = FIRST_PAUSE;
    }

    /// How long to wait before the destination is tried again.
    pub(crate) fn next_pause(&self) -> Duration {
        let mut pause = self.pause();
        let now = *pause;
        *pause = (now * 2).min(LONGEST_PAUSE);
        jittered(now)
    }

    fn pause(&self) -> std::sync::MutexGuard<'_, Duration> {
        self.pause.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn pauses_grow_until_it_closes() {
        let circuit = Circuit::default();
        assert!(!circuit.is_open());
        assert!(circuit.open() && circuit.is_open());
        circuit.opened().await;
        assert!(!circuit.open(), "it was open");
        let longest = (0..20).map(|_| circuit.next_pause()).max().unwrap();
        assert!(longest > LONGEST_PAUSE / 2 && longest < LONGEST_PAUSE * 2, "{longest:?}");
        assert!(circuit.close() && !circuit.close());
        assert!(circuit.next_pause() > LONGEST_PAUSE / 2, "it has taken nothing yet");
        circuit.reset();
        assert!(circuit.next_pause() < FIRST_PAUSE * 2);
    }
}
