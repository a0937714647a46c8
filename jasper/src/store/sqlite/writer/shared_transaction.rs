//! The participants that share one transaction, and so one fsync.

use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::sync::oneshot;
use tokio::time::timeout;

use super::super::error::Place;
use super::super::leases::Leases;
use super::job::ErasedWrite;
use super::lost::{LossCause, LostTransaction};
use super::participant::Participant;
use super::queue::RequestQueue;
use super::request::{Queued, QueuedCall, WriterRequest, with_answers};
use super::session::{BUSY_TIMEOUT, CompletionRefusal, Session};
use crate::store::sql::borrowed_connection::{BorrowedConnection, ReturnedConnection, RunOutcome};
use crate::store::sql::reply::{ReplySender, send_reply};
use crate::store::{Committed, Completion, StoreError, TransactionOptions};

/// The most participants of one shared transaction.
const PARTICIPANTS: usize = 256;

/// After this long a shared transaction takes no more participants, so that the first does not wait
/// for ever for its answer.
const LENGTH: Duration = Duration::from_millis(25);

/// A handler that holds the connection for this long is named in the log, as all others wait for
/// it.
const PATIENCE: Duration = Duration::from_secs(1);

/// For how long an insert waits for a handler that holds the connection, as long as for another
/// process that does.
const LONGEST_WAIT: Duration = BUSY_TIMEOUT;

/// One open transaction. No caller is answered before it is committed.
///
/// Each step takes it and gives it back, or gives back why it is lost: one that is lost
/// cannot be used.
pub(super) struct SharedTransaction {
    pub(super) session: Session,
    pub(super) place: Place,
    pub(super) leases: Arc<Leases>,
    pub(super) participants: Vec<Participant>,
    pub(super) began: Instant,
}

impl SharedTransaction {
    pub(super) fn new(session: Session, place: Place, leases: Arc<Leases>) -> Self {
        Self { session, place, leases, participants: Vec::new(), began: Instant::now() }
    }

    /// Serves this request and all that wait, commits and answers. Gives back the connection if it
    /// is still good.
    pub(super) async fn serve(
        self,
        first: WriterRequest,
        queue: &mut RequestQueue,
    ) -> Option<Session> {
        let committed = match self.serve_all(first, queue).await {
            Ok(shared) => shared.commit(queue).await,
            Err(lost) => Err(lost),
        };
        match committed {
            Ok(session) if session.is_spent() => {
                session.close().await;
                None
            }
            Ok(session) => Some(session),
            Err(lost) => {
                lost.end_all(queue).await;
                None
            }
        }
    }

    async fn serve_all(
        mut self,
        first: WriterRequest,
        queue: &mut RequestQueue,
    ) -> Result<Self, LostTransaction> {
        let mut next = Some(first);
        while let Some(request) = next {
            let alone = request.is_isolated();
            if alone && !self.participants.is_empty() {
                queue.put_back(request);
                break;
            }
            self = match request {
                WriterRequest::Incoming(call) => self.share(queue.gather(call)).await?,
                WriterRequest::Outgoing(call) => self.share(queue.gather(call)).await?,
                WriterRequest::Settlement(call) => self.share(queue.gather(call)).await?,
                WriterRequest::Write(job) => self.write(job).await?,
                WriterRequest::Transaction { options, reply } => {
                    self.run_handler(options, reply, queue).await?
                }
            };
            next = if alone || self.is_full() { None } else { queue.next() };
        }
        Ok(self)
    }

    fn is_full(&self) -> bool {
        self.participants.len() >= PARTICIPANTS
            || self.session.is_full()
            || self.began.elapsed() >= LENGTH
    }

    /// Does what several callers ask for in one trip.
    async fn share<T: Queued>(
        mut self,
        calls: Vec<QueuedCall<T, T::Answer>>,
    ) -> Result<Self, LostTransaction> {
        let items: Vec<&T> = calls.iter().flat_map(|call| &call.items).collect();
        let answers = match self.session.share(&items).await {
            Ok(answers) => answers,
            Err(error) => {
                return match self.session.undo_share(&items).await {
                    Ok(()) => self.share_each(calls, error).await,
                    Err(_gone) => Err(self.lost_with(calls, error)),
                };
            }
        };
        let savepoint = self.session.savepoint();
        for (call, own) in with_answers(calls, answers) {
            self.participants.push(Participant::call(savepoint, call, own));
        }
        Ok(self)
    }

