//! The application properties under which those fields of an envelope travel that the protocol has
//! no place for.

pub(super) const CONVERSATION: &str = "jasper-conversation-id";
pub(super) const CAUSATION: &str = "jasper-causation-id";
pub(super) const REPLY_TO: &str = "jasper-reply-to";
pub(super) const SAGA: &str = "jasper-saga-id";
pub(super) const TENANT: &str = "jasper-tenant-id";
pub(super) const DEDUPLICATION: &str = "jasper-deduplication-id";
/// In microseconds since 1970, as the other times.
pub(super) const SENT_AT: &str = "jasper-sent-at";
pub(super) const DELIVER_BY: &str = "jasper-deliver-by";
pub(super) const DUE_AT: &str = "jasper-due-at";
pub(super) const SOURCE: &str = "jasper-source";
/// The group of an envelope, where the session is a longer text or another one.
pub(super) const GROUP: &str = "jasper-group-id";
/// What the sender wants to rely on; there where it is `stored`.
pub(super) const GUARANTEE: &str = "jasper-guarantee";
pub(super) const STORED: &str = "stored";
/// The W3C trace context, under the name that everybody uses.
pub(super) const TRACEPARENT: &str = "traceparent";
/// In front of the name of a loose header that means something else here.
pub(super) const LOOSE: &str = "jasper-header-";
/// Why a message is a dead letter, in one word and in a sentence.
pub(in super::super) const DEATH_REASON: &str = "DeadLetterReason";
pub(in super::super) const DEATH_DESCRIPTION: &str = "DeadLetterErrorDescription";

/// When the broker is to let the message in.
pub(super) const SCHEDULED: &str = "x-opt-scheduled-enqueue-time";
/// Until when a receiver has a message to itself.
pub(super) const LOCKED_UNTIL: &str = "x-opt-locked-until";

/// The most characters of a session id or a message id in the service.
pub(super) const MAX_ID: usize = 128;

/// Whether a name is this transport's or the broker's, and never a loose header's.
pub(super) fn is_taken(name: &str) -> bool {
    name.starts_with("jasper-")
        || name == TRACEPARENT
        || name == DEATH_REASON
        || name == DEATH_DESCRIPTION
}
