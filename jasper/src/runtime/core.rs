//! What all parts of a running application share.

use std::collections::HashMap;
use std::fmt;
use std::future::Future;
use std::panic::AssertUnwindSafe;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};
use std::time::{Duration, SystemTime};

use futures_util::future::{BoxFuture, FutureExt};
use tokio::sync::{Notify, watch};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::codec::Codec;
use crate::handler::States;
use crate::handler::caught::Panic;
use crate::runtime::claim::agenda::Agenda;
use crate::runtime::clock::Clock;
use crate::runtime::handle::queue::{Delivery, Queue};
use crate::runtime::memory::activity::Activity;
use crate::runtime::memory::budget::Budget;
use crate::runtime::own::held::Held;
use crate::runtime::own::trust::Trust;
use crate::runtime::routes::{HandlerEntry, Routes};
use crate::runtime::start::settings::Settings;
use crate::store::{
    Gone, MessageStore, OutgoingSettlement, Owner, Settled, Settlement, StoreError,
};
use crate::telemetry;

/// What all parts of a running application share.
#[derive(Debug)]
pub(crate) struct Core {
    pub(crate) settings: Settings,
    pub(crate) codec: Arc<dyn Codec>,
    pub(crate) states: States,
    pub(crate) routes: Routes,
    pub(crate) queues: HashMap<&'static str, Arc<Queue>>,
    pub(crate) store: Option<Arc<dyn MessageStore>>,
    pub(crate) activity: Activity,
    /// The bytes of messages that are in memory.
    pub(crate) budget: Arc<Budget>,
    /// Wakes the pager: something in the store may be ready for memory.
    pub(crate) pager: Arc<Notify>,
    /// Wakes who looks what waits in the outbox.
    pub(crate) outbound: Notify,
    /// When the pager looks next.
    pub(crate) agenda: Agenda,
    /// By which messages are due and expire.
    pub(crate) clock: Clock,
    /// Cancelled when no new work is to begin.
    pub(crate) stopping: CancellationToken,
    /// Cancelled when the time to drain is over and running handlers are to end.
    pub(crate) ending: CancellationToken,
    pub(crate) tasks: TaskTracker,
    /// Counts the rounds of the pager, for those who wait for one.
    pub(crate) rounds: watch::Sender<u64>,
    /// Until when this node may take its rows for its own.
    pub(crate) trust: Trust,
    /// The stored messages that are in memory here.
    pub(crate) held: Arc<Held>,
    /// Wakes the looker: rows may soon be visible that a foreign transaction wrote.
    pub(crate) looker: Notify,
    /// Whether this node may own rows, as far as its last renewal says.
    may_own: AtomicBool,
    /// What the last renewal has found of owners that are gone; `None`: they are to be asked for.
    pub(crate) gone: watch::Sender<Option<Gone>>,
    /// Whether a call of the store has failed since the last one that told that it is well.
    is_failing: AtomicBool,
    /// Wakes those who wait for the store to be well again.
    well: Notify,
    owner: AtomicI64,
}

/// The first wait after a failed call of the store; each further one doubles.
const FIRST_BACKOFF: Duration = Duration::from_millis(50);
const LONGEST_BACKOFF: Duration = Duration::from_secs(5);

/// The calls of which one that succeeds tells that the store is well: those that write, as reading
/// may go well on a full disk, and the look of the pager, which is seldom where there is no work.
const SIGNS_OF_LIFE: [&str; 6] = ["store", "claim", "settle", "commit", "renew", "look"];

/// The calls that make no row this node's own, whatever becomes of them.
const WITHOUT_ROWS: [&str; 6] = ["look", "owned", "alive", "counts", "destinations", "now"];