    /// Does what each caller asks for alone, so that one whose items are refused spoils no other.
    async fn share_each<T: Queued>(
        mut self,
        mut calls: Vec<QueuedCall<T, T::Answer>>,
        error: sqlx::Error,
    ) -> Result<Self, LostTransaction> {
        if calls.len() > 1 {
            for call in calls {
                self = Box::pin(self.share(vec![call])).await?;
            }
        } else if let Some(only) = calls.pop() {
            send_reply(only.reply, Err(self.place.error(error)));
        }
        Ok(self)
    }

    async fn write(mut self, mut job: Box<dyn ErasedWrite>) -> Result<Self, LostTransaction> {
        let alone = job.is_one_statement();
        if !alone && let Err(error) = self.session.protect().await {
            let lost = self.lost(error);
            lost.refuse(|error| job.refuse(error));
            return Err(lost);
        }
        match job.run(self.session.work()).await {
            Ok(()) => {
                self.participants.push(Participant::job(self.session.savepoint(), job));
                Ok(self)
            }
            Err(error) => {
                // SQLite has undone a single statement, or everything.
                let undone =
                    if alone { self.session.check_open() } else { self.session.undo().await };
                job.refuse(error);
                match undone {
                    Ok(()) => Ok(self),
                    Err(gone) => Err(self.lost(gone)),
                }
            }
        }
    }

    /// Gives the connection to a handler and waits for its return, for as long as the handler
    /// takes.
    async fn run_handler(
        mut self,
        options: TransactionOptions,
        reply: ReplySender<BorrowedConnection<Session>>,
        queue: &mut RequestQueue,
    ) -> Result<Self, LostTransaction> {
        if let Err(error) = self.session.protect().await {
            let lost = self.lost(error);
            lost.refuse(|error| send_reply(reply, Err(error)));
            return Err(lost);
        }
        let (borrowed, back) = BorrowedConnection::new(self.session);
        // A connection whose borrower is gone is dropped here, and comes back like any other.
        send_reply(reply, Ok(borrowed));
        let returned = self::returned(back, options.label, queue, &self.place).await;
        match returned {
            Ok(ReturnedConnection { session, outcome }) => {
                self.session = session;
                self.end(outcome, options.label).await
            }
            Err(_gone) => {
                let error = self.place.error(sqlx::Error::WorkerCrashed);
                Err(LostTransaction::of(
                    None,
                    self.place,
                    self.participants,
                    LossCause::Store(error),
                ))
            }
        }
    }

    /// Ends a participant as its handler wishes.
    async fn end(
        mut self,
        outcome: RunOutcome,
        handler: &'static str,
    ) -> Result<Self, LostTransaction> {
        if self.session.check_open().is_err() {
            return Err(self.ended_by(outcome, handler));
        }
        if let RunOutcome::Commit(completion, reply) = outcome {
            return self.complete(completion, reply, handler).await;
        }
        match self.session.undo_handler().await {
            Ok(()) => {
                if let RunOutcome::Rollback(reply) = outcome {
                    send_reply(reply, Ok(()));
                }
                Ok(self)
            }
            // A statement of a handler that was dropped was still on its way.
            Err(_gone) => Err(self.ended_by(outcome, handler)),
        }
    }

    async fn complete(
        mut self,
        completion: Completion,
        reply: ReplySender<Committed>,
        handler: &'static str,
    ) -> Result<Self, LostTransaction> {
        let savepoint = self.session.savepoint();
        let refusal = match self.session.complete(&completion).await {
            Ok(committed) => {
                self.participants.push(Participant::handler(savepoint, reply, committed));
                return Ok(self);
            }
            Err(refusal) => refusal,
        };
        if self.session.check_open().is_err() {
            let outcome = RunOutcome::Commit(completion, reply);
            return Err(self.ended_in(refusal, outcome, handler));
        }
        let refused = match self.refused(refusal, &completion).await {
            Ok((shared, error)) => {
                self = shared;
                error
            }
            Err(lost) => {
                lost.refuse(|error| send_reply(reply, Err(error)));
                return Err(lost);
            }
        };
        send_reply(reply, Err(refused));
        Ok(self)
    }

