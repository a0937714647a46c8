//! The way of one message through its attempts: count, run, and settle by the handler's policy.

use std::fmt;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::SystemTime;

use futures_util::FutureExt;
use tokio::sync::OwnedSemaphorePermit;
use tokio::time::Instant;
use tracing::Instrument;

use super::attempts::{self, AttemptCount};
use super::delivery::deliver_at;
use super::execute::{Failure, Run, Success};
use super::queue::{Backing, Delivery};
use super::settle;
use crate::caught::Panic;
use crate::envelope::time;
use crate::error_policy::Verdict;
use crate::runtime::core::Core;
use crate::runtime::observation::{MessageEvent, Observed};
use crate::runtime::storage::health::Retries;
use crate::store::{DeadLetterReason, Settlement};
use crate::telemetry;

/// How many runs of one message may fail with the store or meet another transaction, and cost it no
/// attempt, before each costs one: a fault that comes again is taken for the handler's.
const MOST_UNCOUNTED: u32 = 5;

/// A message with the worker's place in its queue's parallelism.
pub(crate) struct Worker<'a> {
    core: &'a Arc<Core>,
    delivery: Delivery,
    permit: Option<OwnedSemaphorePermit>,
    /// The next run shares its transaction with none: it may be this one that spoils it for others.
    isolated: bool,
    /// How many of its runs have failed and cost no attempt.
    uncounted: u32,
}

impl<'a> Worker<'a> {
    pub(crate) const fn new(
        core: &'a Arc<Core>,
        delivery: Delivery,
        permit: OwnedSemaphorePermit,
    ) -> Self {
        Self { core, delivery, permit: Some(permit), isolated: false, uncounted: 0 }
    }

    /// Takes the message through its attempts until it is handled, waits for a later time, becomes
    /// a dead letter, or belongs to another node. Gives back its place in the queue's parallelism,
    /// unless another run has it by then.
    pub(crate) async fn run(mut self) -> Option<OwnedSemaphorePermit> {
        let mut retries = Retries::new();
        loop {
            let step = AssertUnwindSafe(self.step(&mut retries)).catch_unwind().await;
            let next = match step {
                Ok(next) => next,
                Err(payload) => Box::pin(self.after_panic(Panic::of(payload), &mut retries)).await,
            };
            match next {
                Next::Again => {}
                Next::Done => break,
                Next::Handled => {
                    settle::handled_soon(self.core, self.delivery);
                    break;
                }
                Next::Later(due_at) => {
                    deliver_at(self.core, self.delivery, due_at);
                    break;
                }
            }
        }
        self.permit
    }

    /// One attempt, and what follows from it.
    async fn step(&mut self, retries: &mut Retries) -> Next {
        if !self.is_ours().await {
            settle::give_back(self.core, &self.delivery).await;
            return Next::Done;
        }
        if !self.take_place().await || !self.may_start(retries).await {
            return Next::Done;
        }
        if self.is_expired() {
            let queue = self.delivery.entry.registration.queue;
            metrics::counter!(telemetry::EXPIRED, telemetry::DESTINATION => queue).increment(1);
            tracing::info!(message.id = %self.delivery.envelope.id, "expired; not handled");
            self.handled().await;
            self.note(|observed| observed.because(&"its time was over"), MessageEvent::Discarded);
            return Next::Done;
        }
        match self.attempt().await {
            Ok(next) => next,
            // Rare, and larger than all the rest: not part of every worker.
            Err(failure) => Box::pin(self.after(failure, retries)).await,
        }
    }

    fn is_expired(&self) -> bool {
        let envelope = &self.delivery.envelope;
        envelope.deliver_by.is_some() && envelope.is_expired(self.core.clock().now())
    }

    /// A panic that nothing before has caught is a failed attempt. Where that cannot be settled
    /// either, the row is given back like any that this node owns and does not hold.
    async fn after_panic(&mut self, panic: Panic, retries: &mut Retries) -> Next {
        let core = Arc::clone(self.core);
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
        let Some(owner) = self.delivery.owner() else {
            return true;
        };
        if !self.core.node().local_lease().is_valid() {
            let given = self.core.node().local_lease().valid();
            if self.core.lifecycle().aborting().run_until_cancelled(given).await.is_none() {
                return false;
            }
        }
        owner == self.core.node().owner()
    }

    /// A place in the queue's parallelism, where the last one was given up for a commit that
    /// failed. `false`: the application ends.
    async fn take_place(&mut self) -> bool {
        if self.permit.is_none() {
            let place = self.delivery.queue.place();
            let permit = self.core.lifecycle().aborting().run_until_cancelled(place).await;
            self.permit = permit.flatten();
        }
        self.permit.is_some()
    }

    /// Counts the coming attempt. `false`: the message has none left, or its row belongs to another
    /// node.
    async fn may_start(&mut self, retries: &mut Retries) -> bool {
        match attempts::count(self.core, &mut self.delivery, retries).await {
            AttemptCount::Yes => return true,
            AttemptCount::No => {}
            AttemptCount::NoneLeft => {
                let (kind, why) = ("interrupted", attempts::INTERRUPTED);
                self.give_up_as(DeadLetterReason::Exhausted, kind, why).await;
            }
            AttemptCount::Ending => settle::give_back(self.core, &self.delivery).await,
        }
        false
    }

