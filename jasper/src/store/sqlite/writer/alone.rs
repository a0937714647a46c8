//! A request beside which no other one waits: its transaction is one trip to the connection's
//! thread.

use super::super::error::Place;
use super::batchable::is_one_trip;
use super::request::{Queued, QueuedCall, WriterRequest};
use super::session::Session;
use crate::store::sql::reply::send_reply;

/// What became of a request that came alone.
pub(super) enum Served {
    /// It is answered. The connection is given back if it is still good.
    Done(Option<Session>),
    /// It is of a kind that takes more than one trip.
    NotAlone(WriterRequest, Box<Session>),
}

/// Serves a request if one trip is enough for it.
pub(super) async fn serve(request: WriterRequest, session: Session, place: &Place) -> Served {
    match request {
        WriterRequest::Incoming(call) => share(call, session, place).await,
        WriterRequest::Outgoing(call) => share(call, session, place).await,
        WriterRequest::Settlement(call) => share(call, session, place).await,
        other => Served::NotAlone(other, Box::new(session)),
    }
}

async fn share<T: Queued>(
    call: QueuedCall<T, T::Answer>,
    mut session: Session,
    place: &Place,
) -> Served {
    let items: Vec<&T> = call.items.iter().collect();
    if !is_one_trip(&items) {
        return Served::NotAlone(T::request(call), Box::new(session));
    }
    match session.alone(&items).await {
        Ok(answers) => {
            send_reply(call.reply, Ok(answers));
            Served::Done(Some(session))
        }
        Err(error) => {
            // Answered last, so that nothing of it can be found once the caller has its error.
            let session = session.abandon().await;
            send_reply(call.reply, Err(place.error(error)));
            Served::Done(session)
        }
    }
}
