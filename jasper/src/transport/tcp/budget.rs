//! Memory for what was received: a bound for all connections together.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::held_memory::HeldMemory;
use super::limits::Limits;
use super::write_queue::WriteQueue;

/// What a connection may hold without asking, so that none waits for others with a small frame.
const FREE: usize = 4 << 10;

/// Bytes that may be held together: by all, by one peer, by one connection.
#[derive(Debug, Clone)]
pub(super) struct Portion {
    bytes: Arc<Semaphore>,
    total: u32,
}

impl Portion {
    pub(super) fn new(bytes: usize) -> Self {
        let total = u32::try_from(bytes).unwrap_or(u32::MAX).max(1);
        let permits = usize::try_from(total).unwrap_or(Semaphore::MAX_PERMITS);
        Self { bytes: Arc::new(Semaphore::new(permits)), total }
    }

    /// More than there is at all is given when everything is free.
    fn at_most(&self, bytes: usize) -> u32 {
        u32::try_from(bytes).unwrap_or(u32::MAX).min(self.total)
    }

    fn try_take(&self, bytes: usize) -> Option<OwnedSemaphorePermit> {
        Arc::clone(&self.bytes).try_acquire_many_owned(self.at_most(bytes)).ok()
    }

    async fn take(&self, bytes: usize) -> Option<OwnedSemaphorePermit> {
        Arc::clone(&self.bytes).acquire_many_owned(self.at_most(bytes)).await.ok()
    }
}

/// Bytes that all connections may hold together.
#[derive(Debug)]
pub(super) struct ReceiveBudget {
    all: Portion,
    /// Who holds it needs no bytes. Without it, connections that have read half a frame each could
    /// use up all bytes and wait for each other.
    beyond: Arc<Semaphore>,
}

impl ReceiveBudget {
    pub(super) fn new(limits: &Limits) -> Arc<Self> {
        Arc::new(Self { all: Portion::new(limits.memory), beyond: Arc::new(Semaphore::new(1)) })
    }

    /// How many bytes are left.
    #[cfg(test)]
    pub(super) fn left(&self) -> usize {
        self.all.bytes.available_permits()
    }
}

/// Where one connection takes its memory from.
#[derive(Debug, Clone)]
pub(super) struct Allowance {
    budget: Option<Arc<ReceiveBudget>>,
    free: Arc<Semaphore>,
    /// Of the connection, of its peer, and of all: memory is taken from each of them.
    portions: Vec<Portion>,
    write_queue: Option<Arc<WriteQueue>>,
    sign_of_life: Duration,
}

impl Allowance {
    /// For a connection that was accepted, within these portions. While it waits, the other side
    /// gets a sign of life this often.
    pub(super) fn of(
        budget: &Arc<ReceiveBudget>,
        portions: impl IntoIterator<Item = Portion>,
        write_queue: &Arc<WriteQueue>,
        sign_of_life: Duration,
    ) -> Self {
        Self {
            budget: Some(Arc::clone(budget)),
            free: Arc::new(Semaphore::new(FREE)),
            portions: portions.into_iter().chain([budget.all.clone()]).collect(),
            write_queue: Some(Arc::clone(write_queue)),
            sign_of_life,
        }
    }

    /// For frames that are bounded by something else: first frames by their number and size, and
    /// answers by the questions of this process.
    pub(super) fn unbounded() -> Self {
        Self {
            budget: None,
            free: Arc::new(Semaphore::new(0)),
            portions: Vec::new(),
            write_queue: None,
            sign_of_life: Duration::MAX,
        }
    }