    async fn attempt(&mut self) -> Result<Next, Failure> {
        let queue = self.delivery.entry.registration.queue;
        self.delivery.entry.metrics.note_consumed();
        let started = Instant::now();
        let run = Run {
            core: self.core,
            entry: &self.delivery.entry,
            envelope: &self.delivery.envelope,
            backing: self.delivery.backing,
            permit: &mut self.permit,
            isolated: self.isolated,
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
        let observers = self.core.observers();
        observers.note(|| Observed::new(MessageEvent::ExecutionStarted, &self.delivery.envelope));
        let result = run.perform().instrument(span).await;
        let error_type = result.as_ref().err().map_or("", Failure::kind);
        self.delivery.entry.metrics.note_run(error_type, started.elapsed());
        match result? {
            Success::Unsettled if self.delivery.owner().is_some() => return Ok(Next::Handled),
            Success::Unsettled => self.handled().await,
            Success::Settled => {}
        }
        self.note(|observed| observed, MessageEvent::ExecutionFinished);
        Ok(Next::Done)
    }

    /// Notifies the observers of the application.
    fn note(&self, more: impl FnOnce(Observed<'_>) -> Observed<'_>, event: MessageEvent) {
        self.core.observers().note(|| more(Observed::new(event, &self.delivery.envelope)));
    }

    /// What follows a failed attempt.
    async fn after(&mut self, failure: Failure, retries: &mut Retries) -> Next {
        log(&self.delivery, &failure);
        self.note(|observed| observed.because(&failure), MessageEvent::ExecutionFailed);
        match &failure {
            Failure::NotBegun(error) => self.after_store(error, retries).await,
            Failure::Store(error) if error.blames_handler() => self.by_policy(&failure).await,
            Failure::Store(error) if self.is_uncounted() => self.after_store(error, retries).await,
            Failure::Fenced => {
                metrics::counter!(telemetry::FENCED, "op" => "commit").increment(1);
                // Whichever node has it, it is not held here any more.
                self.core.node().rows().reconcile();
                Next::Done
            }
            Failure::Stopped => {
                settle::give_back(self.core, &self.delivery).await;
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
        self.isolated = true;
        self.uncounted += 1;
        self.uncounted <= MOST_UNCOUNTED
    }

    /// Another run once the store may be well, which costs no attempt.
    async fn after_store(&self, error: &impl fmt::Display, retries: &mut Retries) -> Next {
        let is_over = self.core.lifecycle().is_draining();
        let again = !is_over
            && retries.wait(self.core.store().health(), "run", error).await.is_some()
            && attempts::is_store_back(self.core, &self.delivery, retries).await;
        if again {
            return Next::Again;
        }
        settle::give_back(self.core, &self.delivery).await;
        Next::Done
    }

    async fn by_policy(&mut self, failure: &Failure) -> Next {
        // The attempt that has just failed is one at least.
        let attempts = self.delivery.failures().max(1);
        match self.delivery.entry.policy.verdict(attempts) {
            Verdict::GiveUp => self.give_up(DeadLetterReason::Exhausted, failure).await,
            Verdict::RetryNow => {
                match &mut self.delivery.backing {
                    Backing::Stored { attempt_counted, .. } => *attempt_counted = false,
                    Backing::Memory => self.delivery.envelope.attempts += 1,
                }
                Next::Again
            }
            Verdict::RetryAfter(delay) => {
                let due_at = time::after(self.core.clock().now(), delay);
                let Some(owner) = self.delivery.owner() else {
                    self.delivery.envelope.attempts += 1;
                    return Next::Later(due_at);
                };
                let settlement = Settlement::Schedule(self.delivery.ownership(owner), due_at);
                self.core.store().settle(settlement).await;
                self.core.wakeups().pager().notify_one();
                Next::Done
            }
        }
    }

    async fn handled(&mut self) {
        if self.delivery.owner().is_some() {
            // Only the commit is left: the place in the queue's parallelism is for the next body.
            self.permit = None;
        }
        settle::handled(self.core, &mut self.delivery).await;
    }

    async fn give_up(&mut self, reason: DeadLetterReason, failure: &Failure) -> Next {
        self.give_up_as(reason, failure.kind(), &failure.to_string()).await;
        Next::Done
    }

    async fn give_up_as(&mut self, reason: DeadLetterReason, error_type: &str, error: &str) {
        // However long the store takes, the next message may run.
        self.permit = None;
        settle::as_letter(self.core, &mut self.delivery, reason, error_type, error).await;
        self.note(
            |observed| observed.because(&format_args!("{reason}: {error}")),
            MessageEvent::DeadLettered,
        );
    }
}

fn log(delivery: &Delivery, failure: &Failure) {
    let envelope = &delivery.envelope;
    tracing::warn!(
        message.id = %envelope.id,
        message.type = %envelope.message_type,
        destination = %envelope.destination,
        attempt = envelope.attempts,
        attempts = delivery.entry.policy.attempts(),
        error = %failure,
        "a run did not succeed"
    );
}

/// What follows an attempt that did not succeed.
enum Next {
    /// Another attempt, now.
    Again,
    /// Nothing more to do here.
    Done,
    /// Its row is to be settled.
    Handled,
    /// Another attempt at this time; the message waits in memory.
    Later(SystemTime),
}
