//! Claim, lease, recovery and fence as a model: what the store and the nodes do, step by step.

mod action;
mod state;
mod symmetry;

use stateright::{Model, Property};

pub use self::action::Action;
pub use self::state::State;
use self::state::{Delivery, Incarnation, Phase};
pub use self::symmetry::representative;

pub const ONCE: &str = "nothing takes effect twice";
pub const PROGRESS: &str = "the rest can still be handled";

/// The protocol, whole or with a part taken out.
#[derive(Debug, Clone, Copy)]
pub struct Inbox {
    /// How many of the messages wait when a history begins.
    pub messages: usize,
    /// How many mishaps may come in one history.
    pub mishaps: u8,
    /// Which of them may.
    pub possible: fn(&Action) -> bool,
    pub fence: Fence,
    /// Whether a node releases rows that it owns but does not hold.
    pub releases_unknown: bool,
}

/// What the mark at the end of a handler's transaction compares.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fence {
    /// Owner and attempts; where no row is like that, the transaction rolls back.
    OwnerAndAttempts,
    /// Only whether the row is there.
    Row,
    /// Nothing: it commits, whatever became of the row.
    None,
}

impl Inbox {
    fn step(self, state: &mut State, action: Action) {
        use Action::*;
        match action {
            Restart(at) | Rejoin(at) => state.nodes[at].renumber(),
            Lapse(at, number) => state.nodes[at].leases &= !(1 << number),
            Expire(at) => {
                let number = state.nodes[at].number;
                state.nodes[at].leases &= !(1 << number);
            }
            Recover(message) | ReleaseUnknown(_, message) => state.rows[message].owner = None,
            Claim(at, message) | ClaimLate(at, message) => claim(state, at, message, true),
            ClaimUnheard(at, message) => claim(state, at, message, false),
            Hear(at, held) => receive(state, at, held),
            Begin(at, held) => begin(state, at, held),
            CountUnheard(at, held) => {
                let delivery = state.nodes[at].deliveries.remove(held);
                state.row_mut(delivery).attempts += 1;
            }
            Commit(at, held) => {
                let delivery = state.nodes[at].deliveries.remove(held);
                self.commit(state, at, delivery);
            }
            CommitUnheard(at, held) => {
                let delivery = state.nodes[at].deliveries.remove(held);
                self.commit(state, at, delivery);
                run_again(state, at, delivery, Phase::Counted);
            }
            CommitFails(at, held) => {
                let delivery = state.nodes[at].deliveries.remove(held);
                run_again(state, at, delivery, Phase::Counted);
            }
            HandlerFails(at, held) => {
                let delivery = state.nodes[at].deliveries.remove(held);
                run_again(state, at, delivery, Phase::Uncounted);
            }
            Crash(at) => {
                state.nodes[at].is_alive = false;
                state.nodes[at].deliveries.clear();
            }
            Stop(at) => stop(state, at),
        }
    }

    /// The last statement of a handler's transaction, and its commit.
    fn commit(self, state: &mut State, at: usize, delivery: Delivery) {
        let is_let_through = match self.fence {
            Fence::OwnerAndAttempts => state.is_owned(at, delivery),
            Fence::Row => !state.row(delivery).is_gone,
            Fence::None => true,
        };
        if is_let_through {
            let row = state.row_mut(delivery);
            row.is_gone = true;
            row.owner = None;
            row.effects += 1;
        }
    }

    /// Whether it all comes to its end from here if nothing more goes wrong.
    fn can_end(self, state: &State) -> bool {
        let mut state = state.clone();
        let mut actions = Vec::new();
        while !state.is_all_handled() {
            actions.clear();
            self.ordinary(&state, &mut actions);
            let Some(action) = actions.first() else {
                return false;
            };
            self.step(&mut state, *action);
        }
        true
    }
}

fn claim(state: &mut State, at: usize, message: usize, is_heard: bool) {
    let owner = state.current(at);
    let row = &mut state.rows[message];
    let is_first = row.attempts == 0;
    row.owner = Some(owner);
    row.attempts = row.attempts.max(1);
    let delivery = Delivery {
        message: message as u8,
        number: owner.number,
        attempts: row.attempts,
        phase: Phase::Unheard { is_first },
    };
    state.nodes[at].add(delivery);
    if is_heard {
        let deliveries = &state.nodes[at].deliveries;
        let held = deliveries.iter().rposition(|held| *held == delivery);
        receive(state, at, held.expect("it was added just now"));
    }
}

