//! The members that share one transaction, and so one fsync.

use std::time::{Duration, Instant};

use tokio::sync::oneshot;

use super::super::error::Place;
use super::loan::{Loan, Outcome, Returned};
use super::session::Session;
use super::shared::{Call, Line, Shared};
use super::{Answer, Job, Request, after_commit, answer};
use crate::store::StoreError;

/// The most members of one group.
const MEMBERS: usize = 256;

/// After this long a group takes no more members, so that the first does not wait for ever for its
/// answer.
const LENGTH: Duration = Duration::from_millis(25);

/// A handler that holds the connection for this long is named, as everybody waits for it.
const PATIENCE: Duration = Duration::from_secs(1);

/// One open transaction. Nobody is answered before it is committed.
///
/// Each step takes the group and gives it back, or gives back why it is lost: a group that is lost
/// cannot be used.
pub(super) struct Group {
    session: Session,
    place: Place,
    answers: Vec<Answer>,
    began: Instant,
}

/// A group whose transaction was ended by somebody else, or cannot be committed.
struct Lost {
    session: Option<Session>,
    place: Place,
    answers: Vec<Answer>,
    error: StoreError,
}

impl Group {
    pub(super) fn new(session: Session, place: Place) -> Self {
        Self { session, place, answers: Vec::new(), began: Instant::now() }
    }

    /// Serves this request and all that wait, commits and answers. Gives back the connection if it
    /// is still good.
    pub(super) async fn serve(self, first: Request, line: &mut Line) -> Option<Session> {
        match self.serve_all(first, line).await {
            Ok(session) => Some(session),
            Err(lost) => {
                lost.tell().await;
                None
            }
        }
    }

    async fn serve_all(mut self, first: Request, line: &mut Line) -> Result<Session, Lost> {
        let mut next = Some(first);
        while let Some(request) = next {
            self = match request {
                Request::Incoming(call) => self.share(line.gather(call)).await?,
                Request::Outgoing(call) => self.share(line.gather(call)).await?,
                Request::Settlement(call) => self.share(line.gather(call)).await?,
                Request::Write(job) => self.write(job).await?,
                Request::Loan { label, reply } => self.lend(label, reply).await?,
            };
            next = if self.is_full() { None } else { line.next() };
        }
        self.commit().await
    }

    fn is_full(&self) -> bool {
        self.answers.len() >= MEMBERS || self.began.elapsed() >= LENGTH
    }

    /// Does what several callers ask for in one trip.
    async fn share<T: Shared>(mut self, calls: Vec<Call<T>>) -> Result<Self, Lost> {
        let items: Vec<&T> = calls.iter().flat_map(|call| &call.items).collect();
        let answers = match self.session.share(&items).await {
            Ok(answers) => answers,
            Err(error) => {
                return match self.session.undo_share::<T>(items.len()).await {
                    Ok(()) => self.share_each(calls, error).await,
                    Err(_gone) => Err(self.lost_with(calls, error)),
                };
            }
        };
        let mut answers = answers.into_iter();
        for Call { items, reply } in calls {
            let own = answers.by_ref().take(items.len()).collect();
            self.answers.push(after_commit(reply, own));
        }
        Ok(self)
    }

    /// Does what each caller asks for alone, so that one whose items are refused spoils no other.
    async fn share_each<T: Shared>(
        mut self,
        mut calls: Vec<Call<T>>,
        error: sqlx::Error,
    ) -> Result<Self, Lost> {
        if calls.len() > 1 {
            for call in calls {
                self = Box::pin(self.share(vec![call])).await?;
            }
        } else if let Some(only) = calls.pop() {
            answer(only.reply, Err(self.place.error(error)));
        }
        Ok(self)
    }

    async fn write(mut self, job: Box<dyn Job>) -> Result<Self, Lost> {
        let alone = job.is_one_statement();
        if !alone && let Err(error) = self.session.protect().await {
            let lost = self.lost(error);
            job.refuse(lost.place.spoiled_by(&lost.error));
            return Err(lost);
        }
        match job.run(self.session.work()).await {
            Some(answer) => self.answers.push(answer),
            None if alone => return self.probe().await,
            None => return self.undo().await,
        }
        Ok(self)
    }

