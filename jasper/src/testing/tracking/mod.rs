//! Tracked sessions: what a message has caused, all of it, when it is done.

mod assertions;
mod error;
mod session;
mod track;
mod tracked;

pub use self::error::{TrackError, TrackFailure};
pub use self::track::{Track, TrackedReply};
pub use self::tracked::{Tracked, TrackedEvent};
