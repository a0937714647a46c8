//! What a group has done and not committed yet.

use super::job::Job;
use super::request::{Call, Queued, Request};
use crate::store::sql::reply::{Reply, answer};
use crate::store::{Committed, StoreError};

/// A part of a group, with the one who waits for its commit.
pub(super) struct Member {
    /// The savepoint that undoes it. Several members that are no loans may have the same.
    pub(super) savepoint: usize,
    pub(super) is_loan: bool,
    end: End,
}

/// Tells it what has become of it. What is to be done again comes back as it was asked for.
type End = Box<dyn FnOnce(Fate) -> Option<Request> + Send>;

/// What becomes of a member.
pub(super) enum Fate {
    Committed,
    /// It was undone for the sake of others. Where only its caller can do it again, this is what
    /// the caller is told.
    Undone(StoreError),
    /// It was undone for this.
    Refused(StoreError),
}

impl Member {
    pub(super) fn call<T: Queued>(
        savepoint: usize,
        call: Call<T, T::Answer>,
        answers: Vec<T::Answer>,
    ) -> Self {
        let end = move |fate| {
            match fate {
                Fate::Committed => answer(call.reply, Ok(answers)),
                Fate::Undone(_) => return Some(T::request(call)),
                Fate::Refused(error) => answer(call.reply, Err(error)),
            }
            None
        };
        Self { savepoint, is_loan: false, end: Box::new(end) }
    }

    pub(super) fn job(savepoint: usize, job: Box<dyn Job>) -> Self {
        let end = move |fate| {
            match fate {
                Fate::Committed => job.confirm(),
                Fate::Undone(_) => return Some(Request::Write(job)),
                Fate::Refused(error) => job.refuse(error),
            }
            None
        };
        Self { savepoint, is_loan: false, end: Box::new(end) }
    }

    pub(super) fn loan(savepoint: usize, reply: Reply<Committed>, committed: Committed) -> Self {
        let end = move |fate| {
            match fate {
                Fate::Committed => answer(reply, Ok(committed)),
                // Only its caller can run the handler again.
                Fate::Undone(error) | Fate::Refused(error) => answer(reply, Err(error)),
            }
            None
        };
        Self { savepoint, is_loan: true, end: Box::new(end) }
    }

    pub(super) fn end(self, fate: Fate) -> Option<Request> {
        (self.end)(fate)
    }
}
