//! Running a command's handler now, statically dispatched.

use std::any::Any;
use std::fmt;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use bytes::Bytes;
use futures_util::FutureExt;

use super::dispatch::Dispatcher;
use super::envelope::{check, encode};
use super::origin::Origin;
use super::placement::Joining;
use super::prepare::prepare;
use crate::caught::{Caught, discard};
use crate::envelope::{Address, Envelope};
use crate::error::{InvokeError, SendError};
#[cfg(feature = "testing")]
use crate::handler::Fake;
use crate::handler::{
    Causation, Handler, HandlerContext, HandlerRegistration, OutgoingMessage, RunScope,
    ScopeSource, handle,
};
use crate::message::Message;
use crate::runtime::core::Core;
use crate::runtime::finish::FinishOnDrop;
use crate::runtime::handle::execute::{Failure, roll_back, run_bounded};
use crate::runtime::observation::ObservedRun;
use crate::store::{MessageStore, StoreOperation, TransactionOptions};

/// Runs `H` over `message`. A durable handler runs in a transaction of its own.
pub(crate) async fn invoke<M: Message, H: Handler<M>>(
    core: &Arc<Core>,
    origin: Origin,
    message: M,
) -> Result<M::Reply, InvokeError> {
    let observed =
        ObservedRun::start(core.observers(), || observed_envelope::<M, H>(core, &origin, &message));
    let replied = reply_of::<M, H>(core, origin, message).await;
    if let Some(observed) = observed {
        observed.end(replied.as_ref().err().map(|error| error as &dyn fmt::Display));
    }
    replied
}

async fn reply_of<M: Message, H: Handler<M>>(
    core: &Arc<Core>,
    origin: Origin,
    message: M,
) -> Result<M::Reply, InvokeError> {
    let registration = H::REGISTRATION;
    #[cfg(feature = "testing")]
    let registration = match Fake::<M>::of(core.states()) {
        Some(_) => registration.faked(),
        None => registration,
    };
    if !registration.durable {
        return plain::<M, H>(core, &origin, message).await;
    }
    if origin.is_in_transaction() {
        return Err(InvokeError::InsideTransaction { handler: registration.name });
    }
    match core.store().get() {
        Some(store) => {
            origin.wait_for_run(store).await?;
            in_transaction::<M, H>(core, store, origin.causation(), message).await
        }
        None => Err(InvokeError::Send(SendError::NeedsStore { what: "a durable handler" })),
    }
}

async fn plain<M: Message, H: Handler<M>>(
    core: &Arc<Core>,
    origin: &Origin,
    message: M,
) -> Result<M::Reply, InvokeError> {
    let name = H::REGISTRATION.name;
    let made = OnceLock::new();
    let make = || Arc::new(RunScope::new(Causation::of_invocation(name, origin.causation())));
    let scope = || match origin.scope() {
        // Within a transaction it is part of that run, and what it sends leaves with it.
        Some(parent) if parent.is_transaction() => Arc::clone(parent),
        _ => Arc::clone(made.get_or_init(make)),
    };
    let limit = limit_of(core, &H::REGISTRATION);
    let (reply, messages) = body::<M, H>(core, &scope, limit, message, None).await?;
    let sent = async {
        let mut sent = Vec::new();
        for message in messages {
            check(&message)?;
            sent.extend(scope().join(message).map_err(|_| SendError::RunEnded)?);
        }
        if !sent.is_empty() {
            Dispatcher::of(core).dispatch(sent, &origin.following(scope())).await?;
        }
        Ok::<(), SendError>(())
    };
    answered(reply, sent.await).map(|(reply, ())| reply)
}

