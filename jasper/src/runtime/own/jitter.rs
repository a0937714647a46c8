//! Pauses that differ from node to node.

use std::collections::hash_map::RandomState;
use std::hash::{BuildHasher, Hasher};
use std::time::Duration;

/// About this long: nodes that were started together are not to ask together for ever.
pub(crate) fn jittered(pause: Duration) -> Duration {
    // Each state hashes with keys of its own.
    let random = RandomState::new().build_hasher().finish() as u32;
    pause.mul_f64(0.75 + f64::from(random) / f64::from(u32::MAX) / 2.0)
}
