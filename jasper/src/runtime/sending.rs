//! One message between the call of `send` and its acceptance.

use std::fmt;
use std::future::IntoFuture;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use futures_util::future::{BoxFuture, FutureExt};

use super::core::Core;
use crate::error::SendError;
use crate::handler::{Cause, DeliveryOptions, OutgoingMessage};
use crate::message::Message;

/// A message that is about to be sent: set options, then await it.
#[must_use = "a message is sent when this is awaited"]
pub struct Sending<'bus> {
    core: &'bus Arc<Core>,
    cause: Option<&'bus Cause>,
    message: Result<OutgoingMessage, SendError>,
}

impl<'bus> Sending<'bus> {
    pub(super) fn new<M: Message>(
        core: &'bus Arc<Core>,
        cause: Option<&'bus Cause>,
        message: &M,
    ) -> Self {
        let message = core.encode(message);
        Self { core, cause, message }
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

    /// With these options, which replace those set before.
    pub fn with(self, options: DeliveryOptions) -> Self {
        self.option(|_| options)
    }

    async fn submit(self) -> Result<Sent, SendError> {
        let message = self.message?;
        let Some(cause) = self.cause else {
            if self.core.stopping.is_cancelled() {
                return Err(SendError::Stopping);
            }
            let duplicate = self.core.dispatch(vec![message], None).await?;
            return Ok(Sent { duplicate });
        };
        let duplicate = match cause.join(message).map_err(|_| SendError::RunEnded)? {
            Some(message) => self.core.dispatch(vec![message], Some(cause)).await?,
            None => false,
        };
        Ok(Sent { duplicate })
    }

    fn option(mut self, set: impl FnOnce(DeliveryOptions) -> DeliveryOptions) -> Self {
        if let Ok(message) = &mut self.message {
            message.options = set(std::mem::take(&mut message.options));
        }
        self
    }
}

impl<'bus> IntoFuture for Sending<'bus> {
    type Output = Result<Sent, SendError>;
    type IntoFuture = BoxFuture<'bus, Self::Output>;

    fn into_future(self) -> Self::IntoFuture {
        self.submit().boxed()
    }
}

impl fmt::Debug for Sending<'_> {
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
