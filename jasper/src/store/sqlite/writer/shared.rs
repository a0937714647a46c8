//! What several callers ask for and the writer does in one trip: inserts and settlements.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use tokio::sync::{mpsc, oneshot};

use super::super::batch::{Batch, Ran};
use super::super::rows::{self, ROWS_PER_INSERT};
use super::Request;
use crate::store::portions::{PORTION, Weigh, portions};
use crate::store::{Incoming, Outgoing, StoreError, Stored};

/// The items of one caller.
pub(in super::super) struct Call<T: Shared> {
    pub(super) items: Vec<T>,
    /// When it was asked for.
    pub(super) since: Instant,
    pub(super) reply: oneshot::Sender<Result<Vec<T::Answer>, StoreError>>,
}

/// Something of which the writer does several in one trip, for several callers.
pub(in super::super) trait Shared: Weigh + Send + Sync + Sized + 'static {
    /// What each is answered.
    type Answer: Send + 'static;

    /// The most of them in one trip.
    const MOST: usize;

    /// The request for these.
    fn request(call: Call<Self>) -> Request;

    /// These, if the request is one for them.
    fn of_request(request: Request) -> Result<Call<Self>, Request>;

    /// Whether a trip is one statement, which SQLite undoes by itself where it fails.
    fn is_one_statement() -> bool;

    /// Adds what does these to a batch.
    fn push(items: &[&Self], batch: &mut Batch) -> sqlx::Result<()>;

    /// Takes the answers of [`push`](Self::push) off a batch that was run.
    fn answers(
        items: &[&Self],
        ran: &mut impl Iterator<Item = Ran>,
    ) -> sqlx::Result<Vec<Self::Answer>>;
}

/// Whether one trip is enough for these.
pub(super) fn is_one_trip<T: Shared>(items: &[&T]) -> bool {
    portions(items, T::MOST).nth(1).is_none()
}

/// The requests that wait. Those of different callers do not depend on each other, as each caller
/// waits for its answer, so they may be served out of turn.
pub(super) struct Line {
    requests: mpsc::Receiver<Request>,
    waiting: VecDeque<Request>,
}

impl Line {
    pub(super) fn new(requests: mpsc::Receiver<Request>) -> Self {
        Self { requests, waiting: VecDeque::new() }
    }

    /// The next request, once there is one. `None`: there will be none.
    pub(super) async fn wait(&mut self) -> Option<Request> {
        match self.next() {
            Some(request) => Some(request),
            None => self.requests.recv().await,
        }
    }

    /// The next request, if there is one now that somebody still waits for.
    pub(super) fn next(&mut self) -> Option<Request> {
        self.look();
        std::iter::from_fn(|| self.waiting.pop_front()).find(|request| !request.is_abandoned())
    }

    /// Puts a request before all that wait.
    pub(super) fn put_back(&mut self, request: Request) {
        self.waiting.push_front(request);
    }

    /// Whether nobody waits now.
    pub(super) fn is_empty(&mut self) -> bool {
        self.look();
        self.waiting.is_empty()
    }

    /// Takes what can be done in one trip with `first`.
    pub(super) fn gather<T: Shared>(&mut self, first: Call<T>) -> Vec<Call<T>> {
        self.look();
        let weight = |call: &Call<T>| call.items.iter().map(Weigh::weight).sum::<usize>();
        let (mut count, mut bytes) = (first.items.len(), weight(&first));
        let mut calls = vec![first];
        for request in std::mem::take(&mut self.waiting) {
            match T::of_request(request) {
                Ok(call) if call.reply.is_closed() => {}
                Ok(call)
                    if count + call.items.len() <= T::MOST && bytes + weight(&call) <= PORTION =>
                {
                    count += call.items.len();
                    bytes += weight(&call);
                    calls.push(call);
                }
                Ok(call) => self.waiting.push_back(T::request(call)),
                Err(other) => self.waiting.push_back(other),
            }
        }
        calls
    }

    /// Refuses inserts that have waited for so long for a handler that holds the connection.
    pub(super) fn refuse_inserts(&mut self, waited: Duration, error: &StoreError) {
        self.look();
        for request in std::mem::take(&mut self.waiting) {
            match request.insert_since().is_some_and(|since| since.elapsed() >= waited) {
                true => request.refuse(error.clone()),
                false => self.waiting.push_back(request),
            }
        }
    }

    fn look(&mut self) {
        self.waiting.extend(std::iter::from_fn(|| self.requests.try_recv().ok()));
    }
}

macro_rules! shared_insert {
    ($row:ident) => {
        impl Shared for $row {
            type Answer = Stored;

            const MOST: usize = ROWS_PER_INSERT;

            fn request(call: Call<Self>) -> Request {
                Request::$row(call)
            }

            fn of_request(request: Request) -> Result<Call<Self>, Request> {
                match request {
                    Request::$row(call) => Ok(call),
                    other => Err(other),
                }
            }

            fn is_one_statement() -> bool {
                true
            }

            fn push(items: &[&Self], batch: &mut Batch) -> sqlx::Result<()> {
                rows::push_inserts(items, batch)
            }

            fn answers(
                items: &[&Self],
                ran: &mut impl Iterator<Item = Ran>,
            ) -> sqlx::Result<Vec<Stored>> {
                rows::stored(items, ran)
            }
        }
    };
}

shared_insert!(Incoming);
shared_insert!(Outgoing);
