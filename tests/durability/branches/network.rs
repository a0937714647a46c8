//! What happens to connections.

use std::time::Duration;

use tests::Seed;
use tests::proxy::{Ending, Proxy};

/// Nothing that the network does to a connection but to cut it.
const SLICES: [usize; 3] = [0, 1, 7];

/// Ends all connections in some way, and delays the next ones and takes them apart.
pub fn cut(way: &Proxy, seed: &mut Seed) {
    way.slice(SLICES[(seed.number() % 3) as usize]);
    way.delay(Duration::from_millis(seed.number() % 3));
    way.end_all([Ending::Close, Ending::Reset, Ending::HalfClose][(seed.number() % 3) as usize]);
}

/// From now on nothing happens.
pub fn leave_alone(way: &Proxy) {
    way.slice(0);
    way.delay(Duration::ZERO);
}
