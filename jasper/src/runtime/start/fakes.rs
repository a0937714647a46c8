//! What a builder is given in tests only.

use std::future::Future;

use super::builder::Builder;
use crate::handler::{Fake, Handler, Returned, Settles};
use crate::message::Message;
use crate::message::kind::Command;
use crate::routing::Handled;

/// A command whose handler a closure can stand in for.
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot be faked: it is not a command with one visible handler",
    label = "no handler that a closure could stand in for",
    note = "for an event or a command with `to = \"…\"`: write a `#[handler]` for it in the test"
)]
pub trait Fakeable<H>: Message<Kind: Fakes<Self, H>> {}

impl<M: Message<Kind: Fakes<M, H>>, H> Fakeable<H> for M {}

/// A message of this kind is faked: a command, whose handler the compiler finds.
#[diagnostic::on_unimplemented(
    message = "`{M}` cannot be faked: it is not a command with one visible handler",
    label = "no handler that a closure could stand in for",
    note = "for an event or a command with `to = \"…\"`: write a `#[handler]` for it in the test"
)]
pub trait Fakes<M, H> {}

impl<M: Handled<H>, H> Fakes<M, H> for Command {}

impl Builder {
    /// For tests: a failed run is repeated at once, as often as the policy of its handler says, and
    /// waits for none of its delays.
    pub const fn without_delays(mut self) -> Self {
        self.parts.settings.without_delays = true;
        self
    }

    /// For tests: lets this closure handle a command in place of its handler, such as one of a
    /// library that would charge a card.
    ///
    /// It returns what a handler may return, and runs where and when the handler would, by
    /// `bus.invoke` too. It is never durable: it needs no store, and neither the states nor the
    /// connection that the handler takes.
    ///
    /// It may be given beside `.handler(…)`, which names handlers that run as they are. Of two
    /// fakes of one command the last is taken.
    ///
    /// A command with `to = "…"` needs no fake: a handler of the test takes it, as long as no
    /// endpoint of its name is configured. Nor does an event, which may have one more handler.
    ///
    /// ```standalone_crate
    /// # use jasper::prelude::*;
    /// # use serde::{Deserialize, Serialize};
    /// #[derive(Command, Serialize, Deserialize)]
    /// #[command(reply = u32)]
    /// struct Charge(u32);
    ///
    /// #[handler]
    /// async fn charge(cmd: Charge) -> Reply<u32> {
    ///     unreachable!("no card is charged in a test")
    /// }
    ///
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let app = Jasper::builder().fake(|cmd: Charge| async move { Reply(cmd.0) }).start().await?;
    /// assert_eq!(app.bus().invoke(Charge(7)).await?, 7);
    /// # Ok(app.stop().await?)
    /// # }
    /// ```
    pub fn fake<M, F, R, H, OneHandler>(mut self, fake: F) -> Self
    where
        M: Fakeable<H>,
        F: Fn(M) -> R + Send + Sync + 'static,
        R: Future + Send + 'static,
        Returned<R::Output>: Settles<M, OneHandler>,
    {
        self.parts.states.insert(Fake::new(fake));
        self.parts.selection.fake(M::TYPE);
        self
    }

    /// As [`handler`](Self::handler), for one that has no function.
    pub(crate) fn registered<M: Message, H: Handler<M>>(mut self) -> Self {
        self.parts.selection.register::<M, H>();
        self
    }
}
