//! One run of a handler: its transaction, its time-out, its panics, and what it returns.

use std::any::Any;
use std::future::Future;
use std::pin::pin;
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use bytes::Bytes;
use futures_util::poll;
use tokio::sync::OwnedSemaphorePermit;
use tokio_util::sync::CancellationToken;

use super::entry::HandlerEntry;
use super::queue::Backing;
use crate::caught::{Caught, Panic, discard};
use crate::codec::CodecError;
use crate::envelope::Envelope;
use crate::error::SendError;
use crate::handler::{
    Causation, HandlerContext, HandlerFailure, OutgoingMessage, RunError, RunScope,
};
use crate::runtime::core::Core;
use crate::runtime::finish::FinishOnDrop;
use crate::runtime::send::dispatch::Dispatcher;
use crate::runtime::send::origin::Origin;
use crate::runtime::send::placement::Joining;
use crate::runtime::send::prepare::prepare;
use crate::store::{
    Ownership, Settled, StoreError, StoreOperation, StoreTransaction, TransactionOptions,
};

/// Why a run did not succeed.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Failure {
    #[error("{0}")]
    Undecodable(CodecError),
    #[error("{0}")]
    Handler(HandlerFailure),
    #[error("its reply cannot be encoded: {0}")]
    Unanswerable(CodecError),
    #[error("it did not end within {0:?}")]
    TimedOut(Duration),
    #[error("it panicked: {0}")]
    Panicked(#[from] Panic),
    #[error("its messages were not accepted: {0}")]
    Send(SendError),
    /// No run began: the message waits until the store is back.
    #[error("the store opened no transaction: {0}")]
    NotBegun(StoreError),
    /// Not the handler's fault, as far as can be seen: it runs again once the store is back.
    #[error("the store failed: {0}")]
    Store(#[from] StoreError),
    /// Another node has taken the message over, or an earlier commit is done whose answer was lost;
    /// nothing of this run remains.
    #[error(
        "its row is not this run's any more: another node has the message, or it was handled by \
         an earlier commit whose answer was lost"
    )]
    Fenced,
    /// The application ends before the handler did.
    #[error("the application is stopping")]
    Stopped,
}

impl Failure {
    /// A name of low cardinality, for telemetry.
    pub(crate) const fn kind(&self) -> &'static str {
        match self {
            Self::Undecodable(_) => "undecodable",
            Self::Handler(error) => error.type_name(),
            Self::Unanswerable(_) => "unanswerable",
            Self::TimedOut(_) => "timeout",
            Self::Panicked(_) => "panic",
            Self::Send(_) => "send",
            Self::NotBegun(_) | Self::Store(_) => "store",
            Self::Fenced => "fenced",
            Self::Stopped => "stopped",
        }
    }
}

impl From<SendError> for Failure {
    fn from(error: SendError) -> Self {
        match error {
            SendError::Store(error) => Self::Store(error),
            error => Self::Send(error),
        }
    }
}

impl From<RunError> for Failure {
    fn from(error: RunError) -> Self {
        match error {
            RunError::Undecodable(error) => Self::Undecodable(error),
            RunError::Failed(error) => Self::Handler(error),
            RunError::Unanswerable(error) => Self::Unanswerable(error),
        }
    }
}

/// Whether a run that succeeded has settled its message, too.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Success {
    /// The row is settled as handled, by the commit of the run.
    Settled,
    /// The row, if there is one, is still to be settled.
    Unsettled,
}

/// One run of a handler over a received message.
pub(crate) struct Run<'a> {
    pub(crate) core: &'a Arc<Core>,
    pub(crate) entry: &'a Arc<HandlerEntry>,
    pub(crate) envelope: &'a Envelope,
    pub(crate) backing: Backing,
    /// The worker's place in the queue's parallelism: given up when the body is done and only the
    /// commit is left.
    pub(crate) permit: &'a mut Option<OwnedSemaphorePermit>,
    /// Whether it shares its transaction with none, whatever its handler says.
    pub(crate) isolated: bool,
    /// How long the body may take.
    pub(crate) limit: Duration,
}

