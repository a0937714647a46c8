//! Running a command's handler now, wherever the endpoint of the command leads.

use std::sync::Arc;

use super::envelope::{encode, envelope};
use crate::codec::{self, CodecError};
use crate::envelope::Envelope;
use crate::error::InvokeError;
use crate::handler::{OutgoingMessage, RunScope};
use crate::message::{Message, Payload};
use crate::runtime::core::Core;
use crate::runtime::handle::answer::answer;
use crate::runtime::handle::entry::HandlerEntry;
use crate::runtime::outbound::endpoint::Endpoint;
use crate::runtime::routes::Destination;
use crate::transport::{Answer, RemoteReply, Request};

/// Sends a command to the endpoint of its type, and waits for its reply.
///
/// It is encoded at once, so that the future holds bytes and not the message.
pub(crate) fn invoke<M>(
    core: Arc<Core>,
    scope: Option<Arc<RunScope>>,
    message: &M,
) -> impl Future<Output = Result<M::Reply, InvokeError>> + Send + use<M>
where
    M: Message,
    M::Reply: Payload,
{
    let command = encode(&core, message);
    async move {
        let reply = ask(&core, scope, command?).await?;
        codec::decode(core.codec(), &reply.payload)
            .map_err(|source| InvokeError::Reply { message_type: M::TYPE, source })
    }
}

/// The part that is the same for all commands.
async fn ask(
    core: &Arc<Core>,
    scope: Option<Arc<RunScope>>,
    command: OutgoingMessage,
) -> Result<RemoteReply, InvokeError> {
    let scope = scope.as_deref();
    let (endpoint, message_type) = (command.to.unwrap_or_default(), command.message_type.clone());
    let mut envelope = envelope(core, command, scope, false)?;
    let answer = match core.routes().at_own_endpoint(endpoint, &message_type)? {
        Destination::Endpoint(endpoint) => {
            envelope.destination = endpoint.id.destination.clone();
            request(core, endpoint, envelope).await?
        }
        Destination::Handler(entry) => answer_here(core, entry, scope, envelope).await?,
    };
    let reply = answer?;
    let expected = core.codec().content_type();
    if reply.content_type == expected {
        return Ok(reply);
    }
    let why = format!("it is `{}`, not `{expected}`", reply.content_type);
    Err(InvokeError::Reply { message_type, source: CodecError::new(why) })
}

async fn request(
    core: &Core,
    endpoint: &Endpoint,
    envelope: Envelope,
) -> Result<Answer, InvokeError> {
    // The caller may be a handler whose end frees the memory that others wait for. So the bytes
    // are counted beyond the budget, and nothing waits here.
    let _weight = endpoint.room.budget().take_beyond(envelope.bytes());
    let limit = core.settings().timeouts.reply;
    let answer = endpoint.sender.request(Request { envelope, timeout: limit });
    match tokio::time::timeout(limit, answer).await {
        Ok(answer) => Ok(answer?),
        Err(_elapsed) => Err(InvokeError::NoReply { limit }),
    }
}

/// The endpoint is a queue of this application.
async fn answer_here(
    core: &Arc<Core>,
    entry: &HandlerEntry,
    scope: Option<&RunScope>,
    envelope: Envelope,
) -> Result<Answer, InvokeError> {
    let handler = entry.registration.name;
    // What its handler sends would not be part of that transaction.
    if scope.is_some_and(RunScope::is_transaction) {
        return Err(InvokeError::InsideTransaction { handler });
    }
    Ok(answer(core, envelope, core.settings().timeouts.reply, None).await)
}
