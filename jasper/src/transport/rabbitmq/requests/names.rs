//! What requests are called at the broker.

/// The queue beside this one for requests.
pub(super) fn queue_of_requests(queue: &str) -> String {
    format!("{queue}.requests")
}

/// How long the sender waits, in milliseconds.
pub(super) const TIMEOUT: &str = "jasper-timeout";
/// The correlation id of the envelope, as the protocol's is the request's.
pub(super) const CORRELATION: &str = "jasper-correlation-id";
