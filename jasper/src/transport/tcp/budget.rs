//! Memory for what was received: a bound for all connections together.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::Semaphore;

use super::held_memory::HeldMemory;
use super::limits::Limits;
use super::write_queue::WriteQueue;

/// What a connection may hold without asking, so that none waits for others with a small frame.
const FREE: usize = 4 << 10;

/// Bytes that all connections may hold together.
#[derive(Debug)]
pub(super) struct ReceiveBudget {
    bytes: Arc<Semaphore>,
    total: usize,
    /// Who holds it needs no bytes. Without it, connections that have read half a frame each could
    /// use up all bytes and wait for each other.
    beyond: Arc<Semaphore>,
}

impl ReceiveBudget {
    pub(super) fn new(limits: &Limits) -> Arc<Self> {
        let total = limits.memory.min(u32::MAX as usize);
        Arc::new(Self {
            bytes: Arc::new(Semaphore::new(total)),
            total,
            beyond: Arc::new(Semaphore::new(1)),
        })
    }

    /// How many bytes are left.
    #[cfg(test)]
    pub(super) fn left(&self) -> usize {
        self.bytes.available_permits()
    }
}

/// Where one connection takes its memory from.
#[derive(Debug, Clone)]
pub(super) struct Allowance {
    budget: Option<Arc<ReceiveBudget>>,
    free: Arc<Semaphore>,
    write_queue: Option<Arc<WriteQueue>>,
    sign_of_life: Duration,
}

impl Allowance {
    /// For a connection that was accepted. While it waits, the other side gets a sign of life this
    /// often.
    pub(super) fn of(
        budget: &Arc<ReceiveBudget>,
        write_queue: &Arc<WriteQueue>,
        sign_of_life: Duration,
    ) -> Self {
        Self {
            budget: Some(Arc::clone(budget)),
            free: Arc::new(Semaphore::new(FREE)),
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
            write_queue: None,
            sign_of_life: Duration::MAX,
        }
    }

    /// Room for so many bytes in addition to what is held; waits until there is.
    pub(super) async fn grow(&self, hold: &mut HeldMemory, bytes: usize) {
        let Some(budget) = &self.budget else {
            return;
        };
        if hold.beyond.is_some() || bytes == 0 {
            return;
        }
        let asked = u32::try_from(bytes).unwrap_or(u32::MAX);
        // More than there is at all is given when everything is free.
        let bytes = u32::try_from(bytes.min(budget.total)).unwrap_or(u32::MAX);
        for (semaphore, bytes) in [(&self.free, asked), (&budget.bytes, bytes)] {
            if let Ok(permit) = Arc::clone(semaphore).try_acquire_many_owned(bytes) {
                return hold.parts.push(permit);
            }
        }
        let wait = async {
            tokio::select! {
                biased;
                permit = Arc::clone(&budget.bytes).acquire_many_owned(bytes) => {
                    hold.parts.extend(permit);
                }
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
}

#[cfg(test)]
mod tests {
    use super::*;

    fn allowance(budget: &Arc<ReceiveBudget>) -> Allowance {
        Allowance::of(budget, &WriteQueue::new(), Duration::from_secs(10))
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
    async fn more_than_there_is_at_all_is_given_when_everything_is_free() {
        let budget = ReceiveBudget::new(&Limits::default().memory(100));
        let mut hold = HeldMemory::default();
        allowance(&budget).grow(&mut hold, 1_000_000).await;
        assert_eq!(budget.left(), 0);
    }
}
