//! What the connections of a broker share.

use std::collections::{BTreeMap, VecDeque};

use parking_lot::Mutex;
use tokio::sync::{mpsc, watch};

use super::address::EntityName;
use super::administration_failure::AdministrationFailures;
use super::clock::Clock;
use super::namespace::Namespace;
use super::refusal::{NOT_FOUND, Refusal};
use super::shared_access::AccessKey;

#[derive(Debug)]
pub(super) struct Shared {
    pub(super) state: Mutex<State>,
    pub(super) clock: Clock,
    pub(super) key: AccessKey,
    /// In bytes.
    pub(super) max_message_size: u64,
    /// Something may be there to be delivered.
    pub(super) deliverable: watch::Sender<()>,
    /// Anything has changed: for the timer, and for tests that wait.
    pub(super) changed: watch::Sender<()>,
}

#[derive(Debug, Default)]
pub(super) struct State {
    pub(super) namespace: Namespace,
    pub(super) refusals: BTreeMap<EntityName, VecDeque<Refusal>>,
    /// How many outcomes of each entity are never to arrive.
    pub(super) lost_outcomes: BTreeMap<(EntityName, Direction), usize>,
    pub(super) administration_failures: AdministrationFailures,
    pub(super) refuses_connections: bool,
    pub(super) connections: BTreeMap<u64, mpsc::UnboundedSender<Command>>,
    last_number: u64,
}

/// Whose outcome it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Direction {
    /// Of a message that a client sends.
    Sent,
    /// Of a message that a client settles.
    Settled,
}

/// What a test does to a connection.
#[derive(Debug, Clone)]
pub(super) enum Command {
    /// Drop it without a word.
    Cut,
    /// Detach the links of an entity, its management link excepted.
    Detach(EntityName, Refusal),
}

impl Shared {
    pub(super) fn new(key: AccessKey, max_message_size: u64) -> Self {
        Self {
            state: Mutex::default(),
            clock: Clock::new(),
            key,
            max_message_size,
            deliverable: watch::Sender::new(()),
            changed: watch::Sender::new(()),
        }
    }

    /// Detaches the links to an entity that is not there any more.
    pub(super) fn detach_deleted(&self, entity: &str) {
        let refusal = Refusal::new(NOT_FOUND, "The messaging entity was deleted.");
        let command = Command::Detach(EntityName::parse(entity), refusal);
        self.state.lock().command_all(&command);
    }

    /// To be called after what may let a message be received.
    pub(super) fn wake_receivers(&self) {
        self.deliverable.send_replace(());
        self.changed.send_replace(());
    }

    /// To be called after any other change.
    pub(super) fn note_change(&self) {
        self.changed.send_replace(());
    }
}

impl State {
    /// A number that is used once.
    pub(super) fn next_number(&mut self) -> u64 {
        self.last_number += 1;
        self.last_number
    }

    pub(super) fn next_refusal(&mut self, entity: &EntityName) -> Option<Refusal> {
        self.refusals.get_mut(entity)?.pop_front()
    }

    /// Whether the connection is to be cut instead of an answer.
    pub(super) fn loses_outcome(&mut self, entity: &EntityName, direction: Direction) -> bool {
        let left = self.lost_outcomes.get_mut(&(entity.clone(), direction));
        left.filter(|left| **left > 0).map(|left| *left -= 1).is_some()
    }

    pub(super) fn command_all(&self, command: &Command) {
        for connection in self.connections.values() {
            // One that has just ended needs no command.
            let _ = connection.send(command.clone());
        }
    }
}
