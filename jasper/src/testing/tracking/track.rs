//! A session from its set-up to its end.

use std::fmt;
use std::future::{Future, IntoFuture};
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::BoxFuture;

use super::error::{TrackError, TrackFailure};
use super::session::{Session, SessionLimits};
use super::tracked::Tracked;
use crate::handler::{Causation, RunScope};
use crate::message::Message;
use crate::routing::{Publishes, Sends};
use crate::runtime::core::Core;
use crate::runtime::observation::Observer;
use crate::runtime::{Bus, Invokes, Jasper, Sending};

/// For how long a session waits that says nothing else.
const TIME_LIMIT: Duration = Duration::from_secs(5);

/// The reply of an invoked command, and what the command has caused.
pub type TrackedReply<R> = (R, Tracked);

impl Jasper {
    /// For tests: begins a tracked session. It sends messages, waits until all is done that they
    /// have caused, and gives what that was.
    ///
    /// ```standalone_crate
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # use jasper::prelude::*;
    /// # use serde::{Deserialize, Serialize};
    /// # #[derive(Command, Serialize, Deserialize)] struct PlaceOrder { id: u32 }
    /// # #[derive(Event, Serialize, Deserialize)] struct OrderPlaced { id: u32 }
    /// # #[handler] async fn place_order(cmd: PlaceOrder) -> OrderPlaced {
    /// #     OrderPlaced { id: cmd.id }
    /// # }
    /// # let app = Jasper::builder().start().await?;
    /// let tracked = app.track().send(PlaceOrder { id: 7 }).await?;
    /// tracked.assert_no_failures();
    /// let placed: Vec<OrderPlaced> = tracked.assert_sent(1);
    /// assert_eq!(placed[0].id, 7);
    /// # app.stop().await?;
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// **What belongs to it**: what handlers return, what they send by any `Bus` of their own task
    /// or by that which they take as an argument, further attempts after a failure, and all that
    /// follows from these; also over the network into another application that is
    /// [tracked too](Track::also). What is sent by others meanwhile, and what a handler leaves to a
    /// task that outlives it, does not.
    ///
    /// **What it waits for**: until each of these messages is handled, dead-lettered or dropped, or
    /// was taken by a process that is not tracked. A message for a later time is noted as scheduled
    /// and not waited for, unless the session [is to](Track::with_scheduled). It waits by signals,
    /// for five seconds at most unless it says [otherwise](Track::time_limit).
    pub fn track(&self) -> Track {
        Track {
            apps: vec![Arc::clone(self.core())],
            limits: SessionLimits { time: TIME_LIMIT, with_scheduled: false, until: Vec::new() },
            root: Arc::new(RunScope::new(Causation::of_invocation("track", None))),
            sends: Vec::new(),
        }
    }
}

/// A tracked session that is about to begin: say what it sends, then await it. See
/// [`Jasper::track`].
#[must_use = "a session begins when it is awaited"]
pub struct Track {
    apps: Vec<Arc<Core>>,
    limits: SessionLimits,
    /// What all of it follows from.
    root: Arc<RunScope>,
    sends: Vec<Sending<'static>>,
}

impl Track {
    /// Tracks another application of this process too: what it receives from this one, and what
    /// follows from that.
    ///
    /// Over TCP a message is seen from its sender to its receiver. A broker takes it from the one
    /// and gives it to the other some time later: let the session wait
    /// [until it is handled](Self::until_handled).
    pub fn also(mut self, app: &Jasper) -> Self {
        self.apps.push(Arc::clone(app.core()));
        self
    }

    /// For how long the session waits at most, 5 s unless it says otherwise.
    pub const fn time_limit(mut self, limit: Duration) -> Self {
        self.limits.time = limit;
        self
    }

    /// Waits for messages too that are sent for a later time.
    pub const fn with_scheduled(mut self) -> Self {
        self.limits.with_scheduled = true;
        self
    }

    /// Also waits until `count` messages of this type are handled or given up: for messages that
    /// come over a broker.
    pub fn until_handled<M: Message>(mut self, count: usize) -> Self {
        self.limits.until.push((M::TYPE, count));
        self
    }