    /// Undoes a handler's participant that could not be completed, and says whose fault that is.
    async fn refused(
        mut self,
        refusal: CompletionRefusal,
        completion: &Completion,
    ) -> Result<(Self, StoreError), LostTransaction> {
        let error = match refusal {
            CompletionRefusal::Completion(error) => error,
            CompletionRefusal::Tables => {
                let detail = "it has changed or dropped a table of jasper".to_owned();
                let refused = StoreError::CommitRefused { detail, source: None };
                return Ok((self.undo_handler().await?, refused));
            }
        };
        let detail = error.to_string();
        let said = self.place.error(error);
        self = self.undo_handler().await?;
        if said.is_transient() {
            return Ok((self, said));
        }
        // What is not taken without the handler's rows either is not the handler's fault.
        match self.session.would_complete(completion).await {
            Ok(true) => Ok((self, said.into_refusal(detail))),
            Ok(false) => Ok((self, said)),
            Err(error) => Err(self.lost(error)),
        }
    }

    async fn undo_handler(mut self) -> Result<Self, LostTransaction> {
        match self.session.undo_handler().await {
            Ok(()) => Ok(self),
            Err(error) => Err(self.lost(error)),
        }
    }

    /// Lost to these callers too, which are answered with the others.
    fn lost_with<T: Queued>(
        mut self,
        calls: Vec<QueuedCall<T, T::Answer>>,
        error: sqlx::Error,
    ) -> LostTransaction {
        let refused = |call: QueuedCall<T, T::Answer>| Participant::call(0, call, Vec::new());
        self.participants.extend(calls.into_iter().map(refused));
        self.lost(error)
    }

    pub(super) fn lost(self, error: sqlx::Error) -> LostTransaction {
        let error = self.place.error(error);
        LostTransaction::of(
            Some(self.session),
            self.place,
            self.participants,
            LossCause::Store(error),
        )
    }

    /// Lost while a handler's participant was completed: by SQLite, for example on a full disk, or
    /// by a statement of the handler that was still on its way.
    fn ended_in(
        self,
        refusal: CompletionRefusal,
        outcome: RunOutcome,
        handler: &'static str,
    ) -> LostTransaction {
        let CompletionRefusal::Completion(error) = refusal else {
            return self.ended_by(outcome, handler);
        };
        let said = self.place.error(error);
        if !said.is_transient() {
            return self.ended_by(outcome, handler);
        }
        if let RunOutcome::Commit(_, reply) = outcome {
            send_reply(reply, Err(said.clone()));
        }
        LostTransaction::of(
            Some(self.session),
            self.place,
            self.participants,
            LossCause::Store(said),
        )
    }

    /// Lost as this handler has ended the transaction.
    fn ended_by(self, outcome: RunOutcome, handler: &'static str) -> LostTransaction {
        LostTransaction::of(
            Some(self.session),
            self.place,
            self.participants,
            LossCause::Handler(handler, outcome),
        )
    }
}

/// Waits for the connection to come back. Inserts that have waited long for it are refused: one of
/// them may be of a task for which the handler waits, and each would wait for the other.
async fn returned(
    mut back: oneshot::Receiver<ReturnedConnection<Session>>,
    handler: &'static str,
    queue: &mut RequestQueue,
    place: &Place,
) -> Result<ReturnedConnection<Session>, oneshot::error::RecvError> {
    if let Ok(returned) = timeout(PATIENCE, &mut back).await {
        return returned;
    }
    tracing::warn!(
        handler,
        "a durable handler has held the only writing connection for {PATIENCE:?}; \
         do slow work before or after it"
    );
    let held = place.held_by(handler);
    loop {
        match timeout(PATIENCE, &mut back).await {
            Ok(returned) => return returned,
            Err(_elapsed) => queue.refuse_inserts(LONGEST_WAIT, &held),
        }
    }
}
