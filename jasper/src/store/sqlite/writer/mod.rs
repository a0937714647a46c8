//! The one task that writes: it owns the one writing connection and commits for many at once.

mod group;
mod insert;
mod loan;
mod session;

use std::future::Future;

use futures_util::future::BoxFuture;
use sqlx::SqliteConnection;
use tokio::sync::{mpsc, oneshot};

use self::group::Group;
use self::insert::{Insertable, Rows};
pub(super) use self::loan::Loan;
pub(super) use self::session::{Connector, Session};
use super::error::Place;
use crate::store::{Incoming, Outgoing, StoreError, Stored};

/// How many requests may stand in line before a caller waits to be let in.
const LINE: usize = 1024;

/// Something that the writer does in a transaction that it may share with others.
pub(super) trait Write: Send + 'static {
    /// What the caller is told once it is committed.
    type Output: Send + 'static;

    /// Whether it is one statement, which SQLite undoes by itself where it fails.
    fn is_one_statement(&self) -> bool {
        false
    }

    /// Does it. Where this fails, all that it did is undone.
    fn run(
        self,
        connection: &mut SqliteConnection,
    ) -> impl Future<Output = sqlx::Result<Self::Output>> + Send;
}

/// The way to the writer task, which ends when the last of these is gone.
#[derive(Debug, Clone)]
pub(super) struct Writer {
    line: mpsc::Sender<Request>,
    place: Place,
}

impl Writer {
    /// Starts the task.
    pub(super) fn start(connector: Connector, session: Session) -> Self {
        let (line, requests) = mpsc::channel(LINE);
        let place = connector.place().clone();
        tokio::spawn(serve(requests, connector, session));
        Self { line, place }
    }

    /// Returns when the write is committed. To drop the future does not undo what has begun.
    pub(super) async fn write<W: Write>(&self, write: W) -> Result<W::Output, StoreError> {
        let (reply, answer) = oneshot::channel();
        let place = self.place.clone();
        let job = Box::new(Pending { write, reply, place });
        self.send(Request::Write(job)).await?;
        answer.await.unwrap_or(Err(StoreError::Closed))
    }

    /// Stores rows together with those of others, and returns when they are committed.
    pub(super) async fn insert<R: Insertable>(
        &self,
        rows: Vec<R>,
    ) -> Result<Vec<Stored>, StoreError> {
        let (reply, answer) = oneshot::channel();
        self.send(R::request(Rows { rows, reply })).await?;
        answer.await.unwrap_or(Err(StoreError::Closed))
    }

    /// Waits for the turn of a handler, and lends it the connection.
    pub(super) async fn borrow(&self, label: &'static str) -> Result<Loan, StoreError> {
        let (reply, answer) = oneshot::channel();
        self.send(Request::Loan { label, reply }).await?;
        answer.await.unwrap_or(Err(StoreError::Closed))
    }

    async fn send(&self, request: Request) -> Result<(), StoreError> {
        self.line.send(request).await.map_err(|_closed| StoreError::Closed)
    }
}

/// What stands in line.
pub(super) enum Request {
    Incoming(Rows<Incoming>),
    Outgoing(Rows<Outgoing>),
    Write(Box<dyn Job>),
    Loan { label: &'static str, reply: oneshot::Sender<Result<Loan, StoreError>> },
}

impl Request {
    /// Whether nobody waits for it any more.
    fn is_abandoned(&self) -> bool {
        match self {
            Self::Incoming(rows) => rows.reply.is_closed(),
            Self::Outgoing(rows) => rows.reply.is_closed(),
            Self::Write(job) => job.is_abandoned(),
            Self::Loan { reply, .. } => reply.is_closed(),
        }
    }

    fn refuse(self, error: StoreError) {
        match self {
            Self::Incoming(rows) => answer(rows.reply, Err(error)),
            Self::Outgoing(rows) => answer(rows.reply, Err(error)),
            Self::Write(job) => job.refuse(error),
            Self::Loan { reply, .. } => answer(reply, Err(error)),
        }
    }
}

/// A [`Write`] of any type, with the one who waits for it.
pub(super) trait Job: Send {
    fn is_abandoned(&self) -> bool;
    fn is_one_statement(&self) -> bool;
    fn refuse(self: Box<Self>, error: StoreError);

    /// Does it. The answer is given after the commit; a failure is told to the caller at once.
    fn run(self: Box<Self>, connection: &mut SqliteConnection) -> BoxFuture<'_, Option<Answer>>;
}

/// Tells a caller that the transaction is committed, or by which error it is not.
type Answer = Box<dyn FnOnce(Result<(), StoreError>) + Send>;

struct Pending<W: Write> {
    write: W,
    reply: oneshot::Sender<Result<W::Output, StoreError>>,
    place: Place,
}

impl<W: Write> Job for Pending<W> {
    fn is_abandoned(&self) -> bool {
        self.reply.is_closed()
    }

    fn is_one_statement(&self) -> bool {
        self.write.is_one_statement()
    }

    fn refuse(self: Box<Self>, error: StoreError) {
        answer(self.reply, Err(error));
    }

    fn run(self: Box<Self>, connection: &mut SqliteConnection) -> BoxFuture<'_, Option<Answer>> {
        Box::pin(async move {
            match self.write.run(connection).await {
                Ok(output) => Some(after_commit(self.reply, output)),
                Err(error) => {
                    answer(self.reply, Err(self.place.error(error)));
                    None
                }
            }
        })
    }
}

fn after_commit<T: Send + 'static>(
    reply: oneshot::Sender<Result<T, StoreError>>,
    output: T,
) -> Answer {
    Box::new(move |committed| answer(reply, committed.map(|()| output)))
}

fn answer<T>(reply: oneshot::Sender<T>, value: T) {
    // A caller that no longer waits has been told by its own deadline.
    drop(reply.send(value));
}

/// The task. Whatever waits when a group ends is the next group, so that nobody waits for company.
async fn serve(mut requests: mpsc::Receiver<Request>, connector: Connector, session: Session) {
    let mut session = Some(session);
    while let Some(first) = requests.recv().await {
        if first.is_abandoned() {
            continue;
        }
        let group = match open(&connector, session.take()).await {
            Ok(group) => group,
            Err(error) => {
                refuse_all(first, &mut requests, connector.place(), error);
                continue;
            }
        };
        session = group.serve(first, &mut requests).await;
    }
    if let Some(session) = session {
        session.close().await;
    }
}

async fn open(connector: &Connector, session: Option<Session>) -> Result<Group, StoreError> {
    let mut session = match session {
        Some(session) => session,
        None => connector.connect().await?,
    };
    let place = connector.place();
    match session.begin().await {
        Ok(()) => Ok(Group::new(session, place.clone())),
        Err(error) => {
            session.close().await;
            Err(place.error(error))
        }
    }
}

/// All who wait are told, so that they do not fail one by one after a wait for the lock each.
fn refuse_all(
    first: Request,
    requests: &mut mpsc::Receiver<Request>,
    place: &Place,
    error: StoreError,
) {
    while let Ok(request) = requests.try_recv() {
        request.refuse(place.spoiled_by(&error));
    }
    first.refuse(error);
}