    /// Room for this many bytes in addition to what is held; waits until there is.
    pub(super) async fn grow(&self, hold: &mut HeldMemory, bytes: usize) {
        let Some(budget) = &self.budget else {
            return;
        };
        if hold.beyond.is_some() || bytes == 0 {
            return;
        }
        let free = u32::try_from(bytes).unwrap_or(u32::MAX);
        if let Ok(permit) = Arc::clone(&self.free).try_acquire_many_owned(free) {
            return hold.parts.push(permit);
        }
        let held = hold.parts.len();
        hold.parts.extend(self.portions.iter().map_while(|portion| portion.try_take(bytes)));
        if hold.parts.len() - held == self.portions.len() {
            return;
        }
        hold.parts.truncate(held);
        let wait = async {
            tokio::select! {
                biased;
                () = self.take(&mut hold.parts, bytes) => {}
                permit = Arc::clone(&budget.beyond).acquire_owned() => hold.beyond = permit.ok(),
            }
        };
        tokio::pin!(wait);
        while tokio::time::timeout(self.sign_of_life, &mut wait).await.is_err() {
            if let Some(write_queue) = &self.write_queue {
                write_queue.pong();
            }
        }
    }

    /// The narrowest portion first: what waits for its own takes nothing from others.
    async fn take(&self, parts: &mut Vec<OwnedSemaphorePermit>, bytes: usize) {
        let mut taken = Vec::with_capacity(self.portions.len());
        for portion in &self.portions {
            taken.extend(portion.take(bytes).await);
        }
        parts.append(&mut taken);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn allowance(budget: &Arc<ReceiveBudget>) -> Allowance {
        Allowance::of(budget, [], &WriteQueue::new(), Duration::from_secs(10))
    }

    #[tokio::test]
    async fn small_frames_cost_nothing_of_what_all_share() {
        let budget = ReceiveBudget::new(&Limits::default().memory(20_000));
        let (one, mut hold) = (allowance(&budget), HeldMemory::default());
        one.grow(&mut hold, FREE).await;
        assert_eq!(budget.left(), 20_000);
        one.grow(&mut hold, 1).await;
        assert_eq!(budget.left(), 19_999);
        drop(hold);
        assert_eq!(budget.left(), 20_000);
    }

    #[tokio::test]
    async fn two_that_have_half_of_what_they_need_do_not_wait_for_each_other() {
        let budget = ReceiveBudget::new(&Limits::default().memory(20_000));
        let (one, other) = (allowance(&budget), allowance(&budget));
        let (mut first, mut second) = (HeldMemory::default(), HeldMemory::default());
        one.grow(&mut first, 10_000).await;
        other.grow(&mut second, 10_000).await;
        one.grow(&mut first, 10_000).await;
        one.grow(&mut first, 1_000_000).await;
        let mut waiting = Box::pin(other.grow(&mut second, 10_000));
        assert!(futures_util::poll!(&mut waiting).is_pending());
        drop(first);
        waiting.await;
    }

    #[tokio::test]
    async fn one_that_has_all_of_its_portion_leaves_the_rest_to_others() {
        let budget = ReceiveBudget::new(&Limits::default().memory(20_000));
        let write_queue = WriteQueue::new();
        let narrow = Portion::new(5_000);
        let second = Duration::from_secs(10);
        let one = Allowance::of(&budget, [narrow], &write_queue, second);
        let other = allowance(&budget);
        let mut holds: Vec<_> = (0..4).map(|_| HeldMemory::default()).collect();
        one.grow(&mut holds[0], 5_000).await;
        // The one frame that may go beyond.
        one.grow(&mut holds[1], 5_000).await;
        let mut last = std::mem::take(&mut holds[2]);
        let mut waiting = Box::pin(one.grow(&mut last, 5_000));
        assert!(futures_util::poll!(&mut waiting).is_pending());
        other.grow(&mut holds[3], 15_000).await;
        assert_eq!(budget.left(), 0);
        holds.truncate(1);
        waiting.await;
    }

    #[tokio::test]
    async fn more_than_there_is_at_all_is_given_when_everything_is_free() {
        let budget = ReceiveBudget::new(&Limits::default().memory(100));
        let mut hold = HeldMemory::default();
        allowance(&budget).grow(&mut hold, 1_000_000).await;
        assert_eq!(budget.left(), 0);
    }
}
