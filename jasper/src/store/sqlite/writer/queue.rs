//! The requests that wait for the writer.

use std::collections::VecDeque;
use std::time::Duration;

use tokio::sync::mpsc;

use super::request::{Queued, QueuedCall, WriterRequest};
use crate::store::StoreError;
use crate::store::portions::{PORTION, Weigh};

/// The requests that wait. Those of different callers do not depend on each other, as each caller
/// waits for its answer, so they may be served out of turn.
pub(super) struct RequestQueue {
    requests: mpsc::Receiver<WriterRequest>,
    waiting: VecDeque<WriterRequest>,
}

impl RequestQueue {
    pub(super) fn new(requests: mpsc::Receiver<WriterRequest>) -> Self {
        Self { requests, waiting: VecDeque::new() }
    }

    /// The next request, once there is one. `None`: there will be none.
    pub(super) async fn wait(&mut self) -> Option<WriterRequest> {
        match self.next() {
            Some(request) => Some(request),
            None => self.requests.recv().await,
        }
    }

    /// The next request, if there is one now whose caller still waits.
    pub(super) fn next(&mut self) -> Option<WriterRequest> {
        self.look();
        std::iter::from_fn(|| self.waiting.pop_front()).find(|request| !request.is_abandoned())
    }

    /// Puts a request before all that wait.
    pub(super) fn put_back(&mut self, request: WriterRequest) {
        self.waiting.push_front(request);
    }

    /// Whether no request waits now.
    pub(super) fn is_empty(&mut self) -> bool {
        self.look();
        self.waiting.is_empty()
    }

    /// Takes what can be done in one trip with `first`.
    pub(super) fn gather<T: Queued>(
        &mut self,
        first: QueuedCall<T, T::Answer>,
    ) -> Vec<QueuedCall<T, T::Answer>> {
        self.look();
        let weight =
            |call: &QueuedCall<T, T::Answer>| call.items.iter().map(Weigh::weight).sum::<usize>();
        let (mut count, mut bytes) = (first.items.len(), weight(&first));
        let (mut calls, mut passed) = (vec![first], Vec::new());
        while count < T::MOST
            && let Some(request) = self.waiting.pop_front()
        {
            match T::of_request(request) {
                Ok(call) if call.reply.is_closed() => {}
                Ok(call)
                    if count + call.items.len() <= T::MOST && bytes + weight(&call) <= PORTION =>
                {
                    count += call.items.len();
                    bytes += weight(&call);
                    calls.push(call);
                }
                Ok(call) => passed.push(T::request(call)),
                Err(other) => passed.push(other),
            }
        }
        for request in passed.into_iter().rev() {
            self.waiting.push_front(request);
        }
        calls
    }

    /// Refuses inserts that have waited for so long for a handler that holds the connection.
    pub(super) fn refuse_inserts(&mut self, waited: Duration, error: &StoreError) {
        self.look();
        for request in std::mem::take(&mut self.waiting) {
            if request.insert_since().is_some_and(|since| since.elapsed() >= waited) {
                request.refuse(error.clone());
            } else {
                self.waiting.push_back(request);
            }
        }
    }

    fn look(&mut self) {
        self.waiting.extend(std::iter::from_fn(|| self.requests.try_recv().ok()));
    }
}
