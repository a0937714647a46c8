//! A transaction that several shared and that is lost: which callers get an error, and what is done
//! again.

use super::super::error::Place;
use super::participant::{Participant, ParticipantOutcome};
use super::queue::RequestQueue;
use super::session::Session;
use crate::store::StoreError;
use crate::store::error::caused_by;
use crate::store::sql::borrowed_connection::RunOutcome;
use crate::store::sql::reply::send_reply;

/// A shared transaction that was ended by another statement, or cannot be committed.
pub(super) struct LostTransaction {
    session: Option<Session>,
    place: Place,
    participants: Vec<Participant>,
    cause: LossCause,
}

/// Why a shared transaction is lost.
pub(super) enum LossCause {
    /// The database failed.
    Store(StoreError),
    /// This handler has ended the transaction.
    Handler(&'static str, RunOutcome),
    /// The commit is refused, and nothing is left of the transaction.
    Refused(sqlx::Error),
}

impl LostTransaction {
    pub(super) const fn of(
        session: Option<Session>,
        place: Place,
        participants: Vec<Participant>,
        cause: LossCause,
    ) -> Self {
        Self { session, place, participants, cause }
    }

    /// Answers the caller whose request was about to become a participant.
    pub(super) fn refuse(&self, reply: impl FnOnce(StoreError)) {
        if let LossCause::Store(error) = &self.cause {
            reply(self.place.spoiled_by(error));
        }
    }

    /// Gives the connection up, so that nothing is half done, and answers every participant, or
    /// does again what can be.
    pub(super) async fn end_all(self, queue: &mut RequestQueue) {
        let Self { session, place, participants, cause } = self;
        if let Some(session) = session {
            session.close().await;
        }
        match cause {
            LossCause::Store(error) => {
                tracing::warn!(
                    %error,
                    participants = participants.len(),
                    "a transaction of the writer was undone; the writer opens a new connection"
                );
                for participant in participants {
                    participant.end(ParticipantOutcome::Refused(place.spoiled_by(&error)));
                }
            }
            LossCause::Handler(handler, outcome) => {
                tracing::warn!(
                    handler,
                    others = participants.len(),
                    "a durable handler has ended the transaction that it shared; \
                     what others did in it is done again"
                );
                undo_all(participants, &StoreError::TransactionEnded, &place, queue);
                match outcome {
                    RunOutcome::Commit(_, reply) => {
                        send_reply(reply, Err(StoreError::TransactionEnded));
                    }
                    RunOutcome::Rollback(reply) => send_reply(reply, Ok(())),
                    RunOutcome::Dropped => {}
                }
            }
            LossCause::Refused(error) => {
                tracing::debug!(%error, "a commit was refused and rolled back");
                let detail = error.to_string();
                let refused = StoreError::CommitRefused { detail, source: caused_by(error) };
                undo_all(participants, &refused, &place, queue);
            }
        }
    }
}

/// All of a transaction is undone. Where the commit was refused and there was one handler, it is to
/// blame.
fn undo_all(
    participants: Vec<Participant>,
    cause: &StoreError,
    place: &Place,
    queue: &mut RequestQueue,
) {
    let is_refused = matches!(cause, StoreError::CommitRefused { .. });
    let only =
        is_refused && participants.iter().filter(|participant| participant.is_handler).count() == 1;
    for participant in participants.into_iter().rev() {
        let fate = if only && participant.is_handler {
            ParticipantOutcome::Refused(cause.clone())
        } else {
            ParticipantOutcome::Undone(place.spoiled_by(cause))
        };
        if let Some(request) = participant.end(fate) {
            queue.put_back(request);
        }
    }
}
