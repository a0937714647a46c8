//! The pager: brings stored messages into memory as there is room: due ones, those that did not
//! fit, those that others left behind, and those that the user's own transactions wrote.

mod backlog;

use std::sync::Arc;
use std::time::Duration;

use futures_util::FutureExt;
use tokio::time::Instant;

use super::intake::Claimer;
use super::missing;
use super::pace::PollPace;
use super::unhandled_rows::UnhandledRows;
use crate::runtime::core::Core;
use crate::runtime::own::comparison::PeriodicComparison;
use crate::store::{
    Claimable, ClaimableRequest, MessageStore, StoreError, StoreOperation, Subscription,
};

/// How many subscriptions one look finds beside those that this node takes.
const LOOK_PAGE: usize = 200;

/// Runs until the application stops.
pub(crate) async fn page(core: Arc<Core>, store: Arc<dyn MessageStore>) {
    let stopping = core.lifecycle().draining().clone();
    let mut pager = Pager::new(core, store);
    while stopping.run_until_cancelled(pager.wait_for_work()).await.is_some() {
        let is_look_due = pager.is_look_due();
        let wait = match pager.round(is_look_due).await {
            Ok(wait) if pager.intake.deferred.is_empty() => wait,
            Ok(wait) => wait.min(SOON),
            Err(error) => {
                tracing::warn!(%error, "the store could not be looked at; trying again");
                pager.core.settings().poll
            }
        };
        pager.next_look = Instant::now() + wait;
        if is_look_due {
            pager.core.wakeups().rounds().send_modify(|rounds| *rounds += 1);
        }
    }
}

/// How long rows that are laid aside wait before they are looked at again.
const SOON: Duration = Duration::from_millis(50);

struct Pager {
    core: Arc<Core>,
    /// What this application knows: what is handled here, and what is left to other processes.
    known: Arc<[Subscription]>,
    intake: Claimer,
    unhandled: UnhandledRows,
    comparison: PeriodicComparison,
    pace: PollPace,
    next_look: Instant,
}

impl Pager {
    fn new(core: Arc<Core>, store: Arc<dyn MessageStore>) -> Self {
        Self {
            known: core.routes().handlers().subscriptions().collect(),
            intake: Claimer::new(Arc::clone(&core), store),
            unhandled: UnhandledRows::default(),
            comparison: PeriodicComparison::within(core.settings().lease),
            pace: PollPace::default(),
            next_look: Instant::now(),
            core,
        }
    }

    /// Waits until there may be something to do.
    ///
    /// What wakes it while the last look is not long ago is served by one look together.
    async fn wait_for_work(&mut self) {
        let mut wait = self.next_look.saturating_duration_since(Instant::now());
        if !self.core.store().is_notified() {
            // A notification may have been lost meanwhile.
            wait = wait.min(self.pace.longest(self.core.settings().poll, false));
        }
        let wakeups = self.core.wakeups();
        let wait = wakeups.next_poll().remaining_pause(wait);
        let look_at = Instant::now() + wait;
        self.next_look = tokio::select! {
            () = wakeups.pager().notified() => Instant::now(),
            () = wakeups.room().notified() => Instant::now(),
            () = tokio::time::sleep(wait.min(self.comparison.remaining_pause())) => look_at,
        };
        if self.is_look_due() {
            tokio::time::sleep(self.pace.remaining_pause()).await;
            // What has come by now is seen by the look that follows.
            let _woken_again = wakeups.pager().notified().now_or_never();
            let _has_room_again = wakeups.room().notified().now_or_never();
        }
    }

    fn is_look_due(&self) -> bool {
        self.next_look <= Instant::now()
    }

    /// Claims for every queue with room, if there is anything to claim, and says how long nothing
    /// more can be expected.
    async fn round(&mut self, is_look_due: bool) -> Result<Duration, StoreError> {
        if self.core.settings().send_only {
            // It owns no row of the inbox, and what waits there is for others.
            return Ok(self.core.settings().poll);
        }
        let start_comparison_if_due = self.comparison.is_due();
        if !self.core.node().local_lease().is_valid() {
            return Ok(self.core.settings().poll);
        }
        self.intake.give_back_deferred().await;
        if let Err(error) =
            missing::give_back(&self.intake, &mut self.comparison, start_comparison_if_due).await
        {
            // Messages that wait in the store do not wait for that.
            tracing::warn!(%error, "the rows of this node could not be compared with its memory");
        }
        if !is_look_due {
            return Ok(self.next_look.saturating_duration_since(Instant::now()));
        }
        self.core.wakeups().next_poll().start_poll();
        if !self.has_room() && !self.pace.is_overdue(self.core.settings().poll) {
            return Ok(self.core.settings().poll);
        }
        // A look that fails has found nothing.
        self.pace.note(false);
        let look = self.claimable().await?;
        let looked_at = Instant::now();
        let mut more = self.work_off(&look).await?;
        let Self { intake, pace, unhandled, .. } = self;
        more |= unhandled.take_in(intake, pace, &look, &self.known).await?;
        // What is left is for a queue that is full and wakes this task when it has room, or waits
        // for a node that takes it.
        let wait = if more { Duration::ZERO } else { self.wait_after(&look) };
        Ok(wait.saturating_sub(looked_at.elapsed()))
    }

    /// Whether any queue could take what a look finds; each that could not wakes this task when it
    /// can.
    fn has_room(&self) -> bool {
        // One whose handlers run elsewhere is never filled.
        let queues = self.core.routes().queues().filter(|queue| !queue.takes.is_empty());
        let (roomy, full): (Vec<_>, Vec<_>) = queues.partition(|queue| queue.room.is_roomy());
        let is_full = roomy.is_empty() && !full.is_empty();
        if is_full {
            full.into_iter().for_each(|queue| queue.room.await_room());
        }
        !is_full
    }

    async fn claimable(&self) -> Result<Claimable, StoreError> {
        let (takes, after) = (Arc::clone(&self.known), self.unhandled.types.after());
        let request = ClaimableRequest { takes, page: LOOK_PAGE, after };
        self.core
            .store()
            .call(StoreOperation::Claimable, self.intake.store.inbox().claimable(request))
            .await
    }

    /// How long there is nothing more to do, as far as the store can tell.
    fn wait_after(&self, look: &Claimable) -> Duration {
        let poll = self.core.settings().poll;
        let is_quiet = look.now.is_empty()
            && self.unhandled.types.is_empty()
            && self.intake.deferred.is_empty()
            && !self.core.node().rows().inbox().is_comparison_requested();
        let is_notified = self.core.store().is_notified();
        let poll = if is_quiet { self.pace.longest(poll, is_notified) } else { poll };
        look.next_due.map_or(poll, |wait| self.pace.until_due(wait).min(poll))
    }
}
