//! A transaction that several shared and that is lost: who is told, and what is done again.

use super::super::error::Place;
use super::participant::{Participant, ParticipantOutcome};
use super::queue::RequestQueue;
use super::session::Session;
use crate::store::StoreError;
use crate::store::sql::borrowed_connection::RunOutcome;
use crate::store::sql::reply::answer;

/// A group whose transaction was ended by somebody else, or cannot be committed.
pub(super) struct LostTransaction {
    session: Option<Session>,
    place: Place,
    members: Vec<Participant>,
    cause: LossCause,
}

/// Why a group is lost.
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
        members: Vec<Participant>,
        cause: LossCause,
    ) -> Self {
        Self { session, place, members, cause }
    }

    /// Tells the caller whose request was about to become a member.
    pub(super) fn refuse(&self, tell: impl FnOnce(StoreError)) {
        if let LossCause::Store(error) = &self.cause {
            tell(self.place.spoiled_by(error));
        }
    }

    /// Gives the connection up, so that nothing is half done, and tells every member, or does again
    /// what can be.
    pub(super) async fn tell(self, line: &mut RequestQueue) {
        let Self { session, place, members, cause } = self;
        if let Some(session) = session {
            session.close().await;
        }
        match cause {
            LossCause::Store(error) => {
                tracing::warn!(
                    %error,
                    members = members.len(),
                    "a transaction of the writer was undone; the writer opens a new connection"
                );
                for member in members {
                    member.end(ParticipantOutcome::Refused(place.spoiled_by(&error)));
                }
            }
            LossCause::Handler(handler, outcome) => {
                tracing::warn!(
                    handler,
                    others = members.len(),
                    "a durable handler has ended the transaction that it shared; \
                     what others did in it is done again"
                );
                undo_all(members, &StoreError::TransactionEnded, &place, line);
                match outcome {
                    RunOutcome::Commit(_, reply) => {
                        answer(reply, Err(StoreError::TransactionEnded));
                    }
                    RunOutcome::Rollback(reply) => answer(reply, Ok(())),
                    RunOutcome::Dropped => {}
                }
            }
            LossCause::Refused(error) => {
                let refused = StoreError::CommitRefused { detail: error.to_string() };
                tracing::debug!(%error, "a commit was refused and rolled back");
                undo_all(members, &refused, &place, line);
            }
        }
    }
}

/// All of a transaction is undone. Where the commit was refused and there was one handler, it is to
/// blame.
fn undo_all(members: Vec<Participant>, cause: &StoreError, place: &Place, line: &mut RequestQueue) {
    let is_refused = matches!(cause, StoreError::CommitRefused { .. });
    let only = is_refused && members.iter().filter(|member| member.is_handler).count() == 1;
    for member in members.into_iter().rev() {
        let fate = if only && member.is_handler {
            ParticipantOutcome::Refused(cause.clone())
        } else {
            ParticipantOutcome::Undone(place.spoiled_by(cause))
        };
        if let Some(request) = member.end(fate) {
            line.put_back(request);
        }
    }
}
