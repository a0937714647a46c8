//! The writing connection in the hands of a durable handler.

use std::any::Any;

use futures_util::future::BoxFuture;
use sqlx::SqliteConnection;
use tokio::sync::oneshot;

use super::session::Session;
use crate::store::{Committed, Completion, StoreError, StoreTransaction};

/// The connection, lent until it is committed, rolled back or dropped. In each case it goes home.
#[derive(Debug)]
pub(in super::super) struct Loan {
    held: Option<Held>,
}

#[derive(Debug)]
struct Held {
    session: Session,
    home: oneshot::Sender<Returned>,
}

/// The connection on its way home, with what is to be done on it.
#[derive(Debug)]
pub(super) struct Returned {
    pub(super) session: Session,
    pub(super) outcome: Outcome,
}

/// How a loan ended.
#[derive(Debug)]
pub(super) enum Outcome {
    Commit(Completion, oneshot::Sender<Result<Committed, StoreError>>),
    Rollback(oneshot::Sender<Result<(), StoreError>>),
    Dropped,
}

impl Loan {
    /// A loan, and where the connection comes back.
    pub(super) fn new(session: Session) -> (Self, oneshot::Receiver<Returned>) {
        let (home, back) = oneshot::channel();
        let held = Some(Held { session, home });
        (Self { held }, back)
    }

    fn give_back(&mut self, outcome: Outcome) {
        if let Some(Held { session, home }) = self.held.take() {
            let returned = Returned { session, outcome };
            if home.send(returned).is_err() {
                // The connection is dropped with it, and the database undoes what is open on it.
                tracing::debug!("the writer ended before a handler did");
            }
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
        let connection: &mut SqliteConnection = self.held.as_mut()?.session.lend();
        Some(connection)
    }

    fn commit(
        mut self: Box<Self>,
        completion: Completion,
    ) -> BoxFuture<'static, Result<Committed, StoreError>> {
        let (reply, answer) = oneshot::channel();
        self.give_back(Outcome::Commit(completion, reply));
        Box::pin(async { answer.await.unwrap_or(Err(StoreError::Closed)) })
    }

    fn rollback(mut self: Box<Self>) -> BoxFuture<'static, Result<(), StoreError>> {
        let (reply, answer) = oneshot::channel();
        self.give_back(Outcome::Rollback(reply));
        Box::pin(async { answer.await.unwrap_or(Err(StoreError::Closed)) })
    }
}
