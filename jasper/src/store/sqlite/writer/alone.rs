//! Requests of one kind beside which no other ones wait: their transaction is one trip to the
//! connection's thread.

use super::super::error::Place;
use super::batchable::is_one_trip;
use super::queue::RequestQueue;
use super::request::{Queued, QueuedCall, WriterRequest, with_answers};
use super::session::Session;
use crate::store::sql::reply::send_reply;

/// What became of requests that came alone.
pub(super) enum Served {
    /// They are answered. The connection is given back if it is still good.
    Done(Option<Session>),
    /// It takes more than one trip. What else was taken from the queue is there again.
    NotAlone(WriterRequest, Box<Session>),
}

/// Serves a request, and all that wait, if one trip is enough for them.
pub(super) async fn serve(
    request: WriterRequest,
    queue: &mut RequestQueue,
    session: Session,
    place: &Place,
) -> Served {
    match request {
        WriterRequest::Incoming(call) => share(call, queue, session, place).await,
        WriterRequest::Outgoing(call) => share(call, queue, session, place).await,
        WriterRequest::Settlement(call) => share(call, queue, session, place).await,
        other => Served::NotAlone(other, Box::new(session)),
    }
}

async fn share<T: Queued>(
    first: QueuedCall<T, T::Answer>,
    queue: &mut RequestQueue,
    mut session: Session,
    place: &Place,
) -> Served {
    let calls = queue.gather(first);
    let items: Vec<&T> = calls.iter().flat_map(|call| &call.items).collect();
    if !queue.is_empty() || !is_one_trip(&items) {
        return not_alone(calls, queue, session);
    }
    let error = match session.alone(&items).await {
        Ok(answers) => {
            for (call, own) in with_answers(calls, answers) {
                send_reply(call.reply, Ok(own));
            }
            return Served::Done(Some(session));
        }
        Err(error) => place.error(error),
    };
    // Answered last, so that nothing of it can be found once the callers have their error.
    match session.abandon().await {
        // One of them is at fault; the others must not fail with it.
        Some(session) if calls.len() > 1 && !error.is_transient() => {
            not_alone(calls, queue, session)
        }
        session => {
            let said = if calls.len() > 1 { place.spoiled_by(&error) } else { error };
            for call in calls {
                send_reply(call.reply, Err(said.clone()));
            }
            Served::Done(session)
        }
    }
}

/// Gives back the first of these calls, and puts the others before all that wait.
fn not_alone<T: Queued>(
    calls: Vec<QueuedCall<T, T::Answer>>,
    queue: &mut RequestQueue,
    session: Session,
) -> Served {
    let mut calls = calls.into_iter();
    let Some(first) = calls.next() else {
        return Served::Done(Some(session));
    };
    calls.rev().for_each(|call| queue.put_back(T::request(call)));
    Served::NotAlone(T::request(first), Box::new(session))
}
