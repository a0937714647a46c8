//! What has come, until the broker has said that it is settled: in tasks that last when a link does
//! not.

use std::sync::Arc;
use std::time::Duration;

use futures_util::future::join_all;
use tokio::sync::OwnedSemaphorePermit;

use super::super::failure::Fault;
use super::intake::{Delivery, Item};
use super::listener::Listening;
use super::settlement::Settlement;

/// How long a settlement waits that cannot be said at present, at first and at most.
const FIRST: Duration = Duration::from_millis(50);
const LONGEST: Duration = Duration::from_secs(1);

impl Listening {
    /// Takes these in a task of its own, as long as the turn is theirs.
    pub(super) fn begin_to_take(self: &Arc<Self>, items: Vec<Item>, turn: OwnedSemaphorePermit) {
        let listening = Arc::clone(self);
        self.spawn(async move { listening.take(items, turn).await });
    }

    /// Answers a request in a task of its own.
    pub(super) fn begin_to_serve(self: &Arc<Self>, item: Item) {
        let listening = Arc::clone(self);
        self.spawn(async move { listening.serve(item).await });
    }

    /// Settles these in a task of its own.
    pub(super) fn begin_to_settle(self: &Arc<Self>, settled: Vec<(Delivery, Settlement)>) {
        let listening = Arc::clone(self);
        self.spawn(async move { listening.settle_each(settled).await });
    }

    /// Waits until all that has come is settled and answered.
    pub(super) async fn settle_all(&self) {
        self.tasks.close();
        self.tasks.wait().await;
        self.tasks.reopen();
        if self.stop.is_cancelled() {
            self.serving.end().await;
        }
    }

    fn spawn(&self, task: impl Future<Output = ()> + Send + 'static) {
        let abort = self.abort.clone();
        self.tasks.spawn(async move { abort.run_until_cancelled(task).await });
    }

    async fn take(self: &Arc<Self>, mut items: Vec<Item>, turn: OwnedSemaphorePermit) {
        let mut pause = Duration::ZERO;
        loop {
            let offered = self.offer(items, pause).await;
            for lost in offered.lost {
                lost.link.forget();
            }
            if offered.left.is_empty() {
                // The next are taken while the broker answers.
                drop(turn);
                return self.settle_each(offered.settled).await;
            }
            self.begin_to_settle(offered.settled);
            (items, pause) = (offered.left, offered.pause);
        }
    }

    async fn settle_each(&self, mut settled: Vec<(Delivery, Settlement)>) {
        // Most often it is one, where each message is settled at the end of its handler.
        if settled.len() == 1
            && let Some((delivery, how)) = settled.pop()
        {
            self.settle(delivery, how).await;
            return;
        }
        join_all(settled.into_iter().map(|(delivery, how)| self.settle(delivery, how))).await;
    }

    /// Answers a request. It is settled before its handler runs: where the process ends, another
    /// does not run it again.
    async fn serve(&self, item: Item) {
        let Item { delivery, envelope, asked: Some(asked), .. } = item else {
            return;
        };
        if let Some(description) = self.serving.refusal(&asked) {
            tracing::warn!(address = %self.address, why = description, "a request is refused");
            let refused = Settlement::dead_letter("Forbidden", &description);
            self.settle(delivery, refused).await;
            return;
        }
        let place = self.serving.place().await;
        if self.settle(delivery, Settlement::Complete).await {
            self.serving.begin(asked, envelope, place);
        }
    }

    /// Settles a message, and says whether that is done. A lock that is lost is no error: the
    /// message comes again.
    async fn settle(&self, delivery: Delivery, settlement: Settlement) -> bool {
        let is_lost = delivery.is_lost();
        let Delivery { link, info, lock } = delivery;
        if is_lost {
            link.forget();
            return false;
        }
        let mut settled = link.settle(info, settlement.clone()).await;
        // What was said without an answer may have been done, which ends the lock too.
        let mut is_repeated = false;
        let mut pause = FIRST;
        loop {
            match (settled, &lock) {
                (Ok(()), _) => return true,
                (Err(Fault::Refused(refusal)), Some(lock)) if refusal.is_lock_lost() => {
                    if !is_repeated {
                        lock.lose();
                    }
                    return false;
                }
                (Err(Fault::Refused(refusal)), _) => {
                    let address = &self.address;
                    tracing::warn!(%address, %refusal, "the broker does not settle a message");
                    return false;
                }
                // The link has ended, and its lock may hold.
                (Err(_unknown), Some(lock)) if !lock.is_lost() => {
                    is_repeated = true;
                    settled = lock.settle(&settlement).await;
                    let is_left = settled.is_err() && self.stop.is_cancelled();
                    if is_left {
                        return false;
                    }
                    if matches!(settled, Err(Fault::Ended(_) | Fault::Late(_))) {
                        // Real time: until the broker is back.
                        tokio::time::sleep(pause).await;
                        pause = (pause * 2).min(LONGEST);
                    }
                }
                (Err(_unknown), _) => return false,
            }
        }
    }
}
