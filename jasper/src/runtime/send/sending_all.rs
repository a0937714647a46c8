//! Many messages in one call, a page at a time.

use std::fmt;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use futures_util::future::{Either, FutureExt, select};
use futures_util::stream::{BoxStream, Fuse, Stream, StreamExt};
use tokio::time::Instant;

use super::lazy_call::{Begun, LazyCall};
use super::origin::Origin;
use super::prepare::is_stored;
use super::sending::submit;
use crate::error::{SendAllError, SendError};
use crate::handler::OutgoingMessage;
use crate::runtime::core::Core;

/// The most messages of a page, which is stored in one transaction.
const PAGE: usize = 1_000;

/// The most bytes of payload in a page; one message may have more.
const PAGE_BYTES: usize = 8 * 1024 * 1024;

/// How long a page waits for a stream that has nothing ready, from its first message on.
const LINGER: Duration = Duration::from_millis(100);

/// Many messages that are about to be sent: await it. See
/// [`Bus::send_all`](crate::runtime::Bus::send_all).
///
/// It lives as long as the messages, and no longer than what their iterator borrows.
#[must_use = "messages are sent when this is awaited"]
pub struct SendingAll<'messages> {
    call: LazyCall<'messages, BulkRequest<'messages>, Result<usize, SendAllError>>,
}

struct BulkRequest<'messages> {
    core: Arc<Core>,
    origin: Origin,
    pages: Pages<'messages>,
    progress: Option<Box<dyn FnMut(usize) + Send + 'messages>>,
}

impl<'messages> SendingAll<'messages> {
    pub(crate) fn new(
        core: &Arc<Core>,
        origin: Origin,
        messages: impl Stream<Item = Result<OutgoingMessage, SendError>> + Send + 'messages,
    ) -> Self {
        let pages = Pages { messages: messages.boxed().fuse(), spare: None };
        Self {
            call: LazyCall::new(BulkRequest {
                core: Arc::clone(core),
                origin,
                pages,
                progress: None,
            }),
        }
    }

    /// Calls this after each page with how many messages are accepted so far.
    ///
    /// It is called by the task that sends: one that blocks keeps the next page waiting.
    pub fn on_progress(mut self, progress: impl FnMut(usize) + Send + 'messages) -> Self {
        if let Some(options) = self.call.options() {
            options.progress = Some(Box::new(progress));
        }
        self
    }
}

impl BulkRequest<'_> {
    /// Sends page after page, and gathers the next one while the last is on its way to the store.
    async fn submit(self) -> Result<usize, SendAllError> {
        let Self { core, origin, mut pages, mut progress } = self;
        let mut accepted = 0;
        let failed = |accepted, source| SendAllError { accepted, source };
        let mut page = pages.next(&core).await.map_err(|error| failed(accepted, error))?;
        while !page.is_empty() {
            let count = page.len();
            let sending = pin!(submit(&core, &origin, page));
            let mut gathering = pin!(pages.next(&core));
            let (sent, gathered) = match select(sending, gathering.as_mut()).await {
                Either::Left((sent, _gathering)) => (sent, None),
                Either::Right((gathered, sending)) => (sending.await, Some(gathered)),
            };
            sent.map_err(|error| failed(accepted, error))?;
            accepted += count;
            if let Some(progress) = &mut progress {
                progress(accepted);
            }
            let gathered = match gathered {
                Some(gathered) => gathered,
                // A stream may have nothing for long; what is accepted does not wait for it.
                None => gathering.await,
            };
            page = gathered.map_err(|error| failed(accepted, error))?;
        }
        Ok(accepted)
    }
}

impl Future for SendingAll<'_> {
    type Output = Result<usize, SendAllError>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        self.call.poll(cx, |options| Begun::Running(options.submit().boxed()))
    }
}

impl fmt::Debug for SendingAll<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SendingAll").finish_non_exhaustive()
    }
}

/// Messages that are encoded as they are asked for, in pages.
struct Pages<'messages> {
    messages: Fuse<BoxStream<'messages, Result<OutgoingMessage, SendError>>>,
    /// The one that did not fit into the last page.
    spare: Option<OutgoingMessage>,
}

impl Pages<'_> {
    /// The next page, which is empty at the end.
    async fn next(&mut self, core: &Core) -> Result<Vec<OutgoingMessage>, SendError> {
        let first = match self.spare.take() {
            Some(spare) => spare,
            None => match self.messages.next().await.transpose()? {
                Some(first) => first,
                None => return Ok(Vec::new()),
            },
        };
        // What waits for room in memory is sent one by one, as its room comes one by one.
        let most = if is_stored(core, &first)? { PAGE } else { 1 };
        let until = Instant::now() + LINGER;
        let mut bytes = first.payload.len();
        let mut page = vec![first];
        while page.len() < most
            && let Some(message) = self.soon(until).await
        {
            let message = message?;
            bytes += message.payload.len();
            if bytes > PAGE_BYTES {
                self.spare = Some(message);
                break;
            }
            page.push(message);
        }
        Ok(page)
    }

    /// The next message, where there is one until then.
    async fn soon(&mut self, until: Instant) -> Option<Result<OutgoingMessage, SendError>> {
        if let Some(ready) = self.messages.next().now_or_never() {
            return ready;
        }
        tokio::time::timeout_at(until, self.messages.next()).await.ok().flatten()
    }
}
