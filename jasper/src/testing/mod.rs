//! For tests: yours, and those of authors of stores.
//!
//! [`guide::testing`](crate::guide::testing) is its page.

pub mod conformance;
mod faults;
pub mod fuzz;
mod routes;
#[cfg(feature = "testing-servicebus")]
pub mod servicebus;
mod tracking;

pub use self::faults::{Fault, Faults, FaultyStore};
pub use self::routes::check_routes;
pub use self::tracking::{Track, TrackError, TrackFailure, Tracked, TrackedEvent, TrackedReply};
pub use crate::__assert_routes as assert_routes;
pub use crate::runtime::MessageEvent;
