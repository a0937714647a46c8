//! What this transport counts for telemetry.

use crate::telemetry::CONNECTIONS_REJECTED;

/// Something that a peer asked for and did not get, for one of the reasons in the table of
/// [`telemetry`](crate::telemetry).
pub(super) fn rejected(reason: &'static str, count: u64) {
    metrics::counter!(CONNECTIONS_REJECTED, "reason" => reason).increment(count);
}
