//! The runs that share one transaction, and so one commit.

use std::time::Duration;

use sqlx::{AssertSqlSafe, Connection, Executor, Row, SqlSafeStr, SqlStr, raw_sql};

use super::completion::{self, Written};
use super::internal_pool::InternalPool;
use super::run_queue::RunQueue;
use super::session::Session;

use crate::store::sql::borrowed_connection::{BorrowedConnection, ReturnedConnection, RunOutcome};
use crate::store::sql::reply::{self, ReplySender};
use crate::store::{Committed, Completion, Settled, StoreError};

/// Releases the savepoint of a run, which keeps what it did.
const END_MEMBER: &str = "release savepoint jasper_member";

/// Begins the next run.
const BEGIN_MEMBER: &str = "savepoint jasper_member";

/// Rolls back to the savepoint of a run, which then serves the next one.
const UNDO_MEMBER: &str = "rollback to savepoint jasper_member";

/// The statements that the session has prepared, and whether by SQL: such a one is a run's, which
/// no savepoint takes back. The function of the server takes half the time of its view.
const PREPARED: &str = "select name, from_sql from pg_catalog.pg_prepared_statement()";

/// A run that is to be committed with others, and where its answer goes.
struct SharedRun {
    completion: Completion,
    reply: ReplySender<Committed>,
}

/// One open transaction. No caller is answered before it is committed.
pub(super) struct SharedTransaction {
    session: Session,
    runs: Vec<SharedRun>,
    internal: InternalPool,
    queue: RunQueue,
    /// What ends a run and makes the session fit for the next, in one trip.
    next_member: SqlStr,
    /// What undoes a run, and makes the session fit for the next.
    undo_member: SqlStr,
    /// Whether another run may follow the first.
    is_shared: bool,
}

impl SharedTransaction {
    /// For runs that may take `limit`. Another run may follow the first if it `is_shared`.
    pub(super) fn new(
        session: Session,
        internal: &InternalPool,
        queue: &RunQueue,
        limit: Duration,
        is_shared: bool,
    ) -> Self {
        let (next_member, undo_member) = if is_shared {
            (
                format!("{END_MEMBER}; {}{BEGIN_MEMBER}; {PREPARED}", session.reset(limit)),
                format!("{UNDO_MEMBER}; {PREPARED}"),
            )
        } else {
            (format!("{END_MEMBER}; {BEGIN_MEMBER}"), UNDO_MEMBER.to_owned())
        };
        // Of constants, numbers and a mark, which has no quotes in it.
        let next_member = AssertSqlSafe(next_member).into_sql_str();
        let undo_member = AssertSqlSafe(undo_member).into_sql_str();
        let (internal, queue) = (internal.clone(), queue.clone());
        let runs = Vec::new();
        Self { session, runs, internal, queue, next_member, undo_member, is_shared }
    }

    /// Gives the transaction to a run, for as long as that takes. `None`: it is lost, and all
    /// callers have an error.
    pub(super) async fn run_next(
        self,
        reply: ReplySender<BorrowedConnection<Session>>,
    ) -> Option<Self> {
        let (borrowed, back) = BorrowedConnection::new(self.session);
        // A connection whose borrower is gone is dropped here, and comes back like any other.
        reply::send_reply(reply, Ok(borrowed));
        match back.await {
            Ok(ReturnedConnection { session, outcome }) => {
                let shared = Self { session, ..self };
                shared.take_back(outcome).await
            }
            // Only a runtime that ends drops a borrowed connection without giving it back.
            Err(_gone) => None,
        }
    }

    /// Ends a run: committed with the others, or rolled back.
    async fn take_back(mut self, outcome: RunOutcome) -> Option<Self> {
        match outcome {
            RunOutcome::Commit(completion, reply) => {
                self.accept_run(SharedRun { completion, reply }).await
            }
            RunOutcome::Dropped => match self.undo_member().await {
                Ok(()) => Some(self),
                Err(error) => self.lost(error),
            },
            RunOutcome::Rollback(reply) => match self.undo_member().await {
                Ok(()) => {
                    reply::send_reply(reply, Ok(()));
                    Some(self)
                }
                Err(error) => {
                    // The run asked for a rollback, and with the whole transaction it has one.
                    reply::send_reply(reply, Ok(()));
                    self.lost(error)
                }
            },
        }
    }

    /// Keeps what a run did, and sets the savepoint of the next one.
    async fn accept_run(mut self, run: SharedRun) -> Option<Self> {
        let next_member = self.next_member.clone();
        match self.execute(next_member).await {
            Ok(()) => {
                self.runs.push(run);
                Some(self)
            }
            Err(error) => match self.undo_member().await {
                Ok(()) => {
                    let error = self.internal.place.completion_error(error);
                    reply::send_reply(run.reply, Err(error));
                    Some(self)
                }
                Err(gone) => {
                    let error = if self.internal.place.ended_by_handler(&gone) {
                        StoreError::TransactionEnded
                    } else {
                        self.internal.error(error)
                    };
                    reply::send_reply(run.reply, Err(error));
                    self.lost(gone)
                }
            },
        }
    }

