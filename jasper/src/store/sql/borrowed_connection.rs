//! A connection that the run of a durable handler borrows from a task, and gives back.

use std::any::Any;
use std::fmt;

use futures_util::future::BoxFuture;
use tokio::sync::oneshot;

use super::reply::{ReplySender, receive_reply};
use crate::store::{Committed, Completion, StoreError, StoreTransaction};

/// A connection with an open transaction, in which code of a user runs.
pub(crate) trait HandlerConnection: fmt::Debug + Send + 'static {
    /// What the handler takes as `&mut`; `None` where it is lost.
    fn connection(&mut self) -> Option<&mut (dyn Any + Send)>;
}

/// The connection, borrowed until the run commits, rolls back or is dropped. In each case it goes
/// back.
#[derive(Debug)]
pub(crate) struct BorrowedConnection<S: HandlerConnection> {
    held: Option<Borrowed<S>>,
}

#[derive(Debug)]
struct Borrowed<S> {
    session: S,
    home: oneshot::Sender<ReturnedConnection<S>>,
}

/// The connection on its way back, with what is to become of the run.
#[derive(Debug)]
pub(crate) struct ReturnedConnection<S> {
    pub(crate) session: S,
    pub(crate) outcome: RunOutcome,
}

/// How the run of the borrower ended.
#[derive(Debug)]
pub(crate) enum RunOutcome {
    Commit(Completion, ReplySender<Committed>),
    Rollback(ReplySender<()>),
    Dropped,
}

impl<S: HandlerConnection> BorrowedConnection<S> {
    /// A connection to borrow, and where it comes back.
    pub(crate) fn new(session: S) -> (Self, oneshot::Receiver<ReturnedConnection<S>>) {
        let (home, back) = oneshot::channel();
        (Self { held: Some(Borrowed { session, home }) }, back)
    }

    fn give_back(&mut self, outcome: RunOutcome) {
        if let Some(Borrowed { session, home }) = self.held.take()
            && home.send(ReturnedConnection { session, outcome }).is_err()
        {
            // The connection is dropped with it, and the database undoes what is open on it.
            tracing::debug!("the task of a borrowed connection ended before its handler did");
        }
    }
}

impl<S: HandlerConnection> Drop for BorrowedConnection<S> {
    fn drop(&mut self) {
        self.give_back(RunOutcome::Dropped);
    }
}

impl<S: HandlerConnection> StoreTransaction for BorrowedConnection<S> {
    fn connection(&mut self) -> Option<&mut (dyn Any + Send)> {
        self.held.as_mut()?.session.connection()
    }

    fn commit(
        mut self: Box<Self>,
        completion: Completion,
    ) -> BoxFuture<'static, Result<Committed, StoreError>> {
        let (reply, answer) = oneshot::channel();
        self.give_back(RunOutcome::Commit(completion, reply));
        Box::pin(receive_reply(answer))
    }

    fn rollback(mut self: Box<Self>) -> BoxFuture<'static, Result<(), StoreError>> {
        let (reply, answer) = oneshot::channel();
        self.give_back(RunOutcome::Rollback(reply));
        Box::pin(receive_reply(answer))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug)]
    struct Session(u8);

    impl HandlerConnection for Session {
        fn connection(&mut self) -> Option<&mut (dyn Any + Send)> {
            Some(&mut self.0)
        }
    }

    #[tokio::test]
    async fn a_connection_comes_back_however_its_run_ends() {
        let (mut borrowed, back) = BorrowedConnection::new(Session(1));
        let connection =
            borrowed.connection().and_then(|connection| connection.downcast_mut::<u8>());
        *connection.expect("it is there") = 2;
        drop(borrowed);
        let ReturnedConnection { session, outcome } = back.await.unwrap();
        assert_eq!(session.0, 2);
        assert!(matches!(outcome, RunOutcome::Dropped));
        let (borrowed, back) = BorrowedConnection::new(Session(3));
        let ended = Box::new(borrowed).rollback();
        let RunOutcome::Rollback(reply) = back.await.unwrap().outcome else {
            panic!("it is rolled back");
        };
        reply.send(Ok(())).unwrap();
        assert!(ended.await.is_ok());
    }

    #[tokio::test]
    async fn a_run_gets_an_error_where_the_task_of_its_connection_has_ended() {
        let (borrowed, back) = BorrowedConnection::new(Session(1));
        drop(back);
        let ended = Box::new(borrowed).commit(Completion::default()).await;
        assert!(matches!(ended, Err(StoreError::Closed)));
    }
}
