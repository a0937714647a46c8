//! Running the one handler of a command whose sender waits for the answer.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::OwnedSemaphorePermit;
use tokio::time::Instant;

use super::entry::HandlerEntry;
use super::execute::{Failure, Run};
use super::queue::Backing;
use crate::envelope::Envelope;
use crate::message::MessageKind;
use crate::runtime::core::Core;
use crate::runtime::observation::ObservedRun;
use crate::transport::{Answer, FailureKind, RemoteFailure, RemoteReply};

/// Runs the one handler of a command as soon as its queue has room for one more.
pub(crate) async fn answer_in_turn(
    core: &Arc<Core>,
    envelope: Envelope,
    limit: Duration,
) -> Answer {
    let deadline = Instant::now() + limit;
    let entry = answering(core, &envelope)?;
    let place = core.routes().queue_of(entry).place();
    let permit = core.lifecycle().draining().run_until_cancelled(place);
    match tokio::time::timeout_at(deadline, permit).await {
        Ok(Some(Some(permit))) => {
            let left = deadline.saturating_duration_since(Instant::now());
            answer(core, envelope, left, Some(permit)).await
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
    core: &Arc<Core>,
    envelope: Envelope,
    limit: Duration,
    mut permit: Option<OwnedSemaphorePermit>,
) -> Answer {
    let entry = answering(core, &envelope)?;
    let destination = entry.address.clone();
    let envelope = Envelope { destination, attempts: 1, ..envelope };
    let run = Run {
        core,
        entry,
        envelope: &envelope,
        backing: Backing::Memory,
        permit: &mut permit,
        isolated: false,
        limit: entry.timeout.min(limit),
    };
    let _active = core.lifecycle().activity().start();
    let observed = ObservedRun::start(core.observers(), || envelope.clone());
    let answered = run.answer().await;
    if let Some(observed) = observed {
        observed.end(answered.as_ref().err().map(|failure| failure as &dyn fmt::Display));
    }
    let reply = answered.map_err(|failure| remote_failure(&failure))?;
    let content_type = core.codec().content_type().into();
    Ok(RemoteReply { content_type, payload: reply.unwrap_or_default() })
}

/// The handler that answers a command.
fn answering<'core>(
    core: &'core Core,
    envelope: &Envelope,
) -> Result<&'core Arc<HandlerEntry>, RemoteFailure> {
    let message_type = &envelope.message_type;
    let none = |why| RemoteFailure::new(FailureKind::NoHandler, why);
    match core.routes().handlers().of_type(message_type) {
        [entry] if entry.registration.kind != MessageKind::Event => {
            let elsewhere = || format!("the handler of `{message_type}` does not run here");
            if entry.runs_here { Ok(entry) } else { Err(none(elsewhere())) }
        }
        [] => Err(none(format!("no handler here takes `{message_type}`"))),
        _ => Err(none(format!("`{message_type}` is an event, which nobody answers"))),
    }
}

/// A failure as it is sent to another process.
fn remote_failure(failure: &Failure) -> RemoteFailure {
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
