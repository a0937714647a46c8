//! What the broker says of settlements and of drained links, which the library does not give.
//!
//! `Receiver::accept` of the library returns when the settlement is written, and drops what the
//! broker answers: that the lock was lost, say. So the frames that a connection reads are looked at
//! here, beside the library.

use std::collections::HashMap;
use std::sync::Arc;

use fe2o3_amqp_types::definitions::Role;
use fe2o3_amqp_types::messaging::DeliveryState;
use fe2o3_amqp_types::performatives::{Disposition, Performative};
use parking_lot::Mutex;
use tokio::sync::{Notify, oneshot};

/// The outcomes of one connection.
#[derive(Debug, Default)]
pub(in super::super) struct Outcomes(Mutex<State>);

#[derive(Debug, Default)]
struct State {
    /// The broker's channel of each link, by the name of the link.
    channels: HashMap<String, u16>,
    /// Those that are waited for, by channel and number of the delivery.
    awaited: HashMap<(u16, u32), oneshot::Sender<Option<DeliveryState>>>,
    /// Notified when the link of a channel is drained.
    drained: HashMap<u16, Arc<Notify>>,
}

/// An outcome that is waited for, until this is dropped.
#[derive(Debug)]
pub(in super::super) struct Awaited {
    outcomes: Arc<Outcomes>,
    key: (u16, u32),
    outcome: oneshot::Receiver<Option<DeliveryState>>,
    /// Nothing waits for it any more.
    has_come: bool,
}

impl Outcomes {
    /// The broker's channel of the link of this name, which is attached. To be asked once.
    pub(in super::super) fn take_channel(&self, link: &str) -> Option<u16> {
        self.0.lock().channels.remove(link)
    }

    /// Waits for the outcome of a delivery. To be called before it is settled.
    pub(in super::super) fn awaited(self: &Arc<Self>, channel: u16, delivery: u32) -> Awaited {
        let (sender, outcome) = oneshot::channel();
        let key = (channel, delivery);
        self.0.lock().awaited.insert(key, sender);
        Awaited { outcomes: Arc::clone(self), key, outcome, has_come: false }
    }

    /// Notified when the broker has sent all that it wants to send on the link of this channel.
    pub(in super::super) fn drained(&self, channel: u16) -> Arc<Notify> {
        Arc::clone(self.0.lock().drained.entry(channel).or_default())
    }

    /// The link of this channel is gone.
    pub(in super::super) fn forget(&self, channel: u16) {
        self.0.lock().drained.remove(&channel);
    }

    /// Looks at a frame that the broker has sent.
    pub(super) fn note(&self, channel: u16, body: &[u8]) {
        let mut rest = body;
        // What cannot be read here cannot be read by the library either, which says so.
        match serde_amqp::from_reader(&mut rest) {
            Ok(Performative::Attach(attach)) if attach.role == Role::Sender => {
                self.0.lock().channels.insert(attach.name, channel);
            }
            Ok(Performative::Disposition(disposition)) => self.settled(channel, disposition),
            Ok(Performative::Flow(flow)) if flow.drain => {
                if let Some(drained) = self.0.lock().drained.get(&channel) {
                    drained.notify_one();
                }
            }
            _ => {}
        }
    }

    fn settled(&self, channel: u16, disposition: Disposition) {
        if disposition.role != Role::Sender || !disposition.settled {
            return;
        }
        let first = disposition.first;
        // The numbers begin again behind the last.
        let more = disposition.last.unwrap_or(first).wrapping_sub(first);
        if more > u32::MAX / 2 {
            // It ends before it begins.
            return;
        }
        let mut state = self.0.lock();
        let is_wide = usize::try_from(more).is_ok_and(|more| more >= state.awaited.len());
        let awaited: Vec<_> = if is_wide {
            let inside = |(on, delivery): &(u16, u32), _: &mut _| {
                *on == channel && delivery.wrapping_sub(first) <= more
            };
            state.awaited.extract_if(inside).map(|(_, sender)| sender).collect()
        } else {
            let numbers = (0..=more).map(|number| first.wrapping_add(number));
            numbers.filter_map(|number| state.awaited.remove(&(channel, number))).collect()
        };
        drop(state);
        for sender in awaited {
            // What waited for it may have given up.
            let _ = sender.send(disposition.state.clone());
        }
    }
}

impl Awaited {
    /// The outcome, once it is there. `None`: the broker settled without one.
    ///
    /// # Cancel safety
    /// It may be dropped at any time.
    pub(in super::super) async fn outcome(&mut self) -> Option<DeliveryState> {
        let outcome = (&mut self.outcome).await.ok().flatten();
        self.has_come = true;
        outcome
    }
}

impl Drop for Awaited {
    fn drop(&mut self) {
        if !self.has_come {
            self.outcomes.0.lock().awaited.remove(&self.key);
        }
    }
}

#[cfg(test)]
mod tests {
    use fe2o3_amqp_types::messaging::{Accepted, Rejected};

    use super::*;

    fn disposition(first: u32, last: Option<u32>, state: DeliveryState) -> Vec<u8> {
        let role = Role::Sender;
        let state = Some(state);
        let it = Disposition { role, first, last, settled: true, state, batchable: false };
        serde_amqp::to_vec(&it).unwrap()
    }

    #[tokio::test]
    async fn each_delivery_gets_its_own_outcome_and_none_of_another_channel() {
        let outcomes = Arc::new(Outcomes::default());
        let (mut one, mut two) = (outcomes.awaited(3, 7), outcomes.awaited(3, 8));
        let other = outcomes.awaited(4, 7);
        let accepted = DeliveryState::Accepted(Accepted {});
        outcomes.note(3, &disposition(7, None, accepted.clone()));
        let rejected = DeliveryState::Rejected(Rejected { error: None });
        outcomes.note(3, &disposition(8, Some(9), rejected.clone()));
        assert_eq!(one.outcome().await, Some(accepted.clone()));
        assert_eq!(two.outcome().await, Some(rejected.clone()));
        assert_eq!(outcomes.0.lock().awaited.len(), 1, "that of the other channel is open");
        let mut last = outcomes.awaited(3, u32::MAX);
        let mut next = outcomes.awaited(3, 0);
        outcomes.note(3, &disposition(u32::MAX, Some(0), rejected.clone()));
        assert_eq!(
            (last.outcome().await, next.outcome().await),
            (Some(rejected.clone()), Some(rejected))
        );
        let far = outcomes.awaited(3, 1_000_000);
        outcomes.note(3, &disposition(10, Some(999_999), accepted.clone()));
        assert_eq!(outcomes.0.lock().awaited.len(), 2, "it is behind the last one");
        drop(far);
        drop(other);
        assert!(outcomes.0.lock().awaited.is_empty());
        outcomes.note(3, b"no frame");
    }
}
