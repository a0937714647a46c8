//! The way of one message through its attempts: count, run, and settle by the handler's policy.

use std::fmt;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::SystemTime;

use futures_util::FutureExt;
use tokio::sync::OwnedSemaphorePermit;
use tokio::time::Instant;
use tracing::Instrument;

use super::delivery::deliver_at;
use super::execute::{Ended, Failure, Run};
use super::queue::{Backing, Delivery};
use crate::envelope::time;
use crate::error_policy::Verdict;
use crate::handler::caught::Panic;
use crate::runtime::core::Core;
use crate::runtime::storage::dead_letters::{keep, note_letter, settle_as_letter};
use crate::runtime::storage::health::Retries;
use crate::store::{
    DeadLetter, DeadLetterId, DeadLetterReason, LiveNode, MessageStore, Owner, Ownership, Settled,
    Settlement, StoreOperation,
};
use crate::telemetry;

/// Why a message is buried whose last counted attempt never ended.
const INTERRUPTED: &str = "its last attempt never ended: the process was killed or lost";

/// How many runs of one message may fail with the store or meet another transaction, and cost it no
/// attempt, before each costs one: a fault that comes again is taken for the handler's.
const MOST_UNCOUNTED: u32 = 5;

/// How many attempts of one message may be cut short in processes that live on: it may be what
/// slows them down until they lose their leases.
const MOST_CUT_SHORT: usize = 10;

/// A message with the worker's place in its queue's parallelism.
pub(crate) struct Worker {
    core: Arc<Core>,
    delivery: Delivery,
    permit: Option<OwnedSemaphorePermit>,
    /// The next run shares its transaction with none: it may be this one that spoils it for others.
    alone: bool,
    /// How many of its runs have failed and cost no attempt.
    uncounted: u32,
}

impl Worker {
    pub(crate) const fn new(
        core: Arc<Core>,
        delivery: Delivery,
        permit: OwnedSemaphorePermit,
    ) -> Self {
        Self { core, delivery, permit: Some(permit), alone: false, uncounted: 0 }
    }

    /// Takes the message through its attempts until it is handled, waits for a later time, becomes
    /// a dead letter, or belongs to another node.
    pub(crate) async fn run(mut self) {
        let mut retries = Retries::new();
        loop {
            let step = AssertUnwindSafe(self.step(&mut retries)).catch_unwind().await;
            let next = match step {
                Ok(next) => next,
                Err(payload) => Box::pin(self.after_panic(Panic::of(payload), &mut retries)).await,
            };
            match next {
                Next::Again => {}
                Next::Done => return,
                Next::Later(due_at) => return deliver_at(&self.core, self.delivery, due_at),
            }
        }
    }

    /// One attempt, and what follows from it.
    async fn step(&mut self, retries: &mut Retries) -> Next {
        if !self.is_ours().await {
            self.release().await;
            return Next::Done;
        }
        if !self.take_place().await || !self.count_attempt(retries).await {
            return Next::Done;
        }
        if self.delivery.envelope.is_expired(self.core.clock().now()) {
            let queue = self.delivery.entry.registration.queue;
            metrics::counter!(telemetry::EXPIRED, telemetry::DESTINATION => queue).increment(1);
            tracing::info!(message.id = %self.delivery.envelope.id, "expired; not handled");
            self.settle_handled().await;
            return Next::Done;
        }
        match self.attempt().await {
            Ok(()) => Next::Done,
            // Rare, and larger than all the rest: not part of every worker.
            Err(failure) => Box::pin(self.after(failure, retries)).await,
        }
    }

    /// A panic that nothing before has caught is a failed attempt. Where that cannot be settled
    /// either, the row is given back like any that this node owns and does not hold.
    async fn after_panic(&mut self, panic: Panic, retries: &mut Retries) -> Next {
        let core = Arc::clone(&self.core);
        let after = self.after(Failure::Panicked(panic), retries);
        AssertUnwindSafe(after).catch_unwind().await.unwrap_or_else(|payload| {
            let panic = Panic::of(payload);
            tracing::error!(%panic, "a failed attempt could not be settled");
            core.node().rows().reconcile();
            Next::Done
        })
    }

    /// `false`: its row belongs to an incarnation that this node has lost, or the application ends.
    /// A node that cannot know waits until it does.
    async fn is_ours(&self) -> bool {
        let Some(owner) = self.owner() else {
            return true;
        };
        if !self.core.node().trust().is_given() {
            let given = self.core.node().trust().given();
            if self.core.lifecycle().ending().run_until_cancelled(given).await.is_none() {
                return false;
            }
        }
        owner == self.core.node().owner()
    }

    /// A place in the queue's parallelism, where the last one was given up for a commit that
    /// failed. `false`: the application ends.
    async fn take_place(&mut self) -> bool {
        if self.permit.is_none() {
            let running = Arc::clone(&self.delivery.queue.running).acquire_owned();
            let permit = self.core.lifecycle().ending().run_until_cancelled(running).await;
            self.permit = permit.and_then(Result::ok);
        }
        self.permit.is_some()
    }

