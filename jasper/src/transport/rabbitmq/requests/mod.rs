//! Commands whose sender waits for the answer, over the broker's direct reply-to.
//!
//! They go to a queue beside that of the messages, which is there as long as a listener is: behind
//! no backlog, and a request that has no receiver comes back at once.

mod answer;
mod ask;
mod serve;

pub(super) use self::ask::Requester;
pub(super) use self::serve::Serving;

/// The queue beside this one for requests.
fn queue_of_requests(queue: &str) -> String {
    format!("{queue}.requests")
}

/// How long the sender waits, in milliseconds.
const TIMEOUT: &str = "jasper-timeout";
/// The correlation id of the envelope, as the protocol's is the request's.
const CORRELATION: &str = "jasper-correlation-id";
