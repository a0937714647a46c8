//! All that can happen next.

use super::state::{Delivery, MESSAGES, Phase, State};
use super::{Fence, Inbox};

/// A node is named by its index, a delivery by its index in the node's memory.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Action {
    // What happens sooner or later if nothing goes wrong.
    /// A process that ended is started again.
    Restart(usize),
    /// A node finds that its lease was lost, and joins again.
    Rejoin(usize),
    /// The lease of an incarnation that is renewed no longer runs out.
    Lapse(usize, u8),
    /// Another node takes a row from an incarnation without a lease.
    Recover(usize),
    /// A node releases a row that it owns but does not hold.
    ReleaseUnknown(usize, usize),
    Claim(usize, usize),
    /// Counts the attempt where it is not counted, and opens the transaction.
    Begin(usize, usize),
    Commit(usize, usize),

    // What may happen or not.
    /// The answer to a claim, after whatever else has happened meanwhile.
    Hear(usize, usize),

    // Mishaps.
    Crash(usize),
    /// The orderly stop, which gives back what has not begun.
    Stop(usize),
    /// A node that lives does not renew its lease in time, and does not know it.
    Expire(usize),
    /// A node that has lost its lease, and does not know it, claims.
    ClaimLate(usize, usize),
    /// The store gives the row, and the node gets no answer.
    ClaimUnheard(usize, usize),
    /// The store counts the attempt; the node gets no answer, asks again and is fenced.
    CountUnheard(usize, usize),
    /// The store commits, and the node believes that it did not.
    CommitUnheard(usize, usize),
    /// The store does not commit, and says so.
    CommitFails(usize, usize),
    /// The handler fails and is to run again.
    HandlerFails(usize, usize),
}

impl Action {
    pub const fn is_mishap(self) -> bool {
        match self {
            Self::Restart(_)
            | Self::Rejoin(_)
            | Self::Lapse(..)
            | Self::Recover(_)
            | Self::ReleaseUnknown(..)
            | Self::Claim(..)
            | Self::Begin(..)
            | Self::Commit(..)
            | Self::Hear(..) => false,
            Self::Crash(_)
            | Self::Stop(_)
            | Self::Expire(_)
            | Self::ClaimLate(..)
            | Self::ClaimUnheard(..)
            | Self::CountUnheard(..)
            | Self::CommitUnheard(..)
            | Self::CommitFails(..)
            | Self::HandlerFails(..) => true,
        }
    }
}

impl Inbox {
    /// What brings the work on without any mishap. In this order it always ends, as a node that
    /// has lost its lease joins again before it claims.
    pub fn ordinary(&self, state: &State, actions: &mut Vec<Action>) {
        for (at, node) in state.nodes.iter().enumerate() {
            if !node.is_alive {
                actions.push(Action::Restart(at));
            } else if !state.is_trusted(state.current(at)) {
                actions.push(Action::Rejoin(at));
            }
            for number in 0..=node.number {
                let is_present = node.is_alive && number == node.number;
                if !is_present && node.leases & (1 << number) != 0 {
                    actions.push(Action::Lapse(at, number));
                }
            }
        }
        for (message, row) in state.rows.iter().enumerate() {
            let Some(owner) = row.owner else {
                continue;
            };
            let mut alive = (0..).zip(&state.nodes).filter(|(_, node)| node.is_alive);
            if !state.is_trusted(owner) && alive.any(|(at, _)| state.current(at) != owner) {
                actions.push(Action::Recover(message));
            }
            let at = usize::from(owner.node);
            let node = &state.nodes[at];
            let is_present = node.is_alive && owner == state.current(at);
            if self.releases_unknown && is_present && !node.holds(message as u8) {
                actions.push(Action::ReleaseUnknown(at, message));
            }
        }
        for_deliveries(state, |at, held, delivery| match delivery.phase {
            Phase::Running => actions.push(Action::Commit(at, held)),
            Phase::Counted | Phase::Uncounted => actions.push(Action::Begin(at, held)),
            Phase::Unheard { .. } => {}
        });
        for_claims(state, |at, message| {
            if state.is_trusted(state.current(at)) {
                actions.push(Action::Claim(at, message));
            }
        });
    }

    /// What may go wrong.
    pub fn mishaps(&self, state: &State, actions: &mut Vec<Action>) {
        for (at, node) in state.nodes.iter().enumerate().filter(|(_, node)| node.is_alive) {
            actions.push(Action::Crash(at));
            if !node.deliveries.iter().any(|held| held.phase == Phase::Running) {
                actions.push(Action::Stop(at));
            }
            if state.is_trusted(state.current(at)) {
                actions.push(Action::Expire(at));
            }
        }
        for_claims(state, |at, message| {
            actions.push(Action::ClaimUnheard(at, message));
            if !state.is_trusted(state.current(at)) {
                actions.push(Action::ClaimLate(at, message));
            }
        });
        for_deliveries(state, |at, held, delivery| match delivery.phase {
            Phase::Running => {
                actions.push(Action::CommitFails(at, held));
                actions.push(Action::HandlerFails(at, held));
                if self.fence == Fence::None || state.is_owned(at, delivery) {
                    actions.push(Action::CommitUnheard(at, held));
                }
            }
            Phase::Uncounted if state.is_owned(at, delivery) => {
                actions.push(Action::CountUnheard(at, held));
            }
            _ => {}
        });
    }
}

/// Answers that are on their way.
pub fn answers(state: &State, actions: &mut Vec<Action>) {
    for_deliveries(state, |at, held, delivery| {
        if matches!(delivery.phase, Phase::Unheard { .. }) {
            actions.push(Action::Hear(at, held));
        }
    });
}

fn for_deliveries(state: &State, mut each: impl FnMut(usize, usize, Delivery)) {
    for (at, node) in state.nodes.iter().enumerate() {
        for (held, delivery) in node.deliveries.iter().enumerate() {
            each(at, held, *delivery);
        }
    }
}

/// A node whose lease has run out claims too, until it finds out.
fn for_claims(state: &State, mut each: impl FnMut(usize, usize)) {
    for at in (0..state.nodes.len()).filter(|at| state.nodes[*at].is_alive) {
        for message in 0..MESSAGES {
            if !state.rows[message].is_gone && state.rows[message].owner.is_none() {
                each(at, message);
            }
        }
    }
}
