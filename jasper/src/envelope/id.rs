//! The identity of a message.

use std::fmt;
use std::time::SystemTime;

use uuid::Uuid;

use super::time;

/// A UUID: version 7 for a message that starts something, version 5 for one that follows from
/// another.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct MessageId(Uuid);

impl MessageId {
    /// A new id, ordered by time.
    #[expect(clippy::new_without_default, reason = "a default id would be a random one")]
    pub fn new() -> Self {
        Self(Uuid::now_v7())
    }

    /// The id of the `ordinal`-th message that `handler` sends while it handles this one, which was
    /// sent at `sent_at`.
    ///
    /// A handler that runs again after a rolled-back try sends the same ids, so that receivers drop
    /// the repeats. Where the id itself comes from a deduplication key, another message has it once
    /// the first is forgotten; the time of sending keeps apart what follows from each.
    #[must_use]
    pub fn derived(self, sent_at: SystemTime, handler: &str, ordinal: usize) -> Self {
        let sent_at = time::to_micros(sent_at);
        Self(Uuid::new_v5(&self.0, format!("{handler}#{ordinal}@{sent_at}").as_bytes()))
    }

    /// The id of the message of this type with this business key, the same in every process.
    pub fn of_deduplication_id(message_type: &str, deduplication_id: &str) -> Self {
        let kind = Uuid::new_v5(&Uuid::NAMESPACE_OID, message_type.as_bytes());
        Self(Uuid::new_v5(&kind, deduplication_id.as_bytes()))
    }

    /// The id under which a message of this id is known that comes from this peer: the ids of one
    /// peer are never those of another.
    #[must_use]
    pub fn of_peer(self, peer: &str) -> Self {
        let space = Uuid::new_v5(&Uuid::NAMESPACE_OID, peer.as_bytes());
        Self(Uuid::new_v5(&space, self.0.as_bytes()))
    }

    /// The id of bytes that are no message, the same for the same bytes.
    pub fn of_bytes(bytes: &[u8]) -> Self {
        Self(Uuid::new_v5(&Uuid::NAMESPACE_OID, bytes))
    }

    /// Whether it was made for a message that starts something, and so for no other.
    #[cfg(any(feature = "postgres", feature = "mysql", feature = "sqlserver"))]
    pub(crate) fn is_first(self) -> bool {
        self.0.get_version_num() == 7
    }

    /// The UUID itself.
    pub const fn as_uuid(self) -> Uuid {
        self.0
    }
}

impl From<Uuid> for MessageId {
    fn from(uuid: Uuid) -> Self {
        Self(uuid)
    }
}

impl fmt::Display for MessageId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.0, f)
    }
}

impl fmt::Debug for MessageId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.0, f)
    }
}
