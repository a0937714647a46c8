//! Outcomes that the client gives its deliveries, and the answers to them.

use fe2o3_amqp_types::definitions::Role;
use fe2o3_amqp_types::messaging::{DeliveryState, Modified, Rejected};
use fe2o3_amqp_types::performatives::Disposition;
use fe2o3_amqp_types::primitives::{Symbol, Value};

use super::super::refusal::Refusal;
use super::super::reply;
use super::super::settlement::Settlement;
use super::super::shared::Direction;
use super::super::wire::WireError;
use super::{Channel, Context};

const REASON: &str = "DeadLetterReason";
const DESCRIPTION: &str = "DeadLetterErrorDescription";

impl Channel {
    /// Settles, and echoes the outcome to a client that waits for it.
    pub(super) fn settle(
        &mut self,
        disposition: &Disposition,
        context: &mut Context<'_>,
    ) -> Result<(), WireError> {
        let state = disposition.state.as_ref();
        let settlement = state.filter(|_| disposition.role == Role::Receiver).and_then(settlement);
        let Some(settlement) = settlement else {
            return Ok(());
        };
        let last = disposition.last.unwrap_or(disposition.first);
        if last < disposition.first {
            return Err(WireError::Protocol("a disposition that ends before it begins"));
        }
        let inside = self.unsettled.range(disposition.first..=last).map(|(id, _)| *id);
        for id in inside.collect::<Vec<_>>() {
            let outcome = self.settle_one(id, settlement.clone(), context)?;
            let outcome = outcome.or_else(|| disposition.state.clone().map(echo_of));
            if !disposition.settled {
                let echo = Disposition {
                    role: Role::Sender,
                    first: id,
                    last: Some(id),
                    settled: true,
                    state: outcome,
                    batchable: false,
                };
                context.out.send(self.number, &echo)?;
            }
        }
        context.shared.wake_receivers();
        Ok(())
    }

    /// What went wrong with it, as the outcome says it.
    fn settle_one(
        &mut self,
        id: u32,
        settlement: Settlement,
        context: &Context<'_>,
    ) -> Result<Option<DeliveryState>, WireError> {
        let Some(unsettled) = self.unsettled.remove(&id) else {
            return Ok(None);
        };
        let now = context.shared.clock.now();
        let mut state = context.shared.state.lock();
        let entity = state.namespace.receiving(&unsettled.entity);
        let settled = entity.and_then(|entity| entity.settle(unsettled.token, settlement, now));
        if state.loses_outcome(&unsettled.entity, Direction::Settled) {
            return Err(WireError::Protocol("a test cuts the connection at a settlement"));
        }
        let rejected = |refusal: Refusal| Rejected { error: Some(refusal.error()) };
        Ok(settled.err().map(rejected).map(DeliveryState::Rejected))
    }
}

/// The state that says that this one was applied: a rejection with an error would be a failure.
fn echo_of(state: DeliveryState) -> DeliveryState {
    match state {
        DeliveryState::Rejected(_) => DeliveryState::Rejected(Rejected { error: None }),
        other => other,
    }
}

/// `None` for a state that settles nothing.
fn settlement(state: &DeliveryState) -> Option<Settlement> {
    match state {
        DeliveryState::Accepted(_) => Some(Settlement::Complete),
        DeliveryState::Released(_) => Some(Settlement::Release),
        DeliveryState::Modified(modified) => Some(modification(modified)),
        DeliveryState::Rejected(rejected) => Some(rejection(rejected)),
        DeliveryState::Received(_) => None,
    }
}

fn modification(modified: &Modified) -> Settlement {
    let annotations = modified.message_annotations.as_ref();
    let properties = annotations.into_iter().flat_map(|annotations| annotations.iter());
    let properties = properties.map(|(key, value)| (key.as_str().to_owned(), value.clone()));
    let properties = properties.collect();
    if modified.undeliverable_here == Some(true) {
        Settlement::Defer(properties)
    } else {
        Settlement::Abandon(properties)
    }
}

fn rejection(rejected: &Rejected) -> Settlement {
    let error = rejected.error.as_ref();
    let info = error.and_then(|error| error.info.as_deref());
    let text = |name: &str| {
        let value = info.and_then(|info| info.get(&Symbol::from(name)));
        value.and_then(reply::text).map(str::to_owned)
    };
    let others = info
        .into_iter()
        .flat_map(|info| info.iter())
        .filter(|(key, _)| key.as_str() != REASON && key.as_str() != DESCRIPTION);
    let properties: Vec<(String, Value)> =
        others.map(|(key, value)| (key.as_str().to_owned(), value.clone())).collect();
    Settlement::DeadLetter {
        reason: text(REASON),
        description: text(DESCRIPTION).or_else(|| error?.description.clone()),
        properties,
    }
}