    async fn undo_member(&mut self) -> sqlx::Result<()> {
        self.session.drain().await?;
        self.execute(self.undo_member.clone()).await
    }

    /// Does what is between two runs, and leaves the statements of the driver prepared.
    async fn execute(&mut self, statements: SqlStr) -> sqlx::Result<()> {
        let (internal, connection) = (&self.internal, self.session.connection()?);
        let prepared = internal.in_time(raw_sql(statements).fetch_all(&mut *connection)).await?;
        let (mut of_driver, mut deallocate) = (0, String::new());
        for row in &prepared {
            if row.try_get(1)? {
                let name = row.try_get::<&str, _>(0)?.replace('"', "\"\"");
                deallocate += &format!("deallocate \"{name}\"; ");
            } else {
                of_driver += 1;
            }
        }
        if !deallocate.is_empty() {
            // Names between quotes.
            let deallocate = raw_sql(AssertSqlSafe(deallocate));
            internal.in_time(connection.execute(deallocate)).await?;
        }
        if self.is_shared && of_driver < connection.cached_statements_size() {
            // After `deallocate all` the driver would execute what is not there.
            internal.in_time(connection.clear_cached_statements()).await?;
        }
        Ok(())
    }

    /// Undoes all of it. What cannot be undone here is undone by the server.
    async fn undo(session: Session) {
        if let Err(error) = session.undo().await {
            tracing::debug!(%error, "a shared transaction is left to the server to undo");
        }
    }
}

/// How many of these end the message that this one ends.
fn runs_of(one: &Completion, all: &[Completion]) -> usize {
    let row = |completion: &Completion| {
        completion.handled.as_ref().map(|row| (row.id, row.destination.clone()))
    };
    let own = row(one);
    all.iter().filter(|other| row(other) == own).count()
}

impl SharedTransaction {
    /// Writes all completions, commits and answers.
    pub(super) async fn end(mut self) {
        if self.runs.is_empty() {
            return Self::undo(self.session).await;
        }
        let runs = std::mem::take(&mut self.runs).into_iter();
        let (completions, replies): (Vec<Completion>, Replies) =
            runs.map(|run| (run.completion, run.reply)).unzip();
        match self.write(&completions).await {
            Ok(Written::Done(all)) if all.iter().all(|one| one.settled == Settled::Done) => {
                let change = self.internal.changes();
                let ended = self.session.commit().await;
                change.note(&completions);
                match ended {
                    Ok(()) => answer_all(replies, all.into_iter().map(Ok)),
                    Err(error) => {
                        let error = self.internal.place.commit_error(error);
                        refuse(replies, error, &self.internal, &self.queue);
                    }
                }
            }
            Ok(Written::Done(all)) => {
                Self::undo(self.session).await;
                let spoiled =
                    self.internal.place.spoiled("the message of another run was taken over");
                let each = all.into_iter().zip(&completions).map(|(one, own)| match one.settled {
                    // Another run of it in this transaction is undone with it.
                    Settled::Fenced if runs_of(own, &completions) == 1 => Ok(one),
                    _ => Err(spoiled.clone()),
                });
                answer_all(replies, each);
            }
            Ok(Written::TransactionEnded) => {
                Self::undo(self.session).await;
                refuse(replies, StoreError::TransactionEnded, &self.internal, &self.queue);
            }
            Err(error) => {
                Self::undo(self.session).await;
                let error = self.internal.place.completion_error(error);
                refuse(replies, error, &self.internal, &self.queue);
            }
        }
    }

    async fn write(&mut self, all: &[Completion]) -> sqlx::Result<Written<Vec<Committed>>> {
        let connection = self.session.connection()?;
        completion::write_group(connection, &self.internal, all).await
    }

    /// Answers all callers whose work is undone with the transaction.
    fn lost(self, error: sqlx::Error) -> Option<Self> {
        let error = if self.internal.place.ended_by_handler(&error) {
            self.internal.place.spoiled("another handler ended it by a statement of its own")
        } else {
            self.internal.error(error)
        };
        tracing::warn!(%error, runs = self.runs.len(), "a shared transaction was undone");
        let each = self.runs.iter().map(|_member| Err(error.clone())).collect::<Vec<_>>();
        answer_all(self.runs.into_iter().map(|run| run.reply).collect(), each);
        None
    }
}

type Replies = Vec<ReplySender<Committed>>;

fn answer_all(replies: Replies, answers: impl IntoIterator<Item = Result<Committed, StoreError>>) {
    for (reply, answer) in replies.into_iter().zip(answers) {
        reply::send_reply(reply, answer);
    }
}

/// Answers all callers with an error: nothing is committed. Where one of several is at fault and it
/// is not known which, each runs again, alone.
fn refuse(replies: Replies, error: StoreError, internal: &InternalPool, queue: &RunQueue) {
    let error = if replies.len() > 1 && !error.is_transient() {
        queue.set_apart(replies.len());
        internal.place.spoiled(&error.to_string())
    } else {
        error
    };
    let each: Vec<_> = replies.iter().map(|_reply| Err(error.clone())).collect();
    answer_all(replies, each);
}
