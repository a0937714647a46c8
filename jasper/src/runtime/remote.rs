//! Sending a command to its endpoint and waiting for the reply of its handler there.

use std::sync::Arc;

use serde::de::DeserializeOwned;

use super::core::Core;
use crate::codec;
use crate::error::{InvokeError, SendError};
use crate::handler::{Cause, OutgoingMessage};
use crate::message::Message;
use crate::transport::RemoteReply;

/// Sends `message` to the endpoint that its type names, and gives the reply that comes back.
///
/// It is encoded at once, so that the future holds bytes and not the message.
pub(super) fn invoke<'a, M>(
    core: &'a Arc<Core>,
    cause: Option<Arc<Cause>>,
    message: &M,
) -> impl Future<Output = Result<M::Reply, InvokeError>> + Send + use<'a, M>
where
    M: Message,
    M::Reply: DeserializeOwned,
{
    let command = core.encode(message);
    async move {
        let reply = request(core, cause, command?).await?;
        codec::decode(&*core.codec, &reply.payload)
            .map_err(|source| InvokeError::Reply { message_type: M::TYPE, source })
    }
}

/// The part that is the same for all commands.
async fn request(
    core: &Arc<Core>,
    _cause: Option<Arc<Cause>>,
    command: OutgoingMessage,
) -> Result<RemoteReply, InvokeError> {
    let endpoint = command.to.unwrap_or_default();
    let address = core.routes.endpoint_address(endpoint);
    let endpoint = address.map_or_else(|| endpoint.to_owned(), |address| address.to_string());
    Err(InvokeError::Send(SendError::UnknownEndpoint { endpoint }))
}
