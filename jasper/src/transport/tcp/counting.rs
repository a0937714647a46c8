//! What this transport counts for telemetry.

use crate::telemetry::{CONNECTIONS, CONNECTIONS_REJECTED};

/// A connection, for as long as this lives.
#[derive(Debug)]
pub(super) struct Counted(&'static str);

impl Counted {
    /// `side` is who opened it: `dialled` or `accepted`.
    pub(super) fn new(side: &'static str) -> Self {
        metrics::gauge!(CONNECTIONS, "side" => side).increment(1.0);
        Self(side)
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        metrics::gauge!(CONNECTIONS, "side" => self.0).decrement(1.0);
    }
}

/// Something that a peer asked for and did not get, for one of the reasons in the table of
/// [`telemetry`](crate::telemetry).
pub(super) fn rejected(reason: &'static str, count: u64) {
    metrics::counter!(CONNECTIONS_REJECTED, "reason" => reason).increment(count);
}
