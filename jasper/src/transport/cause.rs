//! What an error of a transport comes from.

use std::error::Error;
use std::fmt;

use super::error::TransportError;
use crate::source_error::SourceError;

/// What went wrong in words, and the error behind it where there is one.
#[derive(Debug, Clone, Default)]
pub(super) struct Cause {
    why: String,
    source: Option<SourceError>,
}

impl Cause {
    /// An error that says itself what is wrong.
    pub(super) fn of(error: impl Error + Send + Sync + 'static) -> Self {
        Self { why: error.to_string(), source: Some(error.into()) }
    }

    /// Other words for an error.
    pub(super) fn because(
        why: impl Into<String>,
        error: impl Error + Send + Sync + 'static,
    ) -> Self {
        Self { why: why.into(), source: Some(error.into()) }
    }

    #[cfg(feature = "tcp")]
    pub(super) fn bind(self, address: impl fmt::Display) -> TransportError {
        let Self { why, source } = self;
        TransportError::Bind { address: address.to_string(), why, source }
    }

    pub(super) fn unreachable(self, address: impl fmt::Display) -> TransportError {
        let Self { why, source } = self;
        TransportError::Unreachable { address: address.to_string(), why, source }
    }

    pub(super) fn rejected(self, address: impl fmt::Display) -> TransportError {
        let Self { why, source } = self;
        TransportError::Rejected { address: address.to_string(), why, source }
    }

    pub(super) fn lost(self, address: impl fmt::Display) -> TransportError {
        let Self { why, source } = self;
        TransportError::Lost { address: address.to_string(), why, source }
    }
}

impl fmt::Display for Cause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.why)
    }
}

impl From<String> for Cause {
    fn from(why: String) -> Self {
        Self { why, source: None }
    }
}

impl From<&str> for Cause {
    fn from(why: &str) -> Self {
        why.to_owned().into()
    }
}
