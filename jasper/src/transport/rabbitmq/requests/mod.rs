//! Commands whose sender waits for the answer, over the broker's direct reply-to.
//!
//! They go to a queue beside that of the messages, which is there as long as a listener is: behind
//! no backlog, and a request that has no receiver comes back at once.

mod answer;
mod ask;
mod names;
mod serve;

pub(super) use self::ask::Requester;
pub(super) use self::serve::Serving;
