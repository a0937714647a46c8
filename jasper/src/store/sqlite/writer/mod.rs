//! The one task that writes: it owns the one writing connection and commits for many at once.

mod alone;
pub(super) mod batchable;
mod commit;
mod hooks;
mod job;
mod lost;
mod participant;
mod queue;
mod request;
mod session;
mod settings;
mod shared_transaction;
mod write;

use std::sync::Arc;
use std::time::Instant;

use tokio::sync::{mpsc, oneshot};

use self::job::WriteJob;
use self::queue::RequestQueue;
pub(super) use self::request::Queued;
use self::request::{QueuedCall, WriterRequest};
pub(super) use self::session::{BUSY_TIMEOUT, Connector, Session};
use self::shared_transaction::SharedTransaction;
pub(super) use self::write::Write;
use super::error::Place;
use super::leases::Leases;
use crate::store::sql::borrowed_connection::BorrowedConnection;
use crate::store::sql::reply::receive_reply;
use crate::store::{StoreError, TransactionOptions};

/// How many requests may wait in the queue before a caller waits to be let in.
const LINE: usize = 1024;

/// The way to the writer task, which ends when the last of these is gone.
#[derive(Debug, Clone)]
pub(super) struct Writer {
    queue: mpsc::Sender<WriterRequest>,
    place: Place,
}

impl Writer {
    /// Starts the task.
    pub(super) fn start(connector: Connector, session: Session, leases: Arc<Leases>) -> Self {
        let (queue, requests) = mpsc::channel(LINE);
        let place = connector.place().clone();
        tokio::spawn(serve(requests, connector, session, leases));
        Self { queue, place }
    }

    /// Returns when the write is committed. To drop the future does not undo what has begun.
    pub(super) async fn write<W: Write>(&self, write: W) -> Result<W::Output, StoreError> {
        let (reply, answer) = oneshot::channel();
        let place = self.place.clone();
        let job = Box::new(WriteJob { write, reply, place, output: None });
        self.send(WriterRequest::Write(job)).await?;
        receive_reply(answer).await
    }

    /// Does something together with what others ask for, and returns when it is committed.
    pub(super) async fn share<T: Queued>(
        &self,
        items: Vec<T>,
    ) -> Result<Vec<T::Answer>, StoreError> {
        if items.is_empty() {
            return Ok(Vec::new());
        }
        let (reply, answer) = oneshot::channel();
        self.send(T::request(QueuedCall { items, since: Instant::now(), reply })).await?;
        receive_reply(answer).await
    }

    /// Waits for the turn of a handler, which then borrows the connection.
    pub(super) async fn borrow(
        &self,
        options: TransactionOptions,
    ) -> Result<BorrowedConnection<Session>, StoreError> {
        let (reply, answer) = oneshot::channel();
        self.send(WriterRequest::Transaction { options, reply }).await?;
        receive_reply(answer).await
    }

    async fn send(&self, request: WriterRequest) -> Result<(), StoreError> {
        self.queue.send(request).await.map_err(|_closed| StoreError::Closed)
    }
}

/// The task. Whatever waits when a shared transaction ends goes into the next one, so that no
/// request waits for others.
async fn serve(
    requests: mpsc::Receiver<WriterRequest>,
    connector: Connector,
    session: Session,
    leases: Arc<Leases>,
) {
    let mut queue = RequestQueue::new(requests);
    let mut session = Some(session);
    while let Some(first) = queue.wait().await {
        let place = connector.place();
        let good = match session.take() {
            Some(session) => Ok(session),
            None => connector.connect().await,
        };
        session = match good {
            Ok(session) => serve_group(first, &mut queue, session, place, &leases).await,
            Err(error) => {
                refuse_all(first, &mut queue, place, error);
                None
            }
        };
        // A caller that has its answer may ask again at once, and then shares the next transaction.
        tokio::task::yield_now().await;
    }
    if let Some(session) = session {
        session.close().await;
    }
}

/// Serves one shared transaction. Gives back the connection if it is still good.
async fn serve_group(
    first: WriterRequest,
    queue: &mut RequestQueue,
    mut session: Session,
    place: &Place,
    leases: &Arc<Leases>,
) -> Option<Session> {
    // Requests of one kind alone need one trip, with the transaction around it.
    let first = match alone::serve(first, queue, session, place).await {
        alone::Served::Done(session) => return session,
        alone::Served::NotAlone(request, given_back) => {
            session = *given_back;
            request
        }
    };
    match session.begin().await {
        Ok(()) => {
            let shared = SharedTransaction::new(session, place.clone(), Arc::clone(leases));
            shared.serve(first, queue).await
        }
        Err(error) => {
            session.close().await;
            refuse_all(first, queue, place, place.error(error));
            None
        }
    }
}

/// All callers that wait are answered, so that they do not fail one by one after a wait for the
/// lock each.
fn refuse_all(first: WriterRequest, queue: &mut RequestQueue, place: &Place, error: StoreError) {
    while let Some(request) = queue.next() {
        request.refuse(place.spoiled_by(&error));
    }
    first.refuse(error);
}
