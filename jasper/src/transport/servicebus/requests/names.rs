//! The application properties of requests and answers.

/// How long the sender waits, in milliseconds. A message that has it is a request.
pub(super) const TIMEOUT: &str = "jasper-timeout";
/// There where the answer is a failure: its kind. The payload is what it says.
pub(super) const FAILURE: &str = "jasper-failure";
/// There where it is no answer yet: a process has taken the request.
pub(super) const TAKEN: &str = "jasper-taken";
