//! What many callers ask for in one round trip, without a timer: whatever waits when a flush ends
//! is the next flush.

use std::collections::VecDeque;
use std::fmt;
use std::sync::Arc;

use futures_util::future::BoxFuture;
use futures_util::stream::{self, StreamExt};
use parking_lot::{Mutex, MutexGuard};
use tokio::sync::oneshot;

use super::reply::{ReplySender, receive_reply, send_reply};
use crate::store::StoreError;
use crate::store::error::unless_it_panics;
use crate::store::portions::{PORTION, Weigh};

/// How many calls are repeated at once where one of a flush has met a lock.
const ALONE: usize = 4;

/// Does something for many at once, and answers each item in order.
type Flush<T, A> = Box<dyn Fn(Vec<T>) -> Flushed<A> + Send + Sync>;

/// The answers of one flush, once they are there.
type Flushed<A> = BoxFuture<'static, Result<Vec<A>, StoreError>>;

/// Gathers the items of many callers while a flush is on its way. Clones share one queue.
///
/// A flush that begins is finished, whether or not its callers still wait.
pub(crate) struct Coalescer<T, A> {
    shared: Arc<SharedCoalescer<T, A>>,
}

struct SharedCoalescer<T, A> {
    queue: Mutex<CallQueue<T, A>>,
    flush: Flush<T, A>,
    /// The most items of one flush; a single call with more goes alone, as one with more than
    /// [`PORTION`] bytes does.
    most: usize,
    /// How many flushes may be on their way at once.
    at_once: usize,
}

struct CallQueue<T, A> {
    waiting: VecDeque<WaitingCall<T, A>>,
    flushing: usize,
}

struct WaitingCall<T, A> {
    items: Vec<T>,
    reply: ReplySender<Vec<A>>,
}

impl<T, A> Coalescer<T, A>
where
    T: Weigh + Clone + Send + 'static,
    A: Send + 'static,
{
    pub(crate) fn new(
        most: usize,
        at_once: usize,
        flush: impl Fn(Vec<T>) -> Flushed<A> + Send + Sync + 'static,
    ) -> Self {
        let queue = Mutex::new(CallQueue { waiting: VecDeque::new(), flushing: 0 });
        Self { shared: Arc::new(SharedCoalescer { queue, flush: Box::new(flush), most, at_once }) }
    }

    /// Does it for these items together with those of others, and answers each of them in order.
    ///
    /// # Cancel safety
    /// Dropped, the items may or may not be done.
    pub(crate) async fn submit(&self, items: Vec<T>) -> Result<Vec<A>, StoreError> {
        if items.is_empty() {
            return Ok(Vec::new());
        }
        let (reply, answer) = oneshot::channel();
        if self.shared.enter(WaitingCall { items, reply }) {
            tokio::spawn(flush_all(Arc::clone(&self.shared)));
        }
        receive_reply(answer).await
    }
}

impl<T: Weigh, A> SharedCoalescer<T, A> {
    fn queue(&self) -> MutexGuard<'_, CallQueue<T, A>> {
        self.queue.lock()
    }

    /// `true`: the caller is to start a flusher.
    fn enter(&self, call: WaitingCall<T, A>) -> bool {
        let mut queue = self.queue();
        queue.waiting.push_back(call);
        let starts = queue.flushing < self.at_once;
        queue.flushing += usize::from(starts);
        starts
    }

    async fn flush(&self, items: Vec<T>) -> Result<Vec<A>, StoreError> {
        unless_it_panics((self.flush)(items)).await
    }

    /// The calls of the next flush. `None`: no caller waits, and the flusher that asked ends.
    fn next(&self) -> Option<Vec<WaitingCall<T, A>>> {
        let mut queue = self.queue();
        let mut calls = Vec::new();
        let (mut items, mut bytes) = (0, 0);
        while let Some(call) = queue.waiting.pop_front() {
            // What a caller asked for that is gone is not begun any more.
            if call.reply.is_closed() {
                continue;
            }
            items += call.items.len();
            bytes += call.items.iter().map(Weigh::weight).sum::<usize>();
            if (items > self.most || bytes > PORTION) && !calls.is_empty() {
                queue.waiting.push_front(call);
                break;
            }
            calls.push(call);
        }
        if calls.is_empty() {
            queue.flushing -= 1;
            return None;
        }
        Some(calls)
    }
}

/// Flushes until no caller waits.
async fn flush_all<T, A>(shared: Arc<SharedCoalescer<T, A>>)
where
    T: Weigh + Clone + Send + 'static,
    A: Send + 'static,
{
    while let Some(calls) = shared.next() {
        flush(&shared, calls).await;
        // A caller that has its reply may call again at once, and then shares the next flush.
        tokio::task::yield_now().await;
    }
}

async fn flush<T, A>(shared: &SharedCoalescer<T, A>, mut calls: Vec<WaitingCall<T, A>>)
where
    T: Weigh + Clone + Send + 'static,
    A: Send + 'static,
{
    if let [_only] = calls.as_slice()
        && let Some(call) = calls.pop()
    {
        return send_reply(call.reply, shared.flush(call.items).await);
    }
    let items = calls.iter().flat_map(|call| call.items.iter().cloned()).collect();
    match shared.flush(items).await {
        Ok(answers) => {
            let mut answers = answers.into_iter();
            for call in calls {
                let own = answers.by_ref().take(call.items.len()).collect();
                send_reply(call.reply, Ok(own));
            }
        }
        // One of them may have met a lock; the others must not fail with it, nor wait for it.
        Err(StoreError::Busy { .. }) => {
            let each = stream::iter(calls).for_each_concurrent(ALONE, |call| async {
                send_reply(call.reply, shared.flush(call.items).await);
            });
            each.await;
        }
        Err(error) if error.is_transient() => {
            for call in calls {
                send_reply(call.reply, Err(error.clone()));
            }
        }
        // One of them is at fault; the others must not fail with it.
        Err(_of_one) => {
            for call in calls {
                send_reply(call.reply, shared.flush(call.items).await);
            }
        }
    }
}