impl Run<'_> {
    /// Runs the handler, and commits or sends what follows from it.
    pub(crate) async fn perform(self) -> Result<Success, Failure> {
        self.run(&mut None).await
    }

    /// The same for a message that is in memory only, with the encoded reply of the handler.
    pub(crate) async fn answer(self) -> Result<Option<Bytes>, Failure> {
        let mut reply = Some(Bytes::new());
        self.run(&mut reply).await.map(|_ended| reply)
    }

    /// `reply`: the place for the encoded reply, where it is wanted.
    async fn run(self, reply: &mut Option<Bytes>) -> Result<Success, Failure> {
        match (self.core.store().get_arc(), self.entry.registration.takes_connection) {
            (Some(store), true) => {
                let begin = self
                    .core
                    .store()
                    .call(StoreOperation::Begin, store.begin(self.transaction_options()))
                    .await;
                let transaction = begin.map_err(Failure::NotBegun)?;
                // Larger than all that a message in memory needs.
                Box::pin(self.in_transaction(transaction, reply)).await
            }
            _ => self.without_connection(reply).await,
        }
    }

    async fn in_transaction(
        self,
        mut transaction: Box<dyn StoreTransaction>,
        reply: &mut Option<Bytes>,
    ) -> Result<Success, Failure> {
        let scope = RunScope::in_transaction(self.causation()).holding_connection();
        let scope = Arc::new(scope);
        let outcome = self.body(&scope, transaction.connection(), reply).await;
        let mut messages = scope.close();
        match outcome {
            Ok(returned) => messages.extend(returned),
            Err(failure) => {
                return Err(roll_back(self.core, transaction, failure).await);
            }
        }
        self.commit(transaction, messages, &scope).await
    }

    /// A handler without a connection argument uses no connection of the store while it runs. Where
    /// its message and what it sends are stored, both are written in one transaction afterwards;
    /// otherwise what it sends is sent first.
    async fn without_connection(self, reply: &mut Option<Bytes>) -> Result<Success, Failure> {
        let scope = Arc::new(if self.entry.registration.durable {
            RunScope::in_transaction(self.causation())
        } else {
            RunScope::new(self.causation())
        });
        let outcome = self.body(&scope, None, reply).await;
        let mut messages = scope.close();
        messages.extend(outcome?);
        match (self.core.store().get_arc(), self.backing) {
            (Some(store), Backing::Stored { .. }) if !messages.is_empty() => {
                let begin = store.begin(self.transaction_options());
                let transaction = self.core.store().call(StoreOperation::Begin, begin).await?;
                Box::pin(self.commit(transaction, messages, &scope)).await
            }
            (_, Backing::Memory) if !messages.is_empty() => {
                let origin = Origin::of(scope);
                Box::pin(Dispatcher::of(self.core).dispatch(messages, &origin)).await?;
                Ok(Success::Unsettled)
            }
            _ => Ok(Success::Unsettled),
        }
    }

    async fn commit(
        self,
        transaction: Box<dyn StoreTransaction>,
        messages: Vec<OutgoingMessage>,
        scope: &RunScope,
    ) -> Result<Success, Failure> {
        let mut room = Vec::new();
        let batch = match prepare(self.core, messages, Some(scope), Joining::Run, &mut room) {
            Ok(batch) => batch,
            Err(error) => return Err(roll_back(self.core, transaction, error.into()).await),
        };
        let handled = match self.backing {
            Backing::Stored { owner, .. } => Some(Ownership::of(self.envelope, owner)),
            Backing::Memory => None,
        };
        *self.permit = None;
        // The caller may be gone before the commit returns; what is committed is handed over
        // all the same.
        let core = Arc::clone(self.core);
        let commit = async move { Dispatcher::of(&core).commit(transaction, batch, handled).await };
        match FinishOnDrop::new(commit, self.core.lifecycle().tasks()).await? {
            Settled::Done => Ok(Success::Settled),
            Settled::Fenced => Err(Failure::Fenced),
        }
    }

    fn transaction_options(&self) -> TransactionOptions {
        let options = self.entry.transaction_options();
        if self.isolated {
            TransactionOptions { share: 1, isolated: true, ..options }
        } else {
            options
        }
    }

    fn causation(&self) -> Causation {
        Causation::of(self.envelope, self.entry.registration.name)
    }

    async fn body(
        &self,
        scope: &Arc<RunScope>,
        connection: Option<&mut (dyn Any + Send)>,
        reply: &mut Option<Bytes>,
    ) -> Result<Vec<OutgoingMessage>, Failure> {
        let aborting = self.core.lifecycle().aborting();
        let source = || Arc::clone(scope);
        let store = self.core.store().get_arc().filter(|_| connection.is_some());
        let mut cx = HandlerContext::received(
            self.envelope,
            self.core.states(),
            aborting,
            &source,
            self.core.codec(),
        )
        .with_connection(connection);
        if let Some(store) = store {
            cx = cx.with_conflicts(store.info().is_conflict);
        }
        let registration = &self.entry.registration;
        let run = if reply.is_some() { registration.answer } else { registration.run };
        let run = Caught::of(|| run(self.envelope, self.core.codec(), &mut cx));
        let run = Arc::clone(scope).run(run);
        let ended = run_bounded(run, self.limit, aborting).await;
        if matches!(ended, Err(Failure::TimedOut(_))) {
            // It is cancelled for tasks that the handler has started, too.
            cx.cancel();
        }
        if let Some(given) = ended?? {
            *reply = Some(given);
        }
        Ok(cx.cascades().take())
    }
}

/// Runs the body of a handler until it ends, panics, takes too long, or the application ends. The
/// body is a [`Caught`], so that its drop does not panic either.
pub(crate) async fn run_bounded<T>(
    body: impl Future<Output = Result<T, Panic>>,
    limit: Duration,
    aborting: &CancellationToken,
) -> Result<T, Failure> {
    let mut body = pin!(body);
    // A body that never waits needs neither a timer nor a place among those to be cancelled.
    if let Poll::Ready(ended) = poll!(body.as_mut()) {
        return ended.map_err(Failure::Panicked);
    }
    let body = tokio::time::timeout(limit, body);
    match aborting.run_until_cancelled(body).await {
        None => Err(Failure::Stopped),
        Some(Err(_)) => Err(Failure::TimedOut(limit)),
        Some(Ok(ended)) => ended.map_err(Failure::Panicked),
    }
}

/// Rolls a failed run back, and gives the failure that counts: that of the store, where it cannot
/// be reached for the rollback, as the handler's failure may only follow from it.
pub(crate) async fn roll_back<E: From<StoreError>>(
    core: &Core,
    transaction: Box<dyn StoreTransaction>,
    failure: E,
) -> E {
    match core.store().call(StoreOperation::Rollback, transaction.rollback()).await {
        Ok(()) => failure,
        Err(error) if error.is_transient() => {
            discard(failure);
            error.into()
        }
        Err(error) => {
            tracing::warn!(%error, "a failed run could not be rolled back; the database undoes it");
            failure
        }
    }
}
