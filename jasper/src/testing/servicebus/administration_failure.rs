//! How requests for administration fail on demand.

use std::collections::VecDeque;

/// How a request over HTTP fails, in the words of the service.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum AdministrationFailure {
    /// 409, as another operation on the entity is under way. Nothing is done.
    ConflictingOperation,
    /// 409, as another client has done the same just before: it is done.
    AlreadyExists,
    /// 429, as the namespace is throttled. Nothing is done.
    TooManyRequests {
        /// What `Retry-After` says, in seconds.
        retry_after_s: Option<u32>,
    },
    /// 503. Nothing is done.
    Unavailable {
        /// What `Retry-After` says, in seconds.
        retry_after_s: Option<u32>,
    },
    /// 500. Nothing is done.
    InternalError,
    /// It is done, and the connection ends in the middle of the answer.
    HalfAnswer,
}

impl AdministrationFailure {
    /// Whether the request is done all the same.
    pub(super) fn is_done(self) -> bool {
        matches!(self, Self::AlreadyExists | Self::HalfAnswer)
    }
}

/// The failures that are to come, in their order.
#[derive(Debug, Default)]
pub(super) struct AdministrationFailures {
    pub(super) reads: VecDeque<AdministrationFailure>,
    pub(super) writes: VecDeque<AdministrationFailure>,
}
