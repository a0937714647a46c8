//! The one task that writes: it owns the one writing connection and commits for many at once.

mod alone;
mod group;
mod hooks;
mod member;
mod session;
mod settings;
mod shared;
mod undo;

use std::future::Future;
use std::sync::Arc;
use std::time::Instant;

use futures_util::future::BoxFuture;
use sqlx::SqliteConnection;
use tokio::sync::{mpsc, oneshot};

use self::group::Group;
pub(super) use self::session::{Connector, Session};
use self::shared::Line;
pub(super) use self::shared::{Call, Shared};
use super::error::Place;
use super::leases::Leases;
use crate::store::sql::loan::Loan;
use crate::store::sql::reply::{Reply, answer, answered};
use crate::store::{Incoming, Outgoing, Settlement, StoreError, TransactionOptions};

/// How many requests may stand in line before a caller waits to be let in.
const LINE: usize = 1024;

/// Something that the writer does in a transaction that it may share with others.
pub(super) trait Write: Send + Sync + 'static {
    /// What the caller is told once it is committed.
    type Output: Send + 'static;

    /// Whether it is one statement, which SQLite undoes by itself where it fails.
    fn is_one_statement(&self) -> bool {
        false
    }

    /// Does it. Where this fails, all that it did is undone; where others spoil the transaction, it
    /// is done again in another.
    fn run(
        &self,
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
    pub(super) fn start(connector: Connector, session: Session, leases: Arc<Leases>) -> Self {
        let (line, requests) = mpsc::channel(LINE);
        let place = connector.place().clone();
        tokio::spawn(serve(requests, connector, session, leases));
        Self { line, place }
    }

    /// Returns when the write is committed. To drop the future does not undo what has begun.
    pub(super) async fn write<W: Write>(&self, write: W) -> Result<W::Output, StoreError> {
        let (reply, answer) = oneshot::channel();
        let place = self.place.clone();
        let job = Box::new(Pending { write, reply, place, output: None });
        self.send(Request::Write(job)).await?;
        answered(answer).await
    }

    /// Does something together with what others ask for, and returns when it is committed.
    pub(super) async fn share<T: Shared>(
        &self,
        items: Vec<T>,
    ) -> Result<Vec<T::Answer>, StoreError> {
        if items.is_empty() {
            return Ok(Vec::new());
        }
        let (reply, answer) = oneshot::channel();
        self.send(T::request(Call { items, since: Instant::now(), reply })).await?;
        answered(answer).await
    }

    /// Waits for the turn of a handler, and lends it the connection.
    pub(super) async fn borrow(
        &self,
        begin: TransactionOptions,
    ) -> Result<Loan<Session>, StoreError> {
        let (reply, answer) = oneshot::channel();
        self.send(Request::Loan { begin, reply }).await?;
        answered(answer).await
    }

    async fn send(&self, request: Request) -> Result<(), StoreError> {
        self.line.send(request).await.map_err(|_closed| StoreError::Closed)
    }
}

/// What stands in line.
pub(super) enum Request {
    Incoming(Call<Incoming>),
    Outgoing(Call<Outgoing>),
    Settlement(Call<Settlement>),
    Write(Box<dyn Job>),
    Loan { begin: TransactionOptions, reply: Reply<Loan<Session>> },
}

impl Request {
    /// Whether nobody waits for it any more.
    fn is_abandoned(&self) -> bool {
        match self {
            Self::Incoming(call) => call.reply.is_closed(),
            Self::Outgoing(call) => call.reply.is_closed(),
            Self::Settlement(call) => call.reply.is_closed(),
            Self::Write(job) => job.is_abandoned(),
            Self::Loan { reply, .. } => reply.is_closed(),
        }
    }

    /// Whether it shares a transaction with no other.
    const fn is_alone(&self) -> bool {
        matches!(self, Self::Loan { begin: TransactionOptions { alone: true, .. }, .. })
    }

