//! Rows of several callers in one insert.

use tokio::sync::{mpsc, oneshot};

use super::super::rows::{Insert, ROWS_PER_INSERT};
use super::Request;
use crate::store::{Incoming, Outgoing, StoreError, Stored};

/// Rows of one caller.
pub(in super::super) struct Rows<R> {
    pub(super) rows: Vec<R>,
    pub(super) reply: oneshot::Sender<Result<Vec<Stored>, StoreError>>,
}

/// Rows that may be inserted together with those of other callers.
pub(in super::super) trait Insertable: Insert + Sized {
    /// The request for these rows.
    fn request(rows: Rows<Self>) -> Request;

    /// The rows of a request, if it is one for rows of this type.
    fn rows(request: Request) -> Result<Rows<Self>, Request>;
}

/// Takes what waits in line for an insert of the same type, until one statement has enough.
///
/// What comes then is left in `next`.
pub(super) fn gather<R: Insertable>(
    first: Rows<R>,
    requests: &mut mpsc::Receiver<Request>,
    next: &mut Option<Request>,
) -> Vec<Rows<R>> {
    let mut count = first.rows.len();
    let mut calls = vec![first];
    while count < ROWS_PER_INSERT && next.is_none() {
        let Ok(request) = requests.try_recv() else {
            break;
        };
        match R::rows(request) {
            Ok(call) if call.reply.is_closed() => {}
            Ok(call) => {
                count += call.rows.len();
                calls.push(call);
            }
            Err(other) => *next = Some(other),
        }
    }
    calls
}

impl Insertable for Incoming {
    fn request(rows: Rows<Self>) -> Request {
        Request::Incoming(rows)
    }

    fn rows(request: Request) -> Result<Rows<Self>, Request> {
        match request {
            Request::Incoming(rows) => Ok(rows),
            other => Err(other),
        }
    }
}

impl Insertable for Outgoing {
    fn request(rows: Rows<Self>) -> Request {
        Request::Outgoing(rows)
    }

    fn rows(request: Request) -> Result<Rows<Self>, Request> {
        match request {
            Request::Outgoing(rows) => Ok(rows),
            other => Err(other),
        }
    }
}
