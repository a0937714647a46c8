//! The answer that a task gives to its caller.

use std::panic::AssertUnwindSafe;

use futures_util::future::FutureExt;
use tokio::sync::oneshot;

use crate::store::StoreError;

/// Where the answer goes.
pub(crate) type ReplySender<T> = oneshot::Sender<Result<T, StoreError>>;

/// Gives the answer. A caller that no longer waits has an error by its own deadline.
pub(crate) fn send_reply<T>(reply: ReplySender<T>, value: Result<T, StoreError>) {
    drop(reply.send(value));
}

/// Waits for the answer, which never comes where its task has ended.
pub(crate) async fn receive_reply<T>(
    answer: oneshot::Receiver<Result<T, StoreError>>,
) -> Result<T, StoreError> {
    answer.await.unwrap_or(Err(StoreError::Closed))
}

/// A driver has panicked. What it said is in the log, by the panic hook.
#[derive(Debug, thiserror::Error)]
#[error("the database driver panicked")]
struct DriverPanicked;

/// What this gives, or an error where it panics: the task that calls it goes on with others.
pub(crate) async fn unless_it_panics<T>(
    call: impl Future<Output = Result<T, StoreError>>,
) -> Result<T, StoreError> {
    let ended = AssertUnwindSafe(call).catch_unwind().await;
    ended.unwrap_or_else(|_payload| Err(StoreError::Database(DriverPanicked.into())))
}