impl Core {
    #[expect(clippy::too_many_arguments, reason = "called once, by the builder")]
    pub(crate) fn new(
        settings: Settings,
        codec: Arc<dyn Codec>,
        states: States,
        routes: Routes,
        queues: HashMap<&'static str, Arc<Queue>>,
        store: Option<Arc<dyn MessageStore>>,
        owner: Option<Owner>,
        budget: Arc<Budget>,
        pager: Arc<Notify>,
    ) -> Self {
        // The joining has just come back; the renewal starts from here.
        let clock = Clock::default();
        let trust = Trust::until(Instant::now() + settings.lease);
        Self {
            settings,
            codec,
            states,
            routes,
            queues,
            store,
            activity: Activity::default(),
            budget,
            pager,
            outbound: Notify::new(),
            agenda: Agenda::new(clock.clone()),
            clock,
            stopping: CancellationToken::new(),
            ending: CancellationToken::new(),
            tasks: TaskTracker::new(),
            rounds: watch::Sender::new(0),
            trust,
            held: Arc::default(),
            looker: Notify::new(),
            may_own: AtomicBool::new(true),
            gone: watch::Sender::new(None),
            is_failing: AtomicBool::new(false),
            well: Notify::new(),
            owner: AtomicI64::new(owner.map_or(0, Owner::number)),
        }
    }

    /// The incarnation under which this process owns rows.
    pub(crate) fn owner(&self) -> Owner {
        Owner::new(self.owner.load(Ordering::Acquire))
    }

    /// Goes on under another incarnation.
    pub(crate) fn set_owner(&self, owner: Owner) {
        self.owner.store(owner.number(), Ordering::Release);
    }

    /// Whether the store gives word of rows that become claimable, so that polls may be seldom.
    pub(crate) fn is_told(&self) -> bool {
        self.store.as_ref().is_some_and(|store| store.nodes().hears())
    }

    /// Whether this node may own rows in the store. A row that it is given later is found with the
    /// next renewal.
    pub(crate) fn may_have_rows(&self) -> bool {
        self.may_own.load(Ordering::Acquire) || self.activity.count() > 0
    }

    pub(crate) fn set_may_own(&self, may_own: bool) {
        self.may_own.store(may_own, Ordering::Release);
    }

    /// Whether messages are in memory here that this incarnation owns.
    pub(crate) fn is_held_under(&self, owner: Owner) -> bool {
        let endpoints = self.routes.endpoints().map(|endpoint| &endpoint.held);
        std::iter::once(&self.held).chain(endpoints).any(|held| held.is_held_under(owner))
    }

    /// A call of the store whose outcome has to be known, however long it takes: to give up waiting
    /// would not undo it.
    pub(crate) async fn wait<T>(
        &self,
        operation: &'static str,
        call: impl Future<Output = Result<T, StoreError>>,
    ) -> Result<T, StoreError> {
        // A store that the application brings may panic.
        let result = match AssertUnwindSafe(call).catch_unwind().await {
            Ok(result) => result,
            Err(payload) => Err(StoreError::Database(Arc::new(Panic::of(payload)))),
        };
        if result.is_err() {
            metrics::counter!(telemetry::STORE_ERRORS, "op" => operation).increment(1);
            if !WITHOUT_ROWS.contains(&operation) {
                // It may have been carried out all the same.
                self.doubt();
            }
            self.is_failing.store(true, Ordering::Release);
        } else if self.is_failing.load(Ordering::Acquire) && SIGNS_OF_LIFE.contains(&operation) {
            self.is_failing.store(false, Ordering::Release);
            self.well.notify_waiters();
        }
        result
    }

    /// This node may own rows that it does not know of, or soon will: for as long as a call may
    /// still be on its way, the pager compares.
    pub(crate) fn doubt(&self) {
        let end = Instant::now() + self.settings.lease;
        self.held.doubt_until(end);
        for endpoint in self.routes.endpoints() {
            endpoint.held.doubt_until(end);
        }
        // A relay at rest is woken by nobody else.
        self.outbound.notify_one();
    }

    /// The same for the rows of the inbox alone.
    pub(crate) fn doubt_inbox(&self) {
        self.held.doubt_until(Instant::now() + self.settings.lease);
    }

    /// A call of the store that may be given up, with its deadline.
    pub(crate) async fn call<T>(
        &self,
        operation: &'static str,
        call: impl Future<Output = Result<T, StoreError>>,
    ) -> Result<T, StoreError> {
        let limit = self.settings.store_deadline;
        let call = tokio::time::timeout(limit, call);
        let known = async { call.await.unwrap_or(Err(StoreError::Deadline { limit })) };
        self.wait(operation, known).await
    }

    /// Settles a row, however long the store is away. `None`: the application ended first.
    pub(crate) async fn settle(&self, settlement: Settlement) -> Option<Settled> {
        let settled = self.settle_all(vec![settlement]).await?;
        settled.first().copied()
    }

