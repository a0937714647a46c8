//! What tests ask the broker about an entity.

/// How many messages an entity has in each state, and what has happened to it since it was created.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Counts {
    /// Messages that can be received now.
    pub active: usize,
    /// Messages that a receiver has locked.
    pub locked: usize,
    /// Messages whose time has not come.
    pub scheduled: usize,
    /// Messages that only their sequence number brings back.
    pub deferred: usize,
    /// Messages in the dead-letter queue of this entity.
    pub dead_lettered: usize,
    /// Messages taken from senders, without the duplicates.
    pub sent: u64,
    /// Messages dropped by duplicate detection.
    pub duplicates: u64,
    /// Deliveries to receivers, repeats included.
    pub delivered: u64,
    /// Settlements by which a message was done.
    pub completed: u64,
    /// Settlements that gave a message back.
    pub abandoned: u64,
    /// Settlements that moved a message to the dead letters.
    pub rejected: u64,
    /// Settlements of messages whose lock was lost, which were refused.
    pub late_settlements: u64,
    /// Locks of messages that ran out.
    pub expired_locks: u64,
}