    /// Lends the connection and waits for its return, for as long as the handler takes.
    async fn lend(
        mut self,
        label: &'static str,
        reply: oneshot::Sender<Result<Loan, StoreError>>,
    ) -> Result<Self, Lost> {
        if let Err(error) = self.session.protect().await {
            let lost = self.lost(error);
            answer(reply, Err(lost.place.spoiled_by(&lost.error)));
            return Err(lost);
        }
        let (loan, mut back) = Loan::new(self.session);
        // A loan that nobody takes any more is dropped here, and comes back like any other.
        answer(reply, Ok(loan));
        let returned = match tokio::time::timeout(PATIENCE, &mut back).await {
            Ok(returned) => returned,
            Err(_elapsed) => {
                tracing::warn!(
                    handler = label,
                    "a durable handler has held the only writing connection for {PATIENCE:?}; \
                     do slow work before or after it"
                );
                back.await
            }
        };
        match returned {
            Ok(Returned { session, outcome }) => {
                self.session = session;
                self.end(outcome).await
            }
            Err(_gone) => Err(Lost {
                session: None,
                error: self.place.error(sqlx::Error::WorkerCrashed),
                place: self.place,
                answers: self.answers,
            }),
        }
    }

    /// Ends a member as its handler wishes.
    async fn end(mut self, outcome: Outcome) -> Result<Self, Lost> {
        let (completion, reply) = match outcome {
            Outcome::Commit(completion, reply) => (completion, reply),
            Outcome::Dropped => return self.undo().await,
            Outcome::Rollback(reply) => {
                let undone = self.undo().await;
                // Undone it is, also where the whole group is: that was this handler's doing.
                answer(reply, Ok(()));
                return undone;
            }
        };
        match self.session.complete(completion).await {
            Ok(committed) => {
                self.answers.push(after_commit(reply, committed));
                Ok(self)
            }
            Err(error) => {
                let error = self.place.error(error);
                let undone = self.undo().await;
                let blamed = undone.is_err() && !error.is_transient();
                answer(reply, Err(if blamed { StoreError::TransactionEnded } else { error }));
                undone
            }
        }
    }

    async fn undo(mut self) -> Result<Self, Lost> {
        match self.session.undo().await {
            Ok(()) => Ok(self),
            Err(error) => Err(self.lost(error)),
        }
    }

    /// Finds out whether a statement that failed took the transaction with it.
    async fn probe(mut self) -> Result<Self, Lost> {
        match self.session.probe().await {
            Ok(()) => Ok(self),
            Err(error) => Err(self.lost(error)),
        }
    }

    async fn commit(mut self) -> Result<Session, Lost> {
        if let Err(error) = self.session.commit().await {
            return Err(self.lost(error));
        }
        for answer in self.answers {
            answer(Ok(()));
        }
        Ok(self.session)
    }

    /// Lost to these callers too, who are told with the others.
    fn lost_with<T: Shared>(mut self, calls: Vec<Call<T>>, error: sqlx::Error) -> Lost {
        let told = |call: Call<T>| after_commit(call.reply, Vec::new());
        self.answers.extend(calls.into_iter().map(told));
        self.lost(error)
    }

    fn lost(self, error: sqlx::Error) -> Lost {
        Lost {
            session: Some(self.session),
            error: self.place.error(error),
            place: self.place,
            answers: self.answers,
        }
    }
}

impl Lost {
    /// Gives the connection up, so that nothing is half done, and tells every member.
    async fn tell(self) {
        tracing::warn!(
            error = %self.error,
            members = self.answers.len(),
            "a transaction of the writer was undone; the writer opens a new connection"
        );
        if let Some(session) = self.session {
            session.close().await;
        }
        for answer in self.answers {
            answer(Err(self.place.spoiled_by(&self.error)));
        }
    }
}
