//! The messages of one endpoint that wait in memory to be sent.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::Notify;
use tokio::time::Instant;

use crate::envelope::Envelope;
use crate::runtime::memory::activity::{Active, Activity};
use crate::runtime::memory::room::Slot;
use crate::runtime::own::held::Hold;
use crate::store::Owner;

/// One message in memory, on its way to another process.
#[derive(Debug)]
pub(crate) struct Parcel {
    pub(crate) envelope: Arc<Envelope>,
    /// The incarnation that owns its row of the outbox, where it has one.
    pub(crate) row: Option<(Owner, Hold)>,
    pub(crate) _slot: Slot,
    pub(crate) _active: Active,
}

impl Parcel {
    /// A message that is only in memory.
    pub(crate) fn new(envelope: Envelope, slot: Slot, activity: &Activity) -> Self {
        let (envelope, active) = (Arc::new(envelope), activity.begin());
        Self { envelope, row: None, _slot: slot, _active: active }
    }
}

/// Messages in the order in which they are to leave.
#[derive(Debug)]
pub(crate) struct Line {
    parcels: Mutex<VecDeque<(Parcel, Instant)>>,
    /// Wakes the relay.
    wake: Arc<Notify>,
}

/// The most bytes of payload in one batch; one message may have more.
const BATCH_BYTES: usize = 256 * 1024;

impl Line {
    pub(crate) fn new(wake: Arc<Notify>) -> Self {
        Self { parcels: Mutex::default(), wake }
    }

    pub(crate) fn push(&self, parcel: Parcel) {
        self.parcels().push_back((parcel, Instant::now()));
        self.wake.notify_one();
    }

    /// Puts those back that were taken from the front and have certainly not left.
    pub(crate) fn push_front(&self, parcels: Vec<Parcel>) {
        let now = Instant::now();
        let mut line = self.parcels();
        for parcel in parcels.into_iter().rev() {
            line.push_front((parcel, now));
        }
    }

    /// How long the oldest may still wait for others; `None` where there is none.
    pub(crate) fn patience(&self, batch: usize, linger: Duration) -> Option<Duration> {
        let line = self.parcels();
        let (_, arrived) = line.front()?;
        let is_full = line.len() >= batch;
        Some(if is_full { Duration::ZERO } else { linger.saturating_sub(arrived.elapsed()) })
    }

    /// The next batch, which is empty where nothing waits.
    pub(crate) fn take(&self, batch: usize) -> Vec<Parcel> {
        let mut line = self.parcels();
        let mut bytes = 0;
        let mut taken = Vec::new();
        while taken.len() < batch
            && let Some((parcel, _)) = line.front()
        {
            bytes += parcel.envelope.payload.len();
            if bytes > BATCH_BYTES && !taken.is_empty() {
                break;
            }
            taken.extend(line.pop_front().map(|(parcel, _)| parcel));
        }
        taken
    }

    /// All that are left.
    pub(crate) fn take_all(&self) -> Vec<Parcel> {
        self.parcels().drain(..).map(|(parcel, _)| parcel).collect()
    }

    /// How many wait.
    pub(crate) fn len(&self) -> usize {
        self.parcels().len()
    }

    /// All that have a row of the outbox: whoever claims it can send it.
    pub(crate) fn take_stored(&self) -> Vec<Parcel> {
        let mut line = self.parcels();
        let (stored, in_memory) =
            std::mem::take(&mut *line).into_iter().partition(|(parcel, _)| parcel.row.is_some());
        *line = in_memory;
        let stored: VecDeque<_> = stored;
        stored.into_iter().map(|(parcel, _)| parcel).collect()
    }

    fn parcels(&self) -> MutexGuard<'_, VecDeque<(Parcel, Instant)>> {
        self.parcels.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
