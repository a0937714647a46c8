//! What the store holds, and the rules by which rows change.

use std::collections::{BTreeMap, HashMap};
use std::time::{Duration, SystemTime};

use bytes::Bytes;

use crate::envelope::{Address, Envelope, MessageId, time};
use crate::store::{
    DeadLetter, DeadLetterId, Incoming, Inserted, Outgoing, Owner, Ownership, Placement, Settled,
    Subscription,
};

/// Message id and destination.
pub(super) type Key = (MessageId, Address);

#[derive(Default)]
pub(super) struct MemoryState {
    pub(super) incoming: HashMap<Key, IncomingRow>,
    pub(super) outgoing: HashMap<Key, OutgoingRow>,
    pub(super) dead_letters: HashMap<Key, DeadLetterRow>,
    pub(super) nodes: BTreeMap<Owner, NodeRow>,
    pub(super) last_node: i64,
    /// Counts the rows that were ever stored, so that equally old ones keep their order.
    sequence: u64,
}

pub(super) struct NodeRow {
    /// The end of its lease.
    pub(super) until: SystemTime,
    pub(super) takes: Vec<Subscription>,
    pub(super) earlier: Vec<Owner>,
}

/// Where a row stands in the order of age: by the time of sending, then as stored.
pub(super) type Age = (SystemTime, u64);

pub(super) struct IncomingRow {
    pub(super) status: Status,
    pub(super) age: Age,
    pub(super) attempts: u32,
    /// With the count of attempts of each.
    pub(super) interrupted_by: Vec<(u32, Owner)>,
    pub(super) message_type: String,
    /// Empty once it is handled.
    pub(super) body: Bytes,
    pub(super) retention: Option<Duration>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Status {
    Unowned,
    Owned(Owner),
    Scheduled(SystemTime),
    /// Handled, and known until this time.
    Handled(SystemTime),
}

pub(super) struct OutgoingRow {
    pub(super) owner: Option<Owner>,
    pub(super) age: Age,
    pub(super) attempts: u32,
    pub(super) envelope: Envelope,
}

pub(super) struct DeadLetterRow {
    pub(super) letter: DeadLetter,
    pub(super) retention: Option<Duration>,
}

impl MemoryState {
    /// The number of the next row.
    pub(super) fn next(&mut self) -> u64 {
        self.sequence += 1;
        self.sequence
    }

    pub(super) fn insert_incoming(&mut self, row: Incoming) -> Inserted {
        let sequence = self.next();
        let Incoming { envelope, placement, retention } = row;
        let key = (envelope.id, envelope.destination.clone());
        let status = match placement {
            Placement::Owned(owner) => Status::Owned(owner),
            Placement::Unowned => Status::Unowned,
            Placement::Scheduled(due_at) => Status::Scheduled(due_at),
        };
        self.insert_incoming_row(
            key,
            IncomingRow {
                status,
                age: (envelope.sent_at, sequence),
                attempts: envelope.attempts,
                interrupted_by: Vec::new(),
                message_type: envelope.message_type.to_string(),
                body: envelope.to_bytes(),
                retention,
            },
        )
    }

    pub(super) fn insert_incoming_row(&mut self, key: Key, row: IncomingRow) -> Inserted {
        if self.incoming.contains_key(&key) {
            return Inserted::Duplicate;
        }
        self.incoming.insert(key, row);
        Inserted::New
    }

    pub(super) fn insert_outgoing(&mut self, row: Outgoing) -> Inserted {
        let sequence = self.next();
        let Outgoing { envelope, owner } = row;
        let key = (envelope.id, envelope.destination.clone());
        if self.outgoing.contains_key(&key) {
            return Inserted::Duplicate;
        }
        let row = OutgoingRow {
            owner,
            age: (envelope.sent_at, sequence),
            attempts: envelope.attempts,
            envelope,
        };
        self.outgoing.insert(key, row);
        Inserted::New
    }

    /// The row that is held as this says, or nothing: the caller is fenced.
    pub(super) fn held(&mut self, by: &Ownership) -> Option<&mut IncomingRow> {
        self.incoming
            .get_mut(&key(by))
            .filter(|row| row.status == Status::Owned(by.owner) && row.attempts == by.attempts)
    }

    /// Counts a further attempt of a held row, once however often it is asked for.
    pub(super) fn count_attempt(&mut self, by: &Ownership) -> Settled {
        let counted = by.attempts + 1;
        let row = self.incoming.get_mut(&key(by)).filter(|row| {
            row.status == Status::Owned(by.owner) && (by.attempts..=counted).contains(&row.attempts)
        });
        match row {
            Some(row) => {
                row.attempts = counted;
                Settled::Done
            }
            None => Settled::Fenced,
        }
    }

    /// The outgoing row that is held as this says.
    pub(super) fn held_outgoing(&mut self, by: &Ownership) -> Option<&mut OutgoingRow> {
        self.outgoing
            .get_mut(&key(by))
            .filter(|row| row.owner == Some(by.owner) && row.attempts == by.attempts)
    }

    /// Ends a held row as handled; says whether it was held.
    pub(super) fn handled(&mut self, by: &Ownership) -> bool {
        let Some(row) = self.held(by) else {
            return false;
        };
        match row.retention {
            Some(retention) => {
                row.status = Status::Handled(after(retention));
                row.body = Bytes::new();
            }
            None => drop(self.incoming.remove(&key(by))),
        }
        true
    }

    /// Keeps a letter in place of an older one with its key.
    pub(super) fn give_up(&mut self, letter: DeadLetter, retention: Option<Duration>) {
        let DeadLetterId { id, destination } = letter.id.clone();
        let row = DeadLetterRow { letter, retention };
        self.dead_letters.insert((id, destination), row);
    }
}

/// How `owner` holds a row with this key.
pub(super) fn ownership(key: &Key, owner: Owner, attempts: u32) -> Ownership {
    let (id, destination) = key.clone();
    Ownership { id, destination, owner, attempts }
}

pub(super) fn key(of: &Ownership) -> Key {
    (of.id, of.destination.clone())
}

/// The time that lies so far ahead, or as far as a table can hold.
pub(super) fn after(duration: Duration) -> SystemTime {
    let micros = i64::try_from(duration.as_micros()).unwrap_or(i64::MAX);
    time::from_micros(time::to_micros(time::now()).saturating_add(micros))
}