    /// Since when it waits, if it inserts messages.
    const fn insert_since(&self) -> Option<Instant> {
        match self {
            Self::Incoming(call) => Some(call.since),
            Self::Outgoing(call) => Some(call.since),
            Self::Settlement(_) | Self::Write(_) | Self::Loan { .. } => None,
        }
    }

    fn refuse(self, error: StoreError) {
        match self {
            Self::Incoming(call) => answer(call.reply, Err(error)),
            Self::Outgoing(call) => answer(call.reply, Err(error)),
            Self::Settlement(call) => answer(call.reply, Err(error)),
            Self::Write(job) => job.refuse(error),
            Self::Loan { reply, .. } => answer(reply, Err(error)),
        }
    }
}

/// A [`Write`] of any type, with the one who waits for it.
pub(super) trait Job: Send {
    fn is_abandoned(&self) -> bool;
    fn is_one_statement(&self) -> bool;

    /// Does it, and keeps what it gives until the commit.
    fn run<'a>(
        &'a mut self,
        connection: &'a mut SqliteConnection,
    ) -> BoxFuture<'a, Result<(), StoreError>>;

    /// It is committed.
    fn confirm(self: Box<Self>);

    fn refuse(self: Box<Self>, error: StoreError);
}

struct Pending<W: Write> {
    write: W,
    reply: Reply<W::Output>,
    place: Place,
    output: Option<W::Output>,
}

impl<W: Write> Job for Pending<W> {
    fn is_abandoned(&self) -> bool {
        self.reply.is_closed()
    }

    fn is_one_statement(&self) -> bool {
        self.write.is_one_statement()
    }

    fn run<'a>(
        &'a mut self,
        connection: &'a mut SqliteConnection,
    ) -> BoxFuture<'a, Result<(), StoreError>> {
        Box::pin(async move {
            let output = self.write.run(connection).await;
            self.output = Some(output.map_err(|error| self.place.error(error))?);
            Ok(())
        })
    }

    fn confirm(self: Box<Self>) {
        // What was not run is not confirmed.
        answer(self.reply, self.output.ok_or(StoreError::Closed));
    }

    fn refuse(self: Box<Self>, error: StoreError) {
        answer(self.reply, Err(error));
    }
}

/// The task. Whatever waits when a group ends is the next group, so that nobody waits for company.
async fn serve(
    requests: mpsc::Receiver<Request>,
    connector: Connector,
    session: Session,
    leases: Arc<Leases>,
) {
    let mut line = Line::new(requests);
    let mut session = Some(session);
    while let Some(first) = line.wait().await {
        let place = connector.place();
        let good = match session.take() {
            Some(session) => Ok(session),
            None => connector.connect().await,
        };
        session = match good {
            Ok(session) => serve_group(first, &mut line, session, place, &leases).await,
            Err(error) => {
                refuse_all(first, &mut line, place, error);
                None
            }
        };
    }
    if let Some(session) = session {
        session.close().await;
    }
}

/// Serves one group. Gives back the connection if it is still good.
async fn serve_group(
    first: Request,
    line: &mut Line,
    mut session: Session,
    place: &Place,
    leases: &Arc<Leases>,
) -> Option<Session> {
    // A lone request needs one trip, with the transaction around it.
    let first = match line.is_empty() {
        true => match alone::serve(first, session, place).await {
            alone::Served::Done(session) => return session,
            alone::Served::NotAlone(request, given_back) => {
                session = *given_back;
                request
            }
        },
        false => first,
    };
    match session.begin().await {
        Ok(()) => {
            let group = Group::new(session, place.clone(), Arc::clone(leases));
            group.serve(first, line).await
        }
        Err(error) => {
            session.close().await;
            refuse_all(first, line, place, place.error(error));
            None
        }
    }
}

/// All who wait are told, so that they do not fail one by one after a wait for the lock each.
fn refuse_all(first: Request, line: &mut Line, place: &Place, error: StoreError) {
    while let Some(request) = line.next() {
        request.refuse(place.spoiled_by(&error));
    }
    first.refuse(error);
}