    /// Counts the coming attempt in the row, where it is not counted yet. `false`: the message has
    /// no attempt left, or its row belongs to another node.
    async fn count_attempt(&mut self, retries: &mut Retries) -> bool {
        let attempts = self.delivery.envelope.attempts;
        if let Backing::Stored { counted: false, owner } = self.delivery.backing {
            match self.is_given_up(retries).await {
                Some(false) => {}
                Some(true) => {
                    self.give_up_as(DeadLetterReason::Exhausted, "interrupted", INTERRUPTED).await;
                    return false;
                }
                None => {
                    self.release().await;
                    return false;
                }
            }
            let settlement = Settlement::Attempt(self.ownership(owner));
            if self.core.store().settle(settlement).await != Some(Settled::Done) {
                return false;
            }
            self.delivery.envelope.attempts = attempts + 1;
            let counted = true;
            self.delivery.backing = Backing::Stored { owner, counted };
        }
        true
    }

    async fn attempt(&mut self) -> Result<(), Failure> {
        let queue = self.delivery.entry.registration.queue;
        metrics::counter!(telemetry::CONSUMED, telemetry::DESTINATION => queue).increment(1);
        let started = Instant::now();
        let run = Run {
            core: &self.core,
            entry: &self.delivery.entry,
            envelope: &self.delivery.envelope,
            backing: self.delivery.backing,
            permit: &mut self.permit,
            alone: self.alone,
            limit: self.delivery.entry.timeout,
        };
        let span = tracing::info_span!(
            "process",
            messaging.system = "jasper",
            messaging.operation.name = "process",
            messaging.destination.name = queue,
            messaging.message.id = %self.delivery.envelope.id,
            message.type = %self.delivery.envelope.message_type,
            attempt = self.delivery.envelope.attempts,
        );
        let result = run.perform().instrument(span).await;
        let error_type = result.as_ref().err().map_or("", Failure::kind);
        metrics::histogram!(
            telemetry::PROCESS_DURATION,
            telemetry::DESTINATION => queue,
            telemetry::ERROR_TYPE => error_type,
        )
        .record(started.elapsed());
        if result? == Ended::Unmarked {
            self.settle_handled().await;
        }
        Ok(())
    }

    /// What follows a failed attempt.
    async fn after(&mut self, failure: Failure, retries: &mut Retries) -> Next {
        self.log(&failure);
        match &failure {
            Failure::NotBegun(error) => self.after_store(error, retries).await,
            Failure::Store(error) if error.blames_handler() => self.by_policy(&failure).await,
            Failure::Store(error) if self.is_uncounted() => self.after_store(error, retries).await,
            Failure::Fenced => {
                metrics::counter!(telemetry::FENCED, "op" => "commit").increment(1);
                // Whoever has it, it is not held here any more.
                self.core.node().rows().reconcile();
                Next::Done
            }
            Failure::Stopped => {
                self.release().await;
                Next::Done
            }
            Failure::Undecodable(_) => self.give_up(DeadLetterReason::Undecodable, &failure).await,
            Failure::Handler(error) if error.is_terminal() => {
                self.give_up(DeadLetterReason::Terminal, &failure).await
            }
            Failure::Handler(error) if error.conflict && self.is_uncounted() => {
                self.after_store(error, retries).await
            }
            _ => self.by_policy(&failure).await,
        }
    }

    /// Whether a failed run may be repeated without counting it; from then on it shares its
    /// transaction with none.
    const fn is_uncounted(&mut self) -> bool {
        self.alone = true;
        self.uncounted += 1;
        self.uncounted <= MOST_UNCOUNTED
    }

    /// Another run once the store may be well, which costs no attempt.
    async fn after_store(&self, error: &impl fmt::Display, retries: &mut Retries) -> Next {
        let is_over = self.core.lifecycle().is_stopping();
        let again = !is_over
            && retries.wait(self.core.store().health(), "run", error).await.is_some()
            && self.is_store_back(retries).await;
        if again {
            return Next::Again;
        }
        self.release().await;
        Next::Done
    }

    /// Waits until the store answers, as a handler that takes no connection runs without asking it.
    /// `false`: the application ends.
    async fn is_store_back(&self, retries: &mut Retries) -> bool {
        let takes_connection = self.delivery.entry.registration.connection.is_some();
        let Some(store) = self.core.store().port().filter(|_| !takes_connection) else {
            return true;
        };
        self.alive(store, retries).await.is_some()
    }

    /// The living nodes, once the store answers. `None`: the application ends.
    async fn alive(
        &self,
        store: &dyn MessageStore,
        retries: &mut Retries,
    ) -> Option<Vec<LiveNode>> {
        loop {
            match self.core.store().call(StoreOperation::Alive, store.nodes().alive()).await {
                Ok(alive) => return Some(alive),
                Err(error) => retries.wait(self.core.store().health(), "alive", &error).await?,
            }
        }
    }

