//! What a shared transaction has done and not committed yet.

use super::job::ErasedWrite;
use super::request::{Queued, QueuedCall, WriterRequest};
use crate::store::sql::reply::{ReplySender, send_reply};
use crate::store::{Committed, StoreError};

/// A part of a shared transaction, with the caller that waits for its commit.
pub(super) struct Participant {
    /// The savepoint that undoes it. Several may have the same, unless they are handlers.
    pub(super) savepoint: usize,
    pub(super) is_handler: bool,
    end: OnEnd,
}

/// Answers its caller. What is to be done again comes back as it was asked for.
type OnEnd = Box<dyn FnOnce(ParticipantOutcome) -> Option<WriterRequest> + Send>;

/// What becomes of a participant.
pub(super) enum ParticipantOutcome {
    Committed,
    /// It was undone for the sake of others. Where only its caller can do it again, this is what
    /// the caller gets.
    Undone(StoreError),
    /// It was undone for this.
    Refused(StoreError),
}

impl Participant {
    pub(super) fn call<T: Queued>(
        savepoint: usize,
        call: QueuedCall<T, T::Answer>,
        answers: Vec<T::Answer>,
    ) -> Self {
        let end = move |fate| {
            match fate {
                ParticipantOutcome::Committed => send_reply(call.reply, Ok(answers)),
                ParticipantOutcome::Undone(_) => return Some(T::request(call)),
                ParticipantOutcome::Refused(error) => send_reply(call.reply, Err(error)),
            }
            None
        };
        Self { savepoint, is_handler: false, end: Box::new(end) }
    }

    pub(super) fn job(savepoint: usize, job: Box<dyn ErasedWrite>) -> Self {
        let end = move |fate| {
            match fate {
                ParticipantOutcome::Committed => job.confirm(),
                ParticipantOutcome::Undone(_) => return Some(WriterRequest::Write(job)),
                ParticipantOutcome::Refused(error) => job.refuse(error),
            }
            None
        };
        Self { savepoint, is_handler: false, end: Box::new(end) }
    }

    pub(super) fn handler(
        savepoint: usize,
        reply: ReplySender<Committed>,
        committed: Committed,
    ) -> Self {
        let end = move |fate| {
            match fate {
                ParticipantOutcome::Committed => send_reply(reply, Ok(committed)),
                // Only its caller can run the handler again.
                ParticipantOutcome::Undone(error) | ParticipantOutcome::Refused(error) => {
                    send_reply(reply, Err(error));
                }
            }
            None
        };
        Self { savepoint, is_handler: true, end: Box::new(end) }
    }

    pub(super) fn end(self, fate: ParticipantOutcome) -> Option<WriterRequest> {
        (self.end)(fate)
    }
}
