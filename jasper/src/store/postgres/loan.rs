//! A shared transaction in the hands of one of its runs.

use std::any::Any;

use futures_util::future::BoxFuture;
use sqlx::PgConnection;
use tokio::sync::oneshot;

use super::session::Session;
use crate::store::{Committed, Completion, StoreError, StoreTransaction};

/// The transaction, lent until the run commits, rolls back or is dropped. In each case it goes
/// home.
#[derive(Debug)]
pub(super) struct Loan {
    held: Option<Held>,
}

#[derive(Debug)]
struct Held {
    session: Session,
    home: oneshot::Sender<Returned>,
}

/// The transaction on its way home, with what is to become of the run.
#[derive(Debug)]
pub(super) struct Returned {
    pub(super) session: Session,
    pub(super) outcome: Outcome,
}

/// How a loan ended.
#[derive(Debug)]
pub(super) enum Outcome {
    Commit(Member),
    Rollback(oneshot::Sender<Result<(), StoreError>>),
    Dropped,
}

/// A run that is to be committed with others, and the one who waits for it.
#[derive(Debug)]
pub(super) struct Member {
    pub(super) completion: Completion,
    pub(super) reply: oneshot::Sender<Result<Committed, StoreError>>,
}

impl Loan {
    /// A loan, and where the transaction comes back.
    pub(super) fn new(session: Session) -> (Self, oneshot::Receiver<Returned>) {
        let (home, back) = oneshot::channel();
        (Self { held: Some(Held { session, home }) }, back)
    }

    fn give_back(&mut self, outcome: Outcome) {
        if let Some(Held { session, home }) = self.held.take()
            && home.send(Returned { session, outcome }).is_err()
        {
            // The transaction is dropped with it, and the database undoes what is open.
            tracing::debug!("a shared transaction ended before one of its handlers did");
        }
    }
}

impl Drop for Loan {
    fn drop(&mut self) {
        self.give_back(Outcome::Dropped);
    }
}

impl StoreTransaction for Loan {
    fn connection(&mut self) -> Option<&mut (dyn Any + Send)> {
        let connection: &mut PgConnection = self.held.as_mut()?.session.connection().ok()?;
        Some(connection)
    }

    fn commit(
        mut self: Box<Self>,
        completion: Completion,
    ) -> BoxFuture<'static, Result<Committed, StoreError>> {
        let (reply, answer) = oneshot::channel();
        self.give_back(Outcome::Commit(Member { completion, reply }));
        Box::pin(async { answer.await.unwrap_or(Err(StoreError::Closed)) })
    }

    fn rollback(mut self: Box<Self>) -> BoxFuture<'static, Result<(), StoreError>> {
        let (reply, answer) = oneshot::channel();
        self.give_back(Outcome::Rollback(reply));
        Box::pin(async { answer.await.unwrap_or(Err(StoreError::Closed)) })
    }
}
