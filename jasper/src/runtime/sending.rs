//! One message between the call of `send` and its acceptance.

use std::fmt;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::{Duration, SystemTime};

use futures_util::future::{BoxFuture, FutureExt};

use super::core::Core;
use super::dispatch::check;
use super::origin::Origin;
use crate::error::SendError;
use crate::handler::{DeliveryOptions, OutgoingMessage};
use crate::message::Message;

/// A message that is about to be sent: set options, then await it, or give it to a task of its own.
#[must_use = "a message is sent when this is awaited"]
pub struct Sending {
    stage: Stage,
}

/// How far it is.
enum Stage {
    /// Options may still be set.
    Open(Box<Open>),
    Submitting(BoxFuture<'static, Result<Sent, SendError>>),
    /// It has ended.
    Over,
}

struct Open {
    core: Arc<Core>,
    origin: Origin,
    message: Result<OutgoingMessage, SendError>,
}

impl Sending {
    pub(super) fn new<M: Message>(
        core: &Arc<Core>,
        origin: Origin,
        message: &M,
    ) -> Self {
        let message = core.encode(message);
        let open = Open { core: Arc::clone(core), origin, message };
        Self { stage: Stage::Open(Box::new(open)) }
    }

    /// To be handled after this delay.
    pub fn delay(self, delay: Duration) -> Self {
        self.option(|options| options.delay(delay))
    }

    /// To be handled at this time.
    pub fn at(self, due_at: SystemTime) -> Self {
        self.option(|options| options.at(due_at))
    }

    /// One message for each key of this type: a repeat is dropped for seven days after it is
    /// handled. Needs a store.
    pub fn deduplicate(self, key: impl Into<String>) -> Self {
        self.option(|options| options.deduplicate(key))
    }

    /// With these options, which go before those set earlier.
    pub fn with(self, options: DeliveryOptions) -> Self {
        self.option(|earlier| options.or(earlier))
    }

    fn option(mut self, set: impl FnOnce(DeliveryOptions) -> DeliveryOptions) -> Self {
        if let Stage::Open(open) = &mut self.stage
            && let Ok(message) = &mut open.message
        {
            message.options = set(std::mem::take(&mut message.options));
        }
        self
    }
}

impl Open {
    async fn submit(self) -> Result<Sent, SendError> {
        let duplicate = submit(&self.core, &self.origin, vec![self.message?]).await?;
        Ok(Sent { duplicate })
    }
}

/// Accepts messages, or lets them join the transaction that they follow from; says whether all of
/// them were known before.
pub(super) async fn submit(
    core: &Arc<Core>,
    origin: &Origin,
    messages: Vec<OutgoingMessage>,
) -> Result<bool, SendError> {
    // Messages that join a transaction are prepared at its commit; their sender is told now.
    messages.iter().try_for_each(check)?;
    let messages = match origin.cause() {
        None => messages,
        Some(cause) => {
            let joined = messages.into_iter().filter_map(|m| cause.join(m).transpose());
            joined.collect::<Result<Vec<_>, _>>().map_err(|_ended| SendError::RunEnded)?
        }
    };
    if messages.is_empty() {
        return Ok(false);
    }
    // What still runs may speak until the end, everybody else until the stop.
    let last_call = if origin.cause().is_some() { &core.ending } else { &core.stopping };
    if last_call.is_cancelled() {
        return Err(SendError::Stopping);
    }
    core.dispatch(messages, origin).await
}

impl Future for Sending {
    type Output = Result<Sent, SendError>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let mut submitting = match std::mem::replace(&mut self.stage, Stage::Over) {
            Stage::Open(open) => open.submit().boxed(),
            Stage::Submitting(submitting) => submitting,
            // Polled after its end, which no caller does; there is nothing to be had any more.
            Stage::Over => return Poll::Pending,
        };
        let polled = submitting.as_mut().poll(cx);
        if polled.is_pending() {
            self.stage = Stage::Submitting(submitting);
        }
        polled
    }
}

impl fmt::Debug for Sending {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Sending").finish_non_exhaustive()
    }
}

/// A message that was accepted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct Sent {
    /// It repeats a message with the same deduplication key, and was dropped.
    pub duplicate: bool,
}