async fn in_transaction<M: Message, H: Handler<M>>(
    core: &Arc<Core>,
    store: &dyn MessageStore,
    parent: Option<&Causation>,
    message: M,
) -> Result<M::Reply, InvokeError> {
    let name = H::REGISTRATION.name;
    let causation = Causation::of_invocation(name, parent);
    let scope = Arc::new(RunScope::in_transaction(causation).holding_connection());
    let limit = limit_of(core, &H::REGISTRATION);
    let options = TransactionOptions { limit, ..TransactionOptions::of(name) };
    let mut transaction = core.store().call(StoreOperation::Begin, store.begin(options)).await?;
    let source = || Arc::clone(&scope);
    let run = body::<M, H>(core, &source, limit, message, transaction.connection());
    let outcome = Arc::clone(&scope).run(run).await;
    let mut messages = scope.close();
    let prepared = outcome.and_then(|(reply, returned)| {
        messages.extend(returned);
        let routed = prepare(core, messages, Some(&scope), Joining::Run, &mut Vec::new());
        answered(reply, routed)
    });
    let (reply, routed) = match prepared {
        Ok(prepared) => prepared,
        Err(error) => return Err(roll_back(core, transaction, error).await),
    };
    // Whatever becomes of the caller, what is committed is handed over.
    let committer = Arc::clone(core);
    let commit = async move { Dispatcher::of(&committer).commit(transaction, routed, None).await };
    let committed = FinishOnDrop::new(commit, core.lifecycle().tasks()).await;
    answered(reply, committed).map(|(reply, _settled)| reply)
}

/// The reply, unless what it depends on has failed. Its drop may panic.
fn answered<R, T, E: Into<InvokeError>>(
    reply: R,
    outcome: Result<T, E>,
) -> Result<(R, T), InvokeError> {
    match outcome {
        Ok(done) => Ok((reply, done)),
        Err(error) => {
            discard(reply);
            Err(error.into())
        }
    }
}

async fn body<M: Message, H: Handler<M>>(
    core: &Arc<Core>,
    scope: ScopeSource<'_>,
    limit: Duration,
    message: M,
    connection: Option<&mut (dyn Any + Send)>,
) -> Result<(M::Reply, Vec<OutgoingMessage>), InvokeError> {
    let registration = &H::REGISTRATION;
    let envelope = || invoked_envelope::<M>(core, registration, scope().causation());
    let mut cx = HandlerContext::invoked(
        &envelope,
        core.states(),
        core.lifecycle().aborting(),
        scope,
        core.codec(),
    )
    .with_connection(connection);
    let run = Caught::of(|| handle::<M, H>(message, &mut cx).boxed());
    let reply = match run_bounded(run, limit, core.lifecycle().aborting()).await {
        Ok(result) => result.map_err(InvokeError::Failed)?,
        Err(Failure::TimedOut(limit)) => {
            // It is cancelled for tasks that the handler has started, too.
            cx.cancel();
            return Err(InvokeError::TimedOut { limit });
        }
        Err(Failure::Panicked(panic)) => {
            return Err(InvokeError::Panicked { message: panic.to_string() });
        }
        Err(_) => return Err(InvokeError::Send(SendError::Stopping)),
    };
    Ok((reply, cx.cascades().take()))
}

/// How long a run may take: as it is configured, or as the attribute or else the default says.
#[inline]
fn limit_of(core: &Core, handler: &HandlerRegistration) -> Duration {
    let configured = core.routes().handlers().configured_timeout(handler).or(handler.timeout);
    configured.unwrap_or(core.settings().timeouts.handler)
}

/// The envelope of a command that was never encoded; made when a handler asks for it.
fn invoked_envelope<M: Message>(
    core: &Arc<Core>,
    registration: &HandlerRegistration,
    causation: &Causation,
) -> Envelope {
    let mut envelope = Envelope::new(
        M::TYPE,
        core.codec().content_type(),
        Bytes::new(),
        Address::local(registration.queue, registration.name),
    );
    envelope.id = causation.id();
    envelope.conversation_id = causation.conversation_id();
    envelope.source = Some(core.settings().service.clone());
    envelope.attempts = 1;
    envelope
}

/// The same for observers, with the command in it.
#[cold]
fn observed_envelope<M: Message, H: Handler<M>>(
    core: &Arc<Core>,
    origin: &Origin,
    message: &M,
) -> Envelope {
    let causation = Causation::of_invocation(H::REGISTRATION.name, origin.causation());
    let mut envelope = invoked_envelope::<M>(core, &H::REGISTRATION, &causation);
    if let Ok(encoded) = encode(core, message) {
        envelope.payload = encoded.payload;
    }
    envelope
}
