//! What is written into inbox and outbox, and by whom it is owned.

use std::time::{Duration, SystemTime};

use super::node::Owner;
use crate::envelope::{Address, Envelope, MessageId};

/// The key and the state that every write on an owned row compares before it writes.
///
/// A write that finds another owner or another count changes nothing: the row has been taken over,
/// and the writer gets that it is fenced.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Ownership {
    /// The message.
    pub id: MessageId,
    /// Its destination: one message published to several has a row for each.
    pub destination: Address,
    /// The node incarnation that holds the row.
    pub owner: Owner,
    /// The attempts counted in the row.
    pub attempts: u32,
}

impl Ownership {
    /// The ownership under which `owner` holds this envelope.
    pub fn of(envelope: &Envelope, owner: Owner) -> Self {
        Self {
            id: envelope.id,
            destination: envelope.destination.clone(),
            owner,
            attempts: envelope.attempts,
        }
    }

    /// An envelope out of the body of this row: what it is known by stands in the row.
    pub(crate) fn envelope(&self, body: Envelope) -> Envelope {
        let (id, destination, attempts) = (self.id, self.destination.clone(), self.attempts);
        Envelope { id, destination, attempts, ..body }
    }
}

/// An envelope for the inbox.
#[derive(Debug, Clone)]
pub struct Incoming {
    /// What is stored; `attempts` is taken from here.
    pub envelope: Envelope,
    /// Who handles it, and when.
    pub placement: Placement,
    /// For how long the id stays known after the message is handled, so that a repeat is
    /// recognised. `None`: the row goes away when the message is handled.
    pub retention: Option<Duration>,
}

/// Who handles a stored message, and when.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Placement {
    /// The writer handles it, and has counted its first attempt in the envelope, unless the handler
    /// has only one.
    Owned(Owner),
    /// Any node may claim it.
    Unowned,
    /// Any node may claim it once this time has come.
    Scheduled(SystemTime),
}

/// An envelope for the outbox.
#[derive(Debug, Clone)]
pub struct Outgoing {
    /// What is sent; expires by its `deliver_by`.
    pub envelope: Envelope,
    /// The node that sends it, or `None` for any.
    pub owner: Option<Owner>,
}
