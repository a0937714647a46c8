//! Running the handler of a command whose sender waits for the answer.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;

use super::Inlet;
use crate::envelope::Envelope;
use crate::message::MessageKind;
use crate::runtime::core::Core;
use crate::runtime::execute::{Failure, Run};
use crate::runtime::queue::Backing;
use crate::transport::{Answer, FailureKind, ReceivedRequest, RemoteFailure, RemoteReply};

impl Inlet {
    pub(super) async fn answer_request(&self, request: ReceivedRequest) -> Answer {
        let mut envelope = request.envelope;
        if let Some(peer) = &request.peer {
            envelope.id = envelope.id.of_peer(peer);
        }
        self.core.answer(envelope, request.timeout).await
    }
}

impl Core {
    /// Runs the one handler of a command, as an invocation does: once, and in a transaction if it
    /// is durable.
    pub(crate) async fn answer(self: &Arc<Self>, envelope: Envelope, limit: Duration) -> Answer {
        let message_type = &envelope.message_type;
        let [entry] = self.routes.handlers_of(message_type) else {
            let why = format!("no handler here takes `{message_type}`");
            return Err(RemoteFailure::new(FailureKind::NoHandler, why));
        };
        if entry.registration.kind == MessageKind::Event {
            let why = format!("`{message_type}` is an event, which nobody answers");
            return Err(RemoteFailure::new(FailureKind::NoHandler, why));
        }
        let running = Arc::clone(&self.queue_of(entry).running).acquire_owned();
        let permit = tokio::time::timeout(limit, self.stopping.run_until_cancelled(running)).await;
        let mut permit = match permit {
            Ok(permit) => permit.and_then(Result::ok),
            Err(_elapsed) => {
                let why = format!("its queue had no room within {limit:?}");
                return Err(RemoteFailure::new(FailureKind::TimedOut, why));
            }
        };
        if permit.is_none() {
            return Err(RemoteFailure::new(FailureKind::Unavailable, "it is stopping"));
        }
        let destination = entry.address.clone();
        let envelope = Envelope { destination, attempts: 1, ..envelope };
        let run = Run {
            core: self,
            entry,
            envelope: &envelope,
            backing: Backing::Memory,
            permit: &mut permit,
            alone: false,
            limit: entry.timeout.min(limit),
        };
        let _active = self.activity.begin();
        let reply = run.answer().await.map_err(|failure| told(&failure))?;
        let content_type = self.codec.content_type().into();
        Ok(RemoteReply { content_type, payload: reply.unwrap_or_else(Bytes::new) })
    }
}

/// A failure as it is told to another process.
fn told(failure: &Failure) -> RemoteFailure {
    let kind = match failure {
        Failure::Undecodable(_) | Failure::Unanswerable(_) => FailureKind::Codec,
        Failure::Handler(_) | Failure::Panicked(_) | Failure::Send(_) => FailureKind::Failed,
        Failure::TimedOut(_) => FailureKind::TimedOut,
        Failure::Store(_) | Failure::Fenced | Failure::Untrusted | Failure::Stopped => {
            FailureKind::Unavailable
        }
    };
    RemoteFailure::new(kind, failure.to_string())
}
