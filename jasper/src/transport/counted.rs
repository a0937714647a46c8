//! Connections, counted for telemetry.

use crate::telemetry::CONNECTIONS;

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
