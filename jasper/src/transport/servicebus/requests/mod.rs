//! Commands whose sender waits for the answer, which comes back by a queue with sessions: each
//! process has a session of its own there.

mod answer;
mod ask;
mod names;
mod serve;

pub(super) use self::ask::Requester;
pub(super) use self::serve::{Asked, Serving, asked};
