//! Looking what waits in the outbox that no node owns.

use std::collections::HashSet;
use std::sync::Arc;

use crate::envelope::Address;
use crate::runtime::claim::pace::PollPace;
use crate::runtime::core::Core;
use crate::runtime::storage::dead_letters::{log_dead_letter, settle_refused};
use crate::store::{DeadLetterId, DeadLetterReason, MessageStore, Ownership, StoreOperation};

/// The most rows of one claim.
const PAGE: usize = 1_000;

/// What has no address can never leave: it becomes a dead letter.
async fn dead_letter_without_address(core: &Core, store: &dyn MessageStore, destination: &Address) {
    if !core.node().local_lease().is_valid() {
        return;
    }
    let owner = core.node().owner();
    let claimed = match core
        .store()
        .call(StoreOperation::ClaimOutgoing, store.outbox().claim(owner, destination, PAGE))
        .await
    {
        Ok(claimed) => claimed,
        Err(error) => return tracing::warn!(%error, "the outbox could not be read yet"),
    };
    let why = format!("its destination `{destination}` is not an address");
    for envelope in claimed {
        let id = DeadLetterId { id: envelope.id, destination: destination.clone() };
        let reason = DeadLetterReason::Refused;
        log_dead_letter(&id, &envelope.message_type.to_string(), reason, &why);
        settle_refused(core.store(), &Ownership::of(&envelope, owner), &why).await;
    }
}

/// Asks for which endpoints the outbox has rows without an owner: when it is woken, and else with
/// each poll, until the application stops.
pub(crate) async fn look(core: Arc<Core>, store: Arc<dyn MessageStore>) {
    let (mut unknown, mut pace) = (HashSet::new(), PollPace::default());
    loop {
        for endpoint in core
            .routes()
            .endpoints()
            .remote()
            .filter(|endpoint| endpoint.rows.is_comparison_requested())
        {
            endpoint.wake.notify_one();
        }
        match core.store().call(StoreOperation::Destinations, store.outbox().destinations()).await {
            Ok(destinations) => {
                pace.note(!destinations.is_empty());
                for destination in destinations {
                    match core.routes().endpoints().of_destination(&destination) {
                        Some(endpoint) => endpoint.room.note_rows_in_store(),
                        None if !destination.is_valid() => {
                            dead_letter_without_address(&core, &*store, &destination).await;
                        }
                        None if unknown.insert(destination.clone()) => tracing::warn!(
                            %destination,
                            "messages wait in the outbox for an endpoint of another process that \
                             this application does not have; configure it until they have left"
                        ),
                        None => {}
                    }
                }
            }
            Err(error) => {
                pace.note(true);
                tracing::warn!(%error, "the outbox could not be looked at yet");
            }
        }
        if core.routes().endpoints().remote().next().is_none() {
            // It is logged once, and then of no further interest.
            return;
        }
        let is_quiet = !pace.has_found()
            && !core
                .routes()
                .endpoints()
                .remote()
                .any(|endpoint| endpoint.rows.is_comparison_requested());
        let poll = core.settings().poll;
        let longest = || pace.longest(poll, core.store().is_notified());
        let poll = if is_quiet { longest() } else { poll };
        let pause = tokio::time::timeout(poll, core.wakeups().outbox().notified());
        if core.lifecycle().draining().run_until_cancelled(pause).await.is_none() {
            return;
        }
    }
}