impl<T, A> Clone for Coalescer<T, A> {
    fn clone(&self) -> Self {
        Self { shared: Arc::clone(&self.shared) }
    }
}

impl<T, A> fmt::Debug for Coalescer<T, A> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Coalescer").finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use futures_util::FutureExt;
    use futures_util::future::join_all;
    use tokio::sync::Semaphore;

    use super::*;

    impl Weigh for u32 {
        fn weight(&self) -> usize {
            1
        }
    }

    /// Doubles numbers when the gate lets it, refuses 13, and counts its flushes.
    fn doubling(gate: &Arc<Semaphore>, flushes: &Arc<AtomicUsize>) -> Coalescer<u32, u32> {
        let (gate, flushes) = (Arc::clone(gate), Arc::clone(flushes));
        Coalescer::new(100, 1, move |items: Vec<u32>| {
            let gate = Arc::clone(&gate);
            flushes.fetch_add(1, Ordering::SeqCst);
            async move {
                gate.acquire().await.map_err(|_closed| StoreError::Closed)?.forget();
                if items.contains(&13) {
                    Err(StoreError::Closed)
                } else {
                    Ok(items.into_iter().map(|item| item * 2).collect())
                }
            }
            .boxed()
        })
    }

    #[tokio::test]
    async fn what_waits_while_a_flush_is_on_its_way_is_the_next_flush() {
        let (gate, flushes) = (Arc::new(Semaphore::new(0)), Arc::default());
        let coalescer = doubling(&gate, &flushes);
        let callers = (100..150).map(|n| coalescer.submit(vec![n, n + 1]));
        let open = async {
            tokio::task::yield_now().await;
            gate.add_permits(10);
        };
        let (answers, ()) = tokio::join!(join_all(callers), open);
        for (n, answer) in (100..150).zip(answers) {
            assert_eq!(answer.unwrap(), [n * 2, n * 2 + 2]);
        }
        assert_eq!(flushes.load(Ordering::SeqCst), 1, "all came before the flusher began");
    }

    #[tokio::test]
    async fn one_that_is_refused_spoils_no_other() {
        let (gate, flushes) = (Arc::new(Semaphore::new(100)), Arc::default());
        let coalescer = doubling(&gate, &flushes);
        let answers = join_all([1, 13, 2].map(|n| coalescer.submit(vec![n]))).await;
        assert_eq!(answers[0].as_ref().unwrap(), &[2]);
        assert!(answers[1].is_err());
        assert_eq!(answers[2].as_ref().unwrap(), &[4]);
    }

    #[tokio::test]
    async fn a_flush_that_panics_is_an_error_and_the_next_one_is_done() {
        let coalescer = Coalescer::new(100, 1, |items: Vec<u32>| {
            async move {
                assert!(!items.contains(&13), "this panic is part of the test");
                Ok(items)
            }
            .boxed()
        });
        let answers = join_all([1, 13, 2].map(|n| coalescer.submit(vec![n]))).await;
        assert_eq!(answers[0].as_ref().unwrap(), &[1]);
        assert!(matches!(answers[1], Err(StoreError::Database(_))), "{answers:?}");
        assert_eq!(coalescer.submit(vec![3]).await.unwrap(), [3]);
    }

    #[tokio::test]
    async fn one_that_meets_a_lock_keeps_no_other_waiting() {
        // 13 waits for a lock as long as this gate is shut.
        let gate = Arc::new(Semaphore::new(0));
        let lock = Arc::clone(&gate);
        let coalescer = Coalescer::new(100, 1, move |items: Vec<u32>| {
            let lock = Arc::clone(&lock);
            async move {
                let busy = || {
                    let (place, detail) = (String::new(), String::new());
                    StoreError::Busy { place, detail, source: None }
                };
                if items.len() > 1 && items.contains(&13) {
                    return Err(busy());
                }
                if items == [13] {
                    lock.acquire().await.map_err(|_closed| StoreError::Closed)?.forget();
                    return Err(busy());
                }
                Ok(items)
            }
            .boxed()
        });
        let others = async {
            let others = join_all([1, 2].map(|n| coalescer.submit(vec![n]))).await;
            gate.add_permits(1);
            others
        };
        let (locked, others) = tokio::join!(coalescer.submit(vec![13]), others);
        assert!(locked.is_err());
        assert!(others.iter().all(Result::is_ok), "{others:?}");
    }

    #[tokio::test]
    async fn a_call_larger_than_a_flush_goes_alone() {
        let (gate, flushes) = (Arc::new(Semaphore::new(100)), Arc::default());
        let coalescer = doubling(&gate, &flushes);
        let large: Vec<u32> = (100..350).collect();
        let (large, small) = tokio::join!(coalescer.submit(large), coalescer.submit(vec![1]));
        assert_eq!(large.unwrap().len(), 250);
        assert_eq!(small.unwrap(), [2]);
        assert_eq!(flushes.load(Ordering::SeqCst), 2);
    }

    #[tokio::test]
    async fn what_no_caller_waits_for_is_not_begun() {
        let (gate, flushes) = (Arc::new(Semaphore::new(100)), Arc::default());
        let coalescer = doubling(&gate, &flushes);
        assert!(coalescer.submit(vec![1]).now_or_never().is_none());
        assert_eq!(coalescer.submit(vec![2]).await.unwrap(), [4]);
        assert_eq!(flushes.load(Ordering::SeqCst), 1);
    }
}
