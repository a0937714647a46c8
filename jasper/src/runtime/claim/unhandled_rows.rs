//! Rows that no living node takes: what becomes of them.

use std::sync::Arc;

use super::intake::{Claimer, bytes, has_more};
use super::pace::PollPace;
use super::unhandled_types::{UnhandledFate, UnhandledTypes};
use crate::envelope::Envelope;
use crate::runtime::send::dispatch::Dispatcher;
use crate::runtime::send::routed::{DEDUPLICATION_WINDOW, RoutedMessages};
use crate::store::{
    Claimable, Claimed, StoreError, StoreOperation, Subscription, TransactionOptions,
};

/// The most rows of one claim.
const PAGE: usize = 250;

/// Rows that no living node takes. A node may come for which they are, after an upgrade; where none
/// does in the time that is set for it, they become invalid messages.
#[derive(Debug, Default)]
pub(super) struct UnhandledRows {
    pub(super) types: UnhandledTypes,
}

impl UnhandledRows {
    /// Takes care of those among what a look has found, but not of what this node takes. `true`:
    /// there may be more.
    pub(super) async fn take_in(
        &mut self,
        intake: &mut Claimer,
        pace: &mut PollPace,
        look: &Claimable,
        takes: &[Subscription],
    ) -> Result<bool, StoreError> {
        let others: Vec<_> =
            look.now.iter().filter(|waits| !takes.contains(waits)).cloned().collect();
        let claimed = self.claim(intake, others).await;
        self.types.turn(look.next_page.clone());
        let (claimed, mut room) = (claimed?, true);
        let full = has_more(&claimed, PAGE);
        if !claimed.is_empty() {
            pace.note(true);
        }
        for unhandled in claimed {
            room &= self.admit(intake, unhandled).await;
        }
        Ok(full && room)
    }

    async fn claim(
        &mut self,
        intake: &Claimer,
        others: Vec<Subscription>,
    ) -> Result<Vec<Claimed>, StoreError> {
        if others.is_empty() {
            return Ok(Vec::new());
        }
        let alive =
            intake.core.store().call(StoreOperation::Alive, intake.store.nodes().alive()).await?;
        let timeout = intake.core.settings().unhandled_timeout;
        let unhandled = self.types.among(others, alive, timeout);
        if unhandled.is_empty() {
            return Ok(Vec::new());
        }
        // Its handler, if there is one, may have a single attempt.
        intake.claim(unhandled, PAGE, false).await
    }

    /// An unhandled message may belong to a handler that has moved to another queue, or was
    /// renamed. `false`: that queue has no room now, and the message waits in the store.
    async fn admit(&mut self, intake: &mut Claimer, claimed: Claimed) -> bool {
        let Some(entry) = intake.handler_of(&claimed).filter(|entry| entry.runs_here) else {
            if !redirect(intake, &claimed).await {
                self.wait_or_give_up(intake, claimed).await;
            }
            return true;
        };
        let queue = Arc::clone(intake.core.routes().queue_of(&entry));
        if let Some(slot) = queue.room.try_reserve(bytes(&claimed)) {
            intake.admit(claimed, entry, slot).await;
            return true;
        }
        queue.room.note_rows_in_store();
        intake.give_back(claimed).await;
        false
    }

    /// A message that no node takes waits for as long as is configured. One that cannot be read
    /// does not wait.
    async fn wait_or_give_up(&mut self, intake: &Claimer, claimed: Claimed) {
        if let Ok(envelope) = &claimed.envelope
            && claimed.ownership.destination.is_valid()
        {
            let unhandled = Subscription {
                destination: claimed.ownership.destination.clone(),
                message_type: envelope.message_type.to_string(),
            };
            if self.types.found(unhandled, intake.core.settings().unhandled_timeout)
                == UnhandledFate::Wait
            {
                return intake.give_back(claimed).await;
            }
        }
        intake.give_up_invalid(claimed).await;
    }
}

/// Routes an unhandled row anew, by the routes of now: a replayed dead letter of an endpoint, or a
/// message that was received by a node without a handler for it. `false`: there is no route.
async fn redirect(intake: &Claimer, claimed: &Claimed) -> bool {
    let Ok(envelope) = &claimed.envelope else {
        return false;
    };
    let (mut routed, now) = (RoutedMessages::default(), intake.core.clock().now());
    let own;
    if let Some(endpoint) =
        intake.core.routes().endpoints().of_destination(&claimed.ownership.destination)
    {
        routed.to_endpoints.push_unowned(envelope.clone(), Arc::clone(endpoint));
    } else {
        let entries = if claimed.ownership.destination.is_received() {
            intake.core.routes().handlers().of_type(&envelope.message_type)
        } else {
            // It does not run here: for a process where it does.
            own = intake.handler_of(claimed);
            own.as_slice()
        };
        for entry in entries {
            let destination = entry.address.clone();
            let envelope = Envelope { destination, attempts: 0, ..envelope.clone() };
            routed.to_handlers.push_unowned(
                envelope,
                Arc::clone(entry),
                now,
                Some(DEDUPLICATION_WINDOW),
            );
        }
    }
    if routed.is_empty() {
        return false;
    }
    let begin = intake.store.begin(TransactionOptions::of("redirect"));
    let begin = intake.core.store().call(StoreOperation::Begin, begin);
    let redirected = async {
        let transaction = begin.await?;
        let handled = Some(claimed.ownership.clone());
        Dispatcher::of(&intake.core).commit(transaction, routed, handled).await
    };
    if let Err(error) = redirected.await {
        // This node owns it and does not hold it, so it is found again.
        tracing::warn!(%error, "a message could not be sent on yet");
    }
    true
}
