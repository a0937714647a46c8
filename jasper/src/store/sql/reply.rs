//! The answer that a task gives to its caller.

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
