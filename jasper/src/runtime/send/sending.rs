//! One message between the call of `send` and its acceptance.

use std::fmt;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::{Duration, SystemTime};

use futures_util::future::{FutureExt, TryFutureExt};
use tokio::task::coop;

use super::dispatch::Dispatcher;
use super::envelope::{check, encode};
use super::in_memory::OneDestination;
use super::lazy_call::{Begun, LazyCall};
use super::origin::Origin;
use super::user_transaction::UserTransaction;
use crate::error::SendError;
use crate::handler::{DeliveryOptions, OutgoingMessage};
use crate::message::Message;
use crate::runtime::core::Core;

/// A message that is about to be sent: set options, then await it, or give it to a task of its own.
#[must_use = "a message is sent when this is awaited"]
pub struct Sending<'tx> {
    call: LazyCall<'tx, SendRequest<'tx>, Result<Sent, SendError>>,
}

struct SendRequest<'tx> {
    core: Arc<Core>,
    message: Result<OutgoingMessage, SendError>,
    sender: SentBy<'tx>,
}

/// What a message is sent by.
enum SentBy<'tx> {
    Bus(Origin),
    User(UserTransaction<'tx>),
}

impl Sending<'static> {
    pub(crate) fn new<M: Message>(core: &Arc<Core>, origin: Origin, message: &M) -> Self {
        Self::by(SentBy::Bus(origin), core, message)
    }
}

impl<'tx> Sending<'tx> {
    pub(crate) fn within<M: Message>(
        core: &Arc<Core>,
        transaction: UserTransaction<'tx>,
        message: &M,
    ) -> Self {
        Self::by(SentBy::User(transaction), core, message)
    }

    fn by<M: Message>(sender: SentBy<'tx>, core: &Arc<Core>, message: &M) -> Self {
        let message = encode(core, message);
        Self { call: LazyCall::new(SendRequest { core: Arc::clone(core), message, sender }) }
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

    /// Worth handling only within this time: later it is dropped.
    pub fn deliver_within(self, within: Duration) -> Self {
        self.option(|options| options.deliver_within(within))
    }

    /// For this tenant, and not that of the message being handled.
    pub fn tenant(self, tenant: impl Into<String>) -> Self {
        self.option(|options| options.tenant(tenant))
    }

    /// Part of this request of the outside world, and not of that of the message being handled.
    pub fn correlation(self, correlation: impl Into<String>) -> Self {
        self.option(|options| options.correlation(correlation))
    }

    /// To this endpoint name or address, whatever handles the type otherwise.
    pub fn to(self, endpoint: impl Into<String>) -> Self {
        self.option(|options| options.to(endpoint))
    }

    /// With this header.
    pub fn header(self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.option(|options| options.header(name, value))
    }

    /// With these options, which go before those set earlier.
    pub fn with(self, options: DeliveryOptions) -> Self {
        self.option(|earlier| options.or(earlier))
    }

    fn option(mut self, set: impl FnOnce(DeliveryOptions) -> DeliveryOptions) -> Self {
        if let Some(options) = self.call.options()
            && let Ok(message) = &mut options.message
        {
            message.options = set(std::mem::take(&mut message.options));
        }
        self
    }
}

impl<'tx> SendRequest<'tx> {
    /// Sends what waits for nothing; all else is a future.
    fn begin(self) -> Begun<'tx, Result<Sent, SendError>> {
        let Self { core, message, sender } = self;
        let message = match message {
            Ok(message) => message,
            Err(error) => return Begun::Ended(Err(error)),
        };
        match sender {
            SentBy::Bus(origin) => begin_by_bus(core, origin, message),
            SentBy::User(transaction) => {
                let written = async move {
                    let duplicate = transaction.write(&core, message).await?;
                    Ok(Sent { duplicate })
                };
                Begun::Running(written.boxed())
            }
        }
    }
}

fn begin_by_bus<'a>(
    core: Arc<Core>,
    origin: Origin,
    message: OutgoingMessage,
) -> Begun<'a, Result<Sent, SendError>> {
    const SENT: Sent = Sent { duplicate: false };
    let destination = match OneDestination::of(&core, &origin, &message) {
        Ok(destination) => destination,
        Err(error) => return Begun::Ended(Err(error)),
    };
    let Some(destination) = destination else {
        let submitted = async move {
            let duplicate = submit(&core, &origin, vec![message]).await?;
            Ok(Sent { duplicate })
        };
        return Begun::Running(submitted.boxed());
    };
    match destination.room_now(&core, &message) {
        Some(slot) => Begun::Ended(destination.hand_over(&core, message, slot).map(|()| SENT)),
        None => Begun::Running(destination.send(core, message).map_ok(|()| SENT).boxed()),
    }
}

/// Accepts messages, or lets them join the transaction that they follow from; says whether all of
/// them were known before.
pub(crate) async fn submit(
    core: &Arc<Core>,
    origin: &Origin,
    messages: Vec<OutgoingMessage>,
) -> Result<bool, SendError> {
    // Messages that join a transaction are prepared at its commit; what is wrong with them is
    // reported now.
    messages.iter().try_for_each(check)?;
    let messages = match origin.scope() {
        None => messages,
        Some(scope) => {
            let joined = messages.into_iter().filter_map(|m| scope.join(m).transpose());
            joined.collect::<Result<Vec<_>, _>>().map_err(|_ended| SendError::RunEnded)?
        }
    };
    if messages.is_empty() {
        return Ok(false);
    }
    // What a running handler sends is accepted until the end, all else until the stop.
    let last_call = if origin.scope().is_some() {
        core.lifecycle().aborting()
    } else {
        core.lifecycle().draining()
    };
    if last_call.is_cancelled() {
        return Err(SendError::Stopping);
    }
    Dispatcher::of(core).dispatch(messages, origin).await
}

impl Future for Sending<'_> {
    type Output = Result<Sent, SendError>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        // A send that is done at once has to leave other tasks their turn all the same.
        let turn = ready!(coop::poll_proceed(cx));
        let polled = self.call.poll(cx, SendRequest::begin);
        if polled.is_ready() {
            turn.made_progress();
        }
        polled
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
