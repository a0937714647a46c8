//! The circuit breaker of one endpoint: open while its destination is down.

use std::time::Duration;

use parking_lot::{Mutex, MutexGuard};
use tokio::sync::watch;

use crate::runtime::backoff::Backoff;
use crate::runtime::own::jitter::jittered;

/// Whether a destination is worth trying now.
#[derive(Debug)]
pub(crate) struct Circuit {
    is_open: watch::Sender<bool>,
    /// Why it is open.
    problem: Mutex<Option<String>>,
    backoff: Mutex<Backoff>,
}

impl Default for Circuit {
    fn default() -> Self {
        let (is_open, backoff) = (watch::Sender::new(false), Mutex::new(Backoff::new()));
        Self { is_open, problem: Mutex::default(), backoff }
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

    /// Why it is open, if it is.
    pub(crate) fn problem(&self) -> Option<String> {
        self.problem.lock().clone()
    }

    /// The destination failed. `true`: it worked until now.
    pub(crate) fn open(&self, why: String) -> bool {
        *self.problem.lock() = Some(why);
        !self.is_open.send_replace(true)
    }

    /// The destination answers. `true`: it did not until now.
    pub(crate) fn close(&self) -> bool {
        *self.problem.lock() = None;
        self.is_open.send_if_modified(std::mem::take)
    }

    /// The destination takes messages: a destination that answers and takes none is still asked
    /// more and more seldom.
    pub(crate) fn reset(&self) {
        *self.backoff() = Backoff::new();
    }

    /// How long to wait before the destination is tried again.
    pub(crate) fn next_pause(&self) -> Duration {
        jittered(self.backoff().next())
    }

    fn backoff(&self) -> MutexGuard<'_, Backoff> {
        self.backoff.lock()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn pauses_grow_until_it_closes() {
        let circuit = Circuit::default();
        assert!(!circuit.is_open());
        assert!(circuit.open("gone".into()) && circuit.is_open());
        assert_eq!(circuit.problem().as_deref(), Some("gone"));
        circuit.opened().await;
        assert!(!circuit.open("gone".into()), "it was open");
        let longest = (0..20).map(|_| circuit.next_pause()).max().unwrap();
        assert!(longest > Backoff::LONGEST / 2 && longest < Backoff::LONGEST * 2, "{longest:?}");
        assert!(circuit.close() && !circuit.close());
        assert_eq!(circuit.problem(), None);
        assert!(circuit.next_pause() > Backoff::LONGEST / 2, "it has taken nothing yet");
        circuit.reset();
        assert!(circuit.next_pause() < Backoff::FIRST * 2);
    }
}
