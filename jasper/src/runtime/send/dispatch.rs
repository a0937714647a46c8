//! Accepting messages: what is to be stored is stored, and then all is handed over.

use std::sync::Arc;

use super::admission::take_room;
use super::hand_over::AfterCommit;
use super::origin::Origin;
use super::placement::Joining;
use super::prepare::prepare;
use super::routed::RoutedMessages;
use crate::envelope::Envelope;
use crate::error::SendError;
use crate::handler::OutgoingMessage;
use crate::runtime::core::Core;
use crate::runtime::finish::FinishOnDrop;
use crate::runtime::observation::{MessageEvent, Observed};
use crate::runtime::outbound::endpoint::Endpoint;
use crate::store::{
    Completion, Incoming, Inserted, MessageStore, Outgoing, Ownership, Settled, StoreError,
    StoreOperation, StoreTransaction, TransactionOptions,
};

/// Accepts messages for an application.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Dispatcher<'a>(&'a Arc<Core>);

impl<'a> Dispatcher<'a> {
    pub(crate) const fn of(core: &'a Arc<Core>) -> Self {
        Self(core)
    }

    /// Sends messages that belong to no transaction.
    ///
    /// Answers whether all of it was known before.
    pub(crate) async fn dispatch(
        self,
        messages: Vec<OutgoingMessage>,
        origin: &Origin,
    ) -> Result<bool, SendError> {
        let core = self.0;
        let scope = origin.scope().map(AsRef::as_ref);
        let mut room = match scope {
            Some(_) => Vec::new(),
            None => take_room(core, &messages).await?,
        };
        let mut routed = prepare(core, messages, scope, Joining::Nothing, &mut room)?;
        if let Some(store) = core.store().get().filter(|_| routed.has_rows()) {
            origin.wait_for_run(store).await?;
        }
        // First those that may be refused, as nothing is kept then.
        for (envelope, endpoint) in std::mem::take(&mut routed.to_endpoints.inline) {
            // Larger than all that other messages need.
            Box::pin(send_inline(core, envelope, &endpoint)).await?;
        }
        Ok(self.store_and_hand_over(routed).await?)
    }

    /// Stores what is to be stored, then hands over. Answers whether all of it was known before.
    pub(crate) async fn store_and_hand_over(
        self,
        routed: RoutedMessages,
    ) -> Result<bool, StoreError> {
        let (incoming, outgoing, accepted) = AfterCommit::split(self.0, routed);
        let has_rows = !incoming.is_empty() || !outgoing.is_empty();
        let Some(store) = self.0.store().get_arc().cloned().filter(|_| has_rows) else {
            accepted.hand_over(self.0, Vec::new(), Vec::new());
            return Ok(false);
        };
        let operation =
            if incoming.is_empty() { StoreOperation::StoreOutgoing } else { StoreOperation::Store };
        // Whatever becomes of the caller, what is stored is handed over.
        let core = Arc::clone(self.0);
        let storing = async move {
            // A call that fails may have been carried out all the same: the client notes that, also
            // where the caller has gone.
            let stored = store_all(&*store, incoming, outgoing);
            let (incoming, outgoing) =
                core.store().call_without_deadline(operation, stored).await?;
            let known = incoming.iter().chain(&outgoing).all(|it| *it == Inserted::Duplicate);
            accepted.hand_over(&core, incoming, outgoing);
            Ok(known)
        };
        let limit = self.0.store().deadline();
        let stored = FinishOnDrop::new(storing, self.0.lifecycle().tasks());
        let stored = tokio::time::timeout(limit, stored);
        stored.await.unwrap_or(Err(StoreError::Deadline { limit }))
    }

    /// Commits a transaction together with the messages of `routed`, then hands these over.
    /// `handled` is the row of the message that the transaction has handled; there is none where a
    /// handler was invoked.
    pub(crate) async fn commit(
        self,
        transaction: Box<dyn StoreTransaction>,
        routed: RoutedMessages,
        handled: Option<Ownership>,
    ) -> Result<Settled, StoreError> {
        let (incoming, outgoing, accepted) = AfterCommit::split(self.0, routed);
        let commit = transaction.commit(Completion { handled, incoming, outgoing });
        let committed =
            self.0.store().call_without_deadline(StoreOperation::Commit, commit).await?;
        if committed.settled == Settled::Done {
            accepted.hand_over(self.0, committed.incoming, committed.outgoing);
        }
        Ok(committed.settled)
    }
}

/// Sends a message whose sender waits for the receipt.
async fn send_inline(
    core: &Core,
    envelope: Envelope,
    endpoint: &Endpoint,
) -> Result<(), SendError> {
    let observed = core.observers().is_observed().then(|| Box::new(envelope.clone()));
    endpoint.send_inline(envelope).await?;
    if let Some(envelope) = observed {
        core.observers().notify(&Observed::new(MessageEvent::Sent, &envelope));
        core.observers().notify(&Observed::new(MessageEvent::Delivered, &envelope));
    }
    Ok(())
}

/// Stores rows of inbox and outbox: of both in one transaction.
async fn store_all(
    store: &dyn MessageStore,
    incoming: Vec<Incoming>,
    outgoing: Vec<Outgoing>,
) -> Result<(Vec<Inserted>, Vec<Inserted>), StoreError> {
    match (incoming.is_empty(), outgoing.is_empty()) {
        (_, true) => Ok((store.inbox().store(incoming).await?, Vec::new())),
        (true, false) => Ok((Vec::new(), store.outbox().store(outgoing).await?)),
        (false, false) => {
            let transaction = store.begin(TransactionOptions::of("send")).await?;
            let completion = Completion { handled: None, incoming, outgoing };
            let committed = transaction.commit(completion).await?;
            Ok((committed.incoming, committed.outgoing))
        }
    }
}
