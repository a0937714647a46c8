//! The commit of a shared transaction, and what is undone and done again where it is refused.

use std::time::Instant;

use super::super::error::{Place, is_refusal};
use super::super::leases;
use super::lost::{LossCause, LostTransaction};
use super::participant::{Participant, ParticipantOutcome};
use super::queue::RequestQueue;
use super::session::Session;
use super::shared_transaction::SharedTransaction;

impl SharedTransaction {
    /// Commits, and answers.
    ///
    /// SQLite looks at deferred constraints before it closes anything. So where it refuses the
    /// commit, participants are undone from the last to the first until it agrees: the one that was
    /// undone last has caused the refusal. What was undone after it is done again.
    pub(super) async fn commit(
        mut self,
        queue: &mut RequestQueue,
    ) -> Result<Session, LostTransaction> {
        let mut undone = Vec::new();
        let mut refusal = None;
        while let Err(error) = self.try_commit().await {
            if !is_refusal(&error) {
                return Err(self.lost_again(undone, error));
            }
            if self.session.check_open().is_err() {
                self.participants.append(&mut undone);
                let cause = LossCause::Refused(error);
                return Err(LostTransaction::of(
                    Some(self.session),
                    self.place,
                    self.participants,
                    cause,
                ));
            }
            let last = self.session.savepoint();
            let error = match self.session.undo_last().await {
                Ok(true) => error,
                // Nothing is left that could have caused it.
                Ok(false) => return Err(self.lost_again(undone, error)),
                Err(gone) => return Err(self.lost_again(undone, gone)),
            };
            let kept =
                self.participants.partition_point(|participant| participant.savepoint < last);
            undone.splice(..0, self.participants.drain(kept..));
            refusal = Some((last, error));
        }
        let Self { session, place, participants, .. } = self;
        for participant in participants {
            participant.end(ParticipantOutcome::Committed);
        }
        if let Some((savepoint, error)) = refusal {
            do_again(undone, savepoint, error, &place, queue);
        }
        Ok(session)
    }

    async fn try_commit(&mut self) -> sqlx::Result<()> {
        let (due, asked) = (self.leases.due(self.began), Instant::now());
        for (owner, length) in &due {
            // A node that has lost it finds that out by its own renewal.
            if let Err(error) = leases::renew(*owner, *length, self.session.work()).await {
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

    fn lost_again(mut self, mut undone: Vec<Participant>, error: sqlx::Error) -> LostTransaction {
        self.participants.append(&mut undone);
        self.lost(error)
    }
}

/// Answers the caller that caused a refusal, and puts what else was undone before all that wait.
fn do_again(
    undone: Vec<Participant>,
    savepoint: usize,
    error: sqlx::Error,
    place: &Place,
    queue: &mut RequestQueue,
) {
    tracing::debug!(%error, undone = undone.len(), "a commit was refused");
    let detail = error.to_string();
    let said = place.error(error);
    let refused = said.clone().into_refusal(detail);
    for participant in undone.into_iter().rev() {
        let fate = if participant.savepoint != savepoint {
            ParticipantOutcome::Undone(place.spoiled_by(&refused))
        } else if participant.is_handler {
            ParticipantOutcome::Refused(refused.clone())
        } else {
            ParticipantOutcome::Refused(said.clone())
        };
        if let Some(request) = participant.end(fate) {
            queue.put_back(request);
        }
    }
}