/// A claim's answer. One to an incarnation that is lost meanwhile begins nothing.
fn receive(state: &mut State, at: usize, held: usize) {
    let node = &mut state.nodes[at];
    let delivery = node.deliveries.remove(held);
    if delivery.number == node.number {
        let is_first = delivery.phase == Phase::Unheard { is_first: true };
        let phase = if is_first { Phase::Counted } else { Phase::Uncounted };
        node.add(Delivery { phase, ..delivery });
    }
}

fn begin(state: &mut State, at: usize, held: usize) {
    let mut delivery = state.nodes[at].deliveries.remove(held);
    if delivery.phase == Phase::Uncounted {
        if !state.is_owned(at, delivery) {
            return;
        }
        delivery.attempts += 1;
        state.row_mut(delivery).attempts = delivery.attempts;
    }
    state.nodes[at].add(Delivery { phase: Phase::Running, ..delivery });
}

/// After a run that did not commit, as far as the node can see. One of a lost incarnation is not
/// repeated.
fn run_again(state: &mut State, at: usize, delivery: Delivery, phase: Phase) {
    let node = &mut state.nodes[at];
    if delivery.number == node.number {
        node.add(Delivery { phase, ..delivery });
    }
}

fn stop(state: &mut State, at: usize) {
    for delivery in std::mem::take(&mut state.nodes[at].deliveries) {
        // A first attempt that was counted in advance is taken back.
        if delivery.phase == Phase::Counted && state.is_owned(at, delivery) {
            let row = state.row_mut(delivery);
            row.owner = None;
            row.attempts -= 1;
        }
    }
    let own = state.current(at);
    for row in &mut state.rows {
        row.owner = row.owner.filter(|owner| *owner != own);
    }
    let node = &mut state.nodes[at];
    node.leases &= !(1 << node.number);
    node.is_alive = false;
}

impl Model for Inbox {
    type State = State;
    type Action = Action;

    fn init_states(&self) -> Vec<State> {
        vec![State::new(self.messages, self.mishaps)]
    }

    fn actions(&self, state: &State, actions: &mut Vec<Action>) {
        self.ordinary(state, actions);
        action::answers(state, actions);
        if state.mishaps_left > 0 {
            let ordinary = actions.len();
            self.mishaps(state, actions);
            let mishaps = actions.split_off(ordinary);
            actions.extend(mishaps.into_iter().filter(self.possible));
        }
    }

    fn next_state(&self, state: &State, action: Action) -> Option<State> {
        let mut next = state.clone();
        if action.is_mishap() {
            next.mishaps_left -= 1;
        }
        self.step(&mut next, action);
        Some(next)
    }

    fn properties(&self) -> Vec<Property<Self>> {
        vec![
            Property::always(ONCE, |_, state: &State| {
                state.rows.iter().all(|row| row.effects <= 1)
            }),
            Property::always("what is gone has taken effect", |_, state: &State| {
                state.rows.iter().all(|row| !row.is_gone || row.effects > 0)
            }),
            Property::always(PROGRESS, |model: &Self, state| model.can_end(state)),
            Property::sometimes("all is handled", |_, state: &State| state.is_all_handled()),
            Property::sometimes(
                "the commit of a lost incarnation is fenced",
                |_, state: &State| fenced(state).any(|owner| !state.is_trusted(owner)),
            ),
            Property::sometimes("the repeat of a commit is fenced", |_, state: &State| {
                fenced(state).any(|owner| state.is_trusted(owner))
            }),
        ]
    }
}

/// The owners of open transactions whose commits will be fenced.
fn fenced(state: &State) -> impl Iterator<Item = Incarnation> {
    state.nodes.iter().enumerate().flat_map(move |(at, node)| {
        let running = node.deliveries.iter().filter(|held| held.phase == Phase::Running);
        let fenced = running.filter(move |held| !state.is_owned(at, **held));
        fenced.map(move |held| Incarnation { node: at as u8, number: held.number })
    })
}
