//! Pauses that differ from node to node.

use std::time::Duration;

/// About this long: nodes that were started together are not to ask together for ever.
pub(crate) fn jittered(pause: Duration) -> Duration {
    pause.mul_f64(0.75 + fastrand::f64() / 2.0)
}
