//! The end of a group: its commit, and who has to do what again where that fails.

use std::time::Instant;

use super::super::error::{Place, is_refusal};
use super::super::nodes;
use super::group::Group;
use super::member::{Fate, Member};
use super::session::Session;
use super::shared::Line;
use crate::store::StoreError;
use crate::store::sql::loan::Outcome;
use crate::store::sql::reply::answer;

/// A group whose transaction was ended by somebody else, or cannot be committed.
pub(super) struct Lost {
    session: Option<Session>,
    place: Place,
    members: Vec<Member>,
    cause: Cause,
}

/// Why a group is lost.
pub(super) enum Cause {
    /// The database failed.
    Store(StoreError),
    /// This handler has ended the transaction.
    Handler(&'static str, Outcome),
    /// The commit is refused, and nothing is left of the transaction.
    Refused(sqlx::Error),
}

impl Group {
    /// Commits, and answers.
    ///
    /// SQLite looks at deferred constraints before it closes anything. So where it refuses the
    /// commit, members are undone from the last to the first until it agrees: the one that was
    /// undone last has caused the refusal. What was undone after it is done again.
    pub(super) async fn commit(mut self, line: &mut Line) -> Result<Session, Lost> {
        let mut undone = Vec::new();
        let mut refusal = None;
        while let Err(error) = self.try_commit().await {
            if !is_refusal(&error) {
                return Err(self.lost_again(undone, error));
            }
            if self.session.check_open().is_err() {
                self.members.append(&mut undone);
                let cause = Cause::Refused(error);
                return Err(Lost::of(Some(self.session), self.place, self.members, cause));
            }
            let last = self.session.savepoint();
            let error = match self.session.undo_last().await {
                Ok(true) => error,
                // Nothing is left that could have caused it.
                Ok(false) => return Err(self.lost_again(undone, error)),
                Err(gone) => return Err(self.lost_again(undone, gone)),
            };
            let kept = self.members.partition_point(|member| member.savepoint < last);
            undone.splice(..0, self.members.drain(kept..));
            refusal = Some((last, error));
        }
        let Self { session, place, members, .. } = self;
        for member in members {
            member.end(Fate::Committed);
        }
        if let Some((savepoint, error)) = refusal {
            do_again(undone, savepoint, error, &place, line);
        }
        Ok(session)
    }

    async fn try_commit(&mut self) -> sqlx::Result<()> {
        let (due, asked) = (self.leases.due(self.began), Instant::now());
        for (owner, length) in &due {
            // A node that has lost it finds that out by its own renewal.
            if let Err(error) = nodes::renew(*owner, *length, self.session.work()).await {
                self.session.check_open()?;
                tracing::warn!(%owner, %error, "the lease could not be renewed with a commit");
            }
        }
        self.session.commit().await?;
        for (owner, _length) in due {
            self.leases.renewed(owner, asked);
        }
        Ok(())
    }

    fn lost_again(mut self, mut undone: Vec<Member>, error: sqlx::Error) -> Lost {
        self.members.append(&mut undone);
        self.lost(error)
    }
}

/// Tells the one who caused a refusal, and puts what else was undone before all that wait.
fn do_again(
    undone: Vec<Member>,
    savepoint: usize,
    error: sqlx::Error,
    place: &Place,
    line: &mut Line,
) {
    tracing::debug!(%error, undone = undone.len(), "a commit was refused");
    let refused = StoreError::CommitRefused { detail: error.to_string() };
    let said = place.error(error);
    for member in undone.into_iter().rev() {
        let fate = match (member.savepoint == savepoint, member.is_loan) {
            (true, true) => Fate::Refused(refused.clone()),
            (true, false) => Fate::Refused(said.clone()),
            (false, _) => Fate::Undone(place.spoiled_by(&refused)),
        };
        if let Some(request) = member.end(fate) {
            line.put_back(request);
        }
    }
}

impl Lost {
    pub(super) const fn of(
        session: Option<Session>,
        place: Place,
        members: Vec<Member>,
        cause: Cause,
    ) -> Self {
        Self { session, place, members, cause }
    }

    /// Tells the caller whose request was about to become a member.
    pub(super) fn refuse(&self, tell: impl FnOnce(StoreError)) {
        if let Cause::Store(error) = &self.cause {
            tell(self.place.spoiled_by(error));
        }
    }

    /// Gives the connection up, so that nothing is half done, and tells every member, or does again
    /// what can be.
    pub(super) async fn tell(self, line: &mut Line) {
        let Self { session, place, members, cause } = self;
        if let Some(session) = session {
            session.close().await;
        }
        match cause {
            Cause::Store(error) => {
                tracing::warn!(
                    %error,
                    members = members.len(),
                    "a transaction of the writer was undone; the writer opens a new connection"
                );
                for member in members {
                    member.end(Fate::Refused(place.spoiled_by(&error)));
                }
            }
            Cause::Handler(handler, outcome) => {
                tracing::warn!(
                    handler,
                    others = members.len(),
                    "a durable handler has ended the transaction that it shared; \
                     what others did in it is done again"
                );
                undo_all(members, &StoreError::TransactionEnded, &place, line);
                match outcome {
                    Outcome::Commit(_, reply) => answer(reply, Err(StoreError::TransactionEnded)),
                    Outcome::Rollback(reply) => answer(reply, Ok(())),
                    Outcome::Dropped => {}
                }
            }
            Cause::Refused(error) => {
                let refused = StoreError::CommitRefused { detail: error.to_string() };
                tracing::debug!(%error, "a commit was refused and rolled back");
                undo_all(members, &refused, &place, line);
            }
        }
    }
}

/// All of a transaction is undone. Where the commit was refused and there was one handler, it is to
/// blame.
fn undo_all(members: Vec<Member>, cause: &StoreError, place: &Place, line: &mut Line) {
    let is_refused = matches!(cause, StoreError::CommitRefused { .. });
    let only = is_refused && members.iter().filter(|member| member.is_loan).count() == 1;
    for member in members.into_iter().rev() {
        let fate = match only && member.is_loan {
            true => Fate::Refused(cause.clone()),
            false => Fate::Undone(place.spoiled_by(cause)),
        };
        if let Some(request) = member.end(fate) {
            line.put_back(request);
        }
    }
}