    /// Sends a command, as [`Bus::send`] does. A session may send several; they are accepted one
    /// after the other. For delays and other options see [`act`](Self::act).
    pub fn send<M, OneHandler>(mut self, message: M) -> Self
    where
        M: Message,
        M::Kind: Sends<M, OneHandler>,
    {
        let sending = self.bus().send(message);
        self.sends.push(sending);
        self
    }

    /// Publishes an event, as [`Bus::publish`] does.
    pub fn publish<M>(mut self, message: M) -> Self
    where
        M: Message,
        M::Kind: Publishes<M>,
    {
        let sending = self.bus().publish(message);
        self.sends.push(sending);
        self
    }

    /// Invokes a command, as [`Bus::invoke`] does, after what the session sends; gives the reply
    /// and what the command has caused.
    pub fn invoke<M, OneHandler>(
        self,
        message: M,
    ) -> BoxFuture<'static, Result<TrackedReply<M::Reply>, TrackError>>
    where
        M: Message,
        M::Kind: Invokes<M, OneHandler>,
    {
        let invoking = self.bus().invoke(message);
        let invoking = async move { invoking.await.map_err(TrackFailure::Invoke) };
        Box::pin(self.run(invoking))
    }

    /// Does something of the test's own with a `Bus`: what is sent by that belongs to the session.
    ///
    /// ```standalone_crate
    /// # use jasper::prelude::*;
    /// # use jasper::testing::TrackError;
    /// # use std::time::Duration;
    /// # #[derive(Event, serde::Serialize, serde::Deserialize)] struct Tick;
    /// # async fn later(app: &Jasper) -> Result<(), TrackError> {
    /// let (sent, tracked) = app
    ///     .track()
    ///     .act(async |bus| bus.publish(Tick).delay(Duration::from_secs(60)).await)
    ///     .await?;
    /// # Ok(())
    /// # }
    /// # fn main() {}
    /// ```
    ///
    /// # Errors
    /// Not all was done in time, or a message of the session was not accepted. What the closure
    /// gives is its own: also an error of it.
    pub async fn act<T>(
        self,
        act: impl AsyncFnOnce(Bus) -> T,
    ) -> Result<TrackedReply<T>, TrackError> {
        let bus = self.bus();
        self.run(async { Ok(act(bus).await) }).await
    }

    /// What it sends belongs to the session.
    fn bus(&self) -> Bus {
        Bus::following(Arc::clone(&self.apps[0]), Arc::clone(&self.root))
    }

    async fn run<T>(
        self,
        act: impl Future<Output = Result<T, TrackFailure>>,
    ) -> Result<TrackedReply<T>, TrackError> {
        let Self { apps, limits, root, sends } = self;
        let session = Session::new(root.causation().conversation_id(), limits);
        let observer: Arc<dyn Observer> = Arc::clone(&session) as _;
        for app in &apps {
            app.observers().add(Arc::downgrade(&observer));
        }
        let all = async {
            for sending in sends {
                sending.await.map_err(TrackFailure::Send)?;
            }
            let given = act.await?;
            session.done().await;
            Ok(given)
        };
        let limit = session.limits().time;
        let ended = tokio::time::timeout(limit, all).await.unwrap_or_else(|_elapsed| {
            Err(TrackFailure::TimedOut { limit, going_on: session.going_on() })
        });
        let tracked = Tracked::new(session.events(), apps[0].codec_arc());
        match ended {
            Ok(given) => Ok((given, tracked)),
            Err(failure) => Err(TrackError::new(failure, tracked)),
        }
    }
}

impl IntoFuture for Track {
    type Output = Result<Tracked, TrackError>;
    type IntoFuture = BoxFuture<'static, Self::Output>;

    fn into_future(self) -> Self::IntoFuture {
        Box::pin(async move { self.run(async { Ok(()) }).await.map(|((), tracked)| tracked) })
    }
}

impl fmt::Debug for Track {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Track").field("limits", &self.limits).finish_non_exhaustive()
    }
}