    /// Settles rows in one call, however long the store is away. `None`: the application ended
    /// first.
    pub(crate) async fn settle_all(&self, settlements: Vec<Settlement>) -> Option<Vec<Settled>> {
        let store = self.store.as_deref()?;
        self.settled("settle", || store.inbox().settle(settlements.clone())).await
    }

    /// Settles rows of the outbox in one call, however long the store is away.
    pub(crate) async fn settle_outgoing(&self, settlements: Vec<OutgoingSettlement>) {
        let Some(store) = self.store.as_deref().filter(|_| !settlements.is_empty()) else {
            return;
        };
        let settle = || store.outbox().settle(settlements.clone());
        // Where the application ends first, its rows are given back.
        self.settled("settle_outgoing", settle).await;
    }

    async fn settled<'store>(
        &self,
        operation: &'static str,
        settle: impl Fn() -> BoxFuture<'store, Result<Vec<Settled>, StoreError>>,
    ) -> Option<Vec<Settled>> {
        let mut backoff = Backoff::new();
        loop {
            match self.wait(operation, async { settle().await }).await {
                Ok(settled) => {
                    self.note_fenced(operation, &settled);
                    return Some(settled);
                }
                Err(error) => backoff.wait(self, operation, &error).await?,
            }
        }
    }

    /// Notes that rows were not held as they were thought to be.
    pub(crate) fn note_fenced(&self, operation: &'static str, settled: &[Settled]) {
        let fenced = settled.iter().filter(|s| **s == Settled::Fenced).count();
        if fenced > 0 {
            let fenced = fenced as u64;
            metrics::counter!(telemetry::FENCED, "op" => operation).increment(fenced);
            self.doubt();
        }
    }

    /// Puts a message into its queue.
    pub(crate) fn enqueue(&self, mut delivery: Delivery) {
        delivery.active = Some(self.activity.begin());
        let queue = Arc::clone(&delivery.queue);
        if let Err(id) = queue.push(delivery) {
            tracing::warn!(message.id = %id, "not handled before the stop");
        }
    }

    /// Puts a message that is only in memory into its queue at a later time. Until then it keeps
    /// its place there: it takes as much memory as any other.
    pub(crate) fn enqueue_at(self: &Arc<Self>, mut delivery: Delivery, due_at: SystemTime) {
        delivery.active = None;
        let core = Arc::clone(self);
        self.tasks.spawn(async move {
            let wait = due_at.duration_since(core.clock.now()).unwrap_or_default();
            let sleep = tokio::time::sleep(wait);
            match core.stopping.run_until_cancelled(sleep).await {
                Some(()) => core.enqueue(delivery),
                None => {
                    let id = delivery.envelope.id;
                    tracing::warn!(message.id = %id, "lost: it waited in memory at the stop");
                }
            }
        });
    }

    /// Notes that a transaction which this process cannot see may commit messages soon.
    pub(crate) fn look_soon(&self) {
        self.looker.notify_one();
    }

    /// The queue on which a handler runs.
    pub(crate) fn queue_of(&self, entry: &HandlerEntry) -> &Arc<Queue> {
        // Every entry's queue is made with the routes; see the builder.
        &self.queues[entry.registration.queue]
    }
}

/// Waits between calls of a store that fails.
#[derive(Debug)]
pub(crate) struct Backoff(Duration);

impl Backoff {
    pub(crate) const fn new() -> Self {
        Self(FIRST_BACKOFF)
    }

    /// Waits before the next try, until a call of somebody else tells that the store is well, if
    /// that is sooner. `None`: the application ends, and there is none.
    pub(crate) async fn wait(
        &mut self,
        core: &Core,
        operation: &'static str,
        error: &impl fmt::Display,
    ) -> Option<()> {
        tracing::warn!(operation, %error, retry_in = ?self.0, "the store failed; nothing is lost");
        let mut well = pin!(core.well.notified());
        well.as_mut().enable();
        let pause = async {
            tokio::time::sleep(FIRST_BACKOFF).await;
            tokio::select! {
                () = tokio::time::sleep(self.0 - FIRST_BACKOFF) => {}
                () = well => {}
            }
        };
        core.ending.run_until_cancelled(pause).await?;
        self.0 = (self.0 * 2).min(LONGEST_BACKOFF);
        Some(())
    }
}
