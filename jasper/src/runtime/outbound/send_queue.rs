//! The messages of one endpoint that wait in memory to be sent.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::{Mutex, MutexGuard};
use tokio::sync::Notify;
use tokio::time::Instant;

use crate::envelope::Envelope;
use crate::runtime::memory::activity::{Active, Activity};
use crate::runtime::memory::room::MemorySlot;
use crate::runtime::own::rows_in_memory::InMemoryGuard;
use crate::store::Owner;

/// One message in memory, on its way to another process.
#[derive(Debug)]
pub(crate) struct PendingSend {
    pub(crate) envelope: Arc<Envelope>,
    /// The incarnation that owns its row of the outbox, where it has one.
    pub(crate) row: Option<(Owner, InMemoryGuard)>,
    pub(crate) _slot: MemorySlot,
    pub(crate) _active: Active,
}

impl PendingSend {
    /// A message that is only in memory.
    pub(crate) fn new(envelope: Envelope, slot: MemorySlot, activity: &Activity) -> Self {
        let (envelope, active) = (Arc::new(envelope), activity.start());
        Self { envelope, row: None, _slot: slot, _active: active }
    }
}

/// Messages in the order in which they are to leave.
#[derive(Debug)]
pub(crate) struct SendQueue {
    messages: Mutex<VecDeque<(PendingSend, Instant)>>,
    /// Wakes the relay.
    wake: Arc<Notify>,
}

/// The most bytes of payload in one batch; one message may have more.
const BATCH_BYTES: usize = 256 * 1024;

impl SendQueue {
    pub(crate) fn new(wake: Arc<Notify>) -> Self {
        Self { messages: Mutex::default(), wake }
    }

    pub(crate) fn push(&self, message: PendingSend) {
        self.messages().push_back((message, Instant::now()));
        self.wake.notify_one();
    }

    /// Puts those back that were taken from the front and have certainly not left.
    pub(crate) fn push_front(&self, messages: Vec<PendingSend>) {
        let now = Instant::now();
        let mut queue = self.messages();
        for message in messages.into_iter().rev() {
            queue.push_front((message, now));
        }
    }

    /// How long the oldest may still wait for others; `None` where there is none.
    pub(crate) fn remaining_linger(&self, batch: usize, linger: Duration) -> Option<Duration> {
        let queue = self.messages();
        let (_, arrived) = queue.front()?;
        let is_full = queue.len() >= batch;
        Some(if is_full { Duration::ZERO } else { linger.saturating_sub(arrived.elapsed()) })
    }

    /// The next batch, which is empty where nothing waits.
    pub(crate) fn take(&self, batch: usize) -> Vec<PendingSend> {
        let mut queue = self.messages();
        let mut bytes = 0;
        let mut taken = Vec::new();
        while taken.len() < batch
            && let Some((message, _)) = queue.front()
        {
            bytes += message.envelope.payload.len();
            if bytes > BATCH_BYTES && !taken.is_empty() {
                break;
            }
            taken.extend(queue.pop_front().map(|(message, _)| message));
        }
        taken
    }

    /// All that are left.
    pub(crate) fn take_all(&self) -> Vec<PendingSend> {
        self.messages().drain(..).map(|(message, _)| message).collect()
    }

    /// How many wait.
    pub(crate) fn len(&self) -> usize {
        self.messages().len()
    }

    /// All that have a row of the outbox: any node that claims it can send it.
    pub(crate) fn take_stored(&self) -> Vec<PendingSend> {
        let mut queue = self.messages();
        let (stored, in_memory) =
            std::mem::take(&mut *queue).into_iter().partition(|(message, _)| message.row.is_some());
        *queue = in_memory;
        let stored: VecDeque<_> = stored;
        stored.into_iter().map(|(message, _)| message).collect()
    }

    fn messages(&self) -> MutexGuard<'_, VecDeque<(PendingSend, Instant)>> {
        self.messages.lock()
    }
}
