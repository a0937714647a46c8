//! Running the handler of a command whose sender waits for the answer.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::OwnedSemaphorePermit;
use tokio::time::Instant;

use super::Inlet;
use crate::envelope::Envelope;
use crate::message::MessageKind;
use crate::runtime::core::Core;
use crate::runtime::handle::execute::{Failure, Run};
use crate::runtime::handle::queue::Backing;
use crate::runtime::routes::HandlerEntry;
use crate::transport::{Answer, FailureKind, ReceivedRequest, RemoteFailure, RemoteReply};

impl Inlet {
    pub(super) async fn answer_request(&self, request: ReceivedRequest) -> Answer {
        let mut envelope = request.envelope;
        if let Err(excess) = envelope.check() {
            return Err(RemoteFailure::new(FailureKind::Codec, excess.to_string()));
        }
        if let Some(peer) = &request.peer {
            envelope.id = envelope.id.of_peer(peer);
        }
        self.core.answer_in_turn(envelope, request.timeout).await
    }
}

impl Core {
    /// Runs the one handler of a command as soon as its queue has room for one more.
    async fn answer_in_turn(self: &Arc<Self>, envelope: Envelope, limit: Duration) -> Answer {
        let deadline = Instant::now() + limit;
        let entry = self.answering(&envelope)?;
        let running = Arc::clone(&self.queue_of(entry).running).acquire_owned();
        let permit = self.stopping.run_until_cancelled(running);
        match tokio::time::timeout_at(deadline, permit).await {
            Ok(Some(Ok(permit))) => {
                let left = deadline.saturating_duration_since(Instant::now());
                self.answer(envelope, left, Some(permit)).await
            }
            Ok(_) => Err(RemoteFailure::new(FailureKind::Unavailable, "it is stopping")),
            Err(_elapsed) => {
                let why = format!("its queue had no room within {limit:?}");
                Err(RemoteFailure::new(FailureKind::TimedOut, why))
            }
        }
    }

    /// Runs the one handler of a command, as an invocation does: once, and in a transaction if it
    /// is durable.
    pub(crate) async fn answer(
        self: &Arc<Self>,
        envelope: Envelope,
        limit: Duration,
        mut permit: Option<OwnedSemaphorePermit>,
    ) -> Answer {
        let entry = self.answering(&envelope)?;
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
        Ok(RemoteReply { content_type, payload: reply.unwrap_or_default() })
    }

    /// The handler that answers a command.
    fn answering(&self, envelope: &Envelope) -> Result<&Arc<HandlerEntry>, RemoteFailure> {
        let message_type = &envelope.message_type;
        let none = |why| RemoteFailure::new(FailureKind::NoHandler, why);
        match self.routes.handlers_of(message_type) {
            [entry] if entry.registration.kind != MessageKind::Event => match entry.runs_here {
                true => Ok(entry),
                false => Err(none(format!("the handler of `{message_type}` does not run here"))),
            },
            [] => Err(none(format!("no handler here takes `{message_type}`"))),
            _ => Err(none(format!("`{message_type}` is an event, which nobody answers"))),
        }
    }
}

/// A failure as it is told to another process.
fn told(failure: &Failure) -> RemoteFailure {
    let kind = match failure {
        Failure::Undecodable(_) | Failure::Unanswerable(_) => FailureKind::Codec,
        Failure::Handler(_) | Failure::Panicked(_) | Failure::Send(_) => FailureKind::Failed,
        Failure::TimedOut(_) => FailureKind::TimedOut,
        Failure::NotBegun(_) | Failure::Store(_) | Failure::Fenced | Failure::Stopped => {
            FailureKind::Unavailable
        }
    };
    RemoteFailure::new(kind, failure.to_string())
}