    /// Whether it has no attempt left, as too many have never ended. `None`: the application ends.
    async fn is_given_up(&self, retries: &mut Retries) -> Option<bool> {
        let most = self.delivery.entry.policy.attempts();
        if self.failures() >= most {
            return Some(true);
        }
        let interrupted_by = &self.delivery.interrupted_by;
        let store = self.core.store().port();
        let Some(store) = store.filter(|_| interrupted_by.len() >= most as usize) else {
            return Some(false);
        };
        let alive = self.alive(store, retries).await?;
        let lives_on = |owner: &&Owner| alive.iter().any(|node| node.is_or_was(**owner));
        let cut_short = interrupted_by.iter().filter(lives_on).count();
        let gone = interrupted_by.len() - cut_short;
        Some(gone >= most as usize || cut_short > MOST_CUT_SHORT)
    }

    /// How many of its attempts have failed or may have: not those that were cut short with the
    /// lease of their node.
    fn failures(&self) -> u32 {
        let cut_short = u32::try_from(self.delivery.interrupted_by.len()).unwrap_or(u32::MAX);
        self.delivery.envelope.attempts.saturating_sub(cut_short)
    }

    async fn by_policy(&mut self, failure: &Failure) -> Next {
        // The attempt that has just failed is one at least.
        let attempts = self.failures().max(1);
        match self.delivery.entry.policy.verdict(attempts) {
            Verdict::GiveUp => self.give_up(DeadLetterReason::Exhausted, failure).await,
            Verdict::RetryNow => {
                match &mut self.delivery.backing {
                    Backing::Stored { counted, .. } => *counted = false,
                    Backing::Memory => self.delivery.envelope.attempts += 1,
                }
                Next::Again
            }
            Verdict::RetryAfter(delay) => {
                let due_at = time::after(self.core.clock().now(), delay);
                let Some(owner) = self.owner() else {
                    self.delivery.envelope.attempts += 1;
                    return Next::Later(due_at);
                };
                let settlement = Settlement::Schedule(self.ownership(owner), due_at);
                self.core.store().settle(settlement).await;
                self.core.wakeups().pager().notify_one();
                Next::Done
            }
        }
    }

    fn owner(&self) -> Option<Owner> {
        match self.delivery.backing {
            Backing::Stored { owner, .. } => Some(owner),
            Backing::Memory => None,
        }
    }

    fn ownership(&self, owner: Owner) -> Ownership {
        Ownership::of(&self.delivery.envelope, owner)
    }

    async fn settle_handled(&mut self) {
        // Only the commit is left: the place in the queue's parallelism is for the next body.
        self.permit = None;
        if let Some(owner) = self.owner() {
            let settlement = Settlement::Handled(self.ownership(owner));
            self.core.store().settle(settlement).await;
        }
        self.delivery.tell_done();
    }

    /// Gives the message back where not its handler but the end of the application or of the lease
    /// keeps it from being handled here: that costs it no attempt.
    async fn release(&self) {
        match self.delivery.backing {
            Backing::Stored { owner, counted } => {
                let ownership = self.ownership(owner);
                let ran = !counted;
                self.core.store().settle(Settlement::Release { ownership, ran }).await;
            }
            Backing::Memory => {
                let id = self.delivery.envelope.id;
                tracing::warn!(message.id = %id, "lost: it was only in memory at the stop");
            }
        }
    }

    async fn give_up(&mut self, reason: DeadLetterReason, failure: &Failure) -> Next {
        self.give_up_as(reason, failure.kind(), &failure.to_string()).await;
        Next::Done
    }

    async fn give_up_as(
        &mut self,
        reason: DeadLetterReason,
        error_type: &str,
        error_message: &str,
    ) {
        let letter = DeadLetterId {
            id: self.delivery.envelope.id,
            destination: self.delivery.envelope.destination.clone(),
        };
        let message_type = self.delivery.envelope.message_type.to_string();
        note_letter(&letter, &message_type, reason, error_message);
        // However long the store takes, the next message may run.
        self.permit = None;
        if let Some(owner) = self.owner() {
            let ownership = self.ownership(owner);
            let mut retries = Retries::new();
            while let Err(error) =
                settle_as_letter(self.core.store(), &ownership, reason, error_type, error_message)
                    .await
            {
                if retries.wait(self.core.store().health(), "dead letter", &error).await.is_none() {
                    return;
                }
            }
            return;
        }
        let letter = DeadLetter {
            id: letter,
            reason,
            message_type,
            error_type: error_type.to_owned(),
            error_message: error_message.to_owned(),
            attempts: self.delivery.envelope.attempts,
            body: self.delivery.envelope.to_bytes(),
            buried_at: self.core.clock().now(),
        };
        keep(self.core.store(), letter).await;
        self.delivery.tell_done();
    }

    fn log(&self, failure: &Failure) {
        let envelope = &self.delivery.envelope;
        tracing::warn!(
            message.id = %envelope.id,
            message.type = %envelope.message_type,
            destination = %envelope.destination,
            attempt = envelope.attempts,
            attempts = self.delivery.entry.policy.attempts(),
            error = %failure,
            "a run did not succeed"
        );
    }
}

/// What follows an attempt that did not succeed.
enum Next {
    /// Another attempt, now.
    Again,
    /// Nothing more to do here.
    Done,
    /// Another attempt at this time; the message waits in memory.
    Later(SystemTime),
}
