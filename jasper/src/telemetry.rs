//! The names of all metrics and spans, after OpenTelemetry's messaging conventions 1.44.
//!
//! | name | kind | unit | attributes |
//! | --- | --- | --- | --- |
//! | `messaging.client.sent.messages` | counter | message | destination |
//! | `messaging.client.consumed.messages` | counter | message | destination |
//! | `messaging.process.duration` | histogram | seconds | destination, `error.type` |
//! | `jasper.dead_letters` | counter | envelope | message type, reason |
//! | `jasper.duplicates` | counter | envelope | destination |
//! | `jasper.expired` | counter | envelope | destination |
//! | `jasper.lost` | counter | envelope | destination |
//! | `jasper.outbox.relay.lag` | histogram | seconds | destination |
//! | `jasper.memory.usage` | gauge | bytes | – |
//! | `jasper.fenced` | counter | operation | op |
//! | `jasper.recovery.envelopes` | counter | envelope | – |
//! | `jasper.store.errors` | counter | error | op |
//! | `jasper.transport.connections` | gauge | connection | `side`: `dialled` or `accepted` |
//! | `jasper.transport.redelivered` | counter | message | destination |
//! | `jasper.transport.lost_locks` | counter | message | destination |
//! | `jasper.transport.rejected` | counter | event | `reason`, as below |
//!
//! What a peer asked for and did not get has one of these reasons: `auth` (it could not prove who
//! it is), `tls`, `version`, `protocol`, `frame_size`, `limit` (too many connections), `deadline`,
//! `forbidden` (a message of a type that it may not send).
//!
//! Each run of a handler is in a span `process` with the fields of the message. Payloads and
//! headers are in none.

/// Messages accepted for a destination.
pub const SENT: &str = "messaging.client.sent.messages";
/// Messages given to a handler, once for each delivery.
pub const CONSUMED: &str = "messaging.client.consumed.messages";
/// How long a run of a handler took.
pub const PROCESS_DURATION: &str = "messaging.process.duration";
/// Messages that became dead letters or invalid messages.
pub const DEAD_LETTERS: &str = "jasper.dead_letters";
/// Messages that were dropped as their id was known.
pub const DUPLICATES: &str = "jasper.duplicates";
/// Messages that were dropped as their time had passed.
pub const EXPIRED: &str = "jasper.expired";
/// Messages of buffered endpoints that were given up, as they may have arrived or the application
/// ended.
pub const LOST: &str = "jasper.lost";
/// From when a message was sent until the process that handles it had it.
pub const RELAY_LAG: &str = "jasper.outbox.relay.lag";
/// What the messages take that this process holds in memory, about; see
/// [`memory_budget`](crate::runtime::Builder::memory_budget).
pub const MEMORY_USAGE: &str = "jasper.memory.usage";
/// Writes that were refused as the row belonged to another node by then.
pub const FENCED: &str = "jasper.fenced";
/// Messages taken over from owners that are gone.
pub const RECOVERED: &str = "jasper.recovery.envelopes";
/// Calls of the store that failed.
pub const STORE_ERRORS: &str = "jasper.store.errors";
/// Open connections to other processes.
pub const CONNECTIONS: &str = "jasper.transport.connections";
/// Messages that a broker has delivered again, as they had not been acknowledged.
pub const REDELIVERED: &str = "jasper.transport.redelivered";
/// Messages that a broker has given to another receiver while they were handled here.
pub const LOST_LOCKS: &str = "jasper.transport.lost_locks";
/// Connections and messages of peers that were not taken.
pub const CONNECTIONS_REJECTED: &str = "jasper.transport.rejected";

/// The destination attribute.
pub(crate) const DESTINATION: &str = "messaging.destination.name";
/// The error attribute.
pub(crate) const ERROR_TYPE: &str = "error.type";
