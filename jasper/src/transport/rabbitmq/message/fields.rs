//! The headers under which those fields of an envelope travel that the protocol has no place for.

pub(super) const CONVERSATION: &str = "jasper-conversation-id";
pub(super) const CAUSATION: &str = "jasper-causation-id";
pub(super) const REPLY_TO: &str = "jasper-reply-to";
pub(super) const SAGA: &str = "jasper-saga-id";
pub(super) const TENANT: &str = "jasper-tenant-id";
pub(super) const GROUP: &str = "jasper-group-id";
pub(super) const DEDUPLICATION: &str = "jasper-deduplication-id";
/// In microseconds since 1970, as the other times.
pub(super) const SENT_AT: &str = "jasper-sent-at";
pub(super) const DELIVER_BY: &str = "jasper-deliver-by";
pub(super) const DUE_AT: &str = "jasper-due-at";
/// What the sender wants to rely on; there where it is `stored`.
pub(super) const GUARANTEE: &str = "jasper-guarantee";
/// Why a listener has refused it.
pub(in super::super) const REFUSED: &str = "jasper-refused";
pub(super) const STORED: &str = "stored";
/// The W3C trace context, under the name that everybody uses.
pub(super) const TRACEPARENT: &str = "traceparent";
/// What is too long for the property of the protocol.
pub(super) const TYPE: &str = "jasper-type";
pub(super) const CONTENT_TYPE: &str = "jasper-content-type";
pub(super) const CORRELATION: &str = "jasper-correlation-id";
pub(super) const SOURCE: &str = "jasper-source";
/// Loose headers whose names the protocol cannot have, or which mean something else here: names and
/// values in turns.
pub(super) const MORE: &str = "jasper-headers";

/// The most bytes of a short text of the protocol.
pub(super) const SHORT: usize = 255;

/// Whether a name is this transport's or the broker's, and never a loose header's.
pub(super) fn is_taken(name: &str) -> bool {
    name.starts_with("jasper-") || name.starts_with("x-") || name == TRACEPARENT
}
