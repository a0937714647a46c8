//! Why a session did not come to its end.

use std::fmt;
use std::time::Duration;

use super::tracked::Tracked;
use crate::error::{InvokeError, SendError};

/// Why a tracked session did not come to its end. Its text has the whole story.
pub struct TrackError(Box<(TrackFailure, Tracked)>);

/// What kept a tracked session from its end.
#[derive(Debug)]
#[non_exhaustive]
pub enum TrackFailure {
    /// A message with which the session was to begin was not accepted.
    Send(SendError),
    /// The command that was invoked failed.
    Invoke(InvokeError),
    /// Not all was done in time.
    TimedOut {
        /// The time limit.
        limit: Duration,
        /// What was still going on, a line for each message. None: what was given to
        /// [`act`](super::Track::act) did not end.
        going_on: Vec<String>,
    },
}

impl TrackError {
    pub(super) fn new(failure: TrackFailure, tracked: Tracked) -> Self {
        Self(Box::new((failure, tracked)))
    }

    /// What kept it from its end.
    pub fn failure(&self) -> &TrackFailure {
        &self.0.0
    }

    /// What has happened until then.
    pub fn tracked(&self) -> &Tracked {
        &self.0.1
    }
}

impl fmt::Display for TrackError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.failure() {
            TrackFailure::Send(error) => writeln!(f, "a message was not accepted: {error}")?,
            TrackFailure::Invoke(error) => writeln!(f, "the invoked command failed: {error}")?,
            TrackFailure::TimedOut { limit, going_on } => {
                writeln!(f, "not all was done within {limit:?}; still going on:")?;
                if going_on.is_empty() {
                    writeln!(f, "  the test's own part, which has not ended")?;
                }
                for line in going_on {
                    writeln!(f, "  {line}")?;
                }
            }
        }
        fmt::Display::fmt(self.tracked(), f)
    }
}

/// A test prints the error by `{:?}`, so that form is the readable one too.
impl fmt::Debug for TrackError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl std::error::Error for TrackError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self.failure() {
            TrackFailure::Send(error) => Some(error),
            TrackFailure::Invoke(error) => Some(error),
            TrackFailure::TimedOut { .. } => None,
        }
    }
}
