//! How large replies are, so that memory for them is taken before they are made.

use std::collections::HashMap;
use std::sync::Arc;

use parking_lot::Mutex;
use tokio::sync::{Semaphore, watch};

use super::super::budget::Allowance;
use super::super::held_memory::HeldMemory;
use crate::message::MessageType;

/// The largest reply so far to each type of request.
#[derive(Debug)]
pub(super) struct ReplySizes {
    largest: Mutex<HashMap<MessageType, usize>>,
    /// What is expected of the first reply to a type, in bytes.
    unknown: usize,
    /// One reply of unknown size may go beyond the memory of all: while others use that up, a small
    /// reply would wait until its type is known, and that it would never be.
    first: Arc<Semaphore>,
    /// Sends whenever one of the sizes has changed.
    changes: watch::Sender<()>,
}

impl ReplySizes {
    /// The first reply to each type of request is expected to have this many bytes.
    pub(super) fn new(unknown: usize) -> Self {
        let (first, changes) = (Arc::new(Semaphore::new(1)), watch::Sender::new(()));
        Self { largest: Mutex::default(), unknown, first, changes }
    }

    /// Waits for memory for a reply to a request of this type.
    ///
    /// # Cancel safety
    /// Dropped, it has taken nothing.
    pub(super) async fn reserve(
        &self,
        request: &MessageType,
        allowance: &Allowance,
        hold: &mut HeldMemory,
    ) {
        let mut changes = self.changes.subscribe();
        loop {
            let known = self.known(request);
            tokio::select! {
                biased;
                () = allowance.grow(hold, known.unwrap_or(self.unknown)) => return,
                permit = Arc::clone(&self.first).acquire_owned(), if known.is_none() => {
                    return hold.parts.extend(permit);
                }
                // By now less may be enough. The sender lives as long as this.
                _changed = changes.changed() => {}
            }
        }
    }

    /// Notes the size of a reply, and says by how much it is larger than what was reserved.
    pub(super) fn note(&self, request: &MessageType, bytes: usize) -> usize {
        let mut largest = self.largest.lock();
        let known = largest.get(request).copied();
        if known.is_none_or(|known| bytes > known) {
            largest.insert(request.clone(), bytes);
            self.changes.send_replace(());
        }
        bytes.saturating_sub(known.unwrap_or(self.unknown))
    }

    fn known(&self, request: &MessageType) -> Option<usize> {
        self.largest.lock().get(request).copied()
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::super::super::budget::ReceiveBudget;
    use super::super::super::limits::Limits;
    use super::super::super::write_queue::WriteQueue;
    use super::*;

    #[tokio::test]
    async fn what_waits_for_the_size_of_the_first_reply_goes_on_when_that_is_known() {
        let sizes = ReplySizes::new(1_000_000);
        let request = MessageType::new("report", 1);
        let budget = ReceiveBudget::new(&Limits::default().memory(100_000));
        let second = Duration::from_secs(1);
        let allowance = || Allowance::of(&budget, [], &WriteQueue::new(), second);
        let [mut first, mut beyond, mut beyond_too] = [(); 3].map(|()| HeldMemory::default());
        sizes.reserve(&request, &allowance(), &mut first).await;
        // The one that needs no memory of the budget, and the one whose size is not known.
        sizes.reserve(&request, &allowance(), &mut beyond).await;
        sizes.reserve(&request, &allowance(), &mut beyond_too).await;
        let (third, mut hold) = (allowance(), HeldMemory::default());
        let mut waiting = Box::pin(sizes.reserve(&request, &third, &mut hold));
        assert!(futures_util::poll!(&mut waiting).is_pending());
        assert_eq!(sizes.note(&request, 100), 0);
        waiting.await;
        assert_eq!(sizes.note(&request, 150), 50, "it is larger than any before it");
        assert_eq!(sizes.known(&request), Some(150));
        drop((first, beyond, beyond_too, Arc::clone(&budget)));
    }
}
