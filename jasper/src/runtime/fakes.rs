//! What a builder is given in tests only.

use std::future::Future;

use super::builder::Builder;
use crate::handler::{Fake, Handler, Returned, Settles};
use crate::message::Message;
use crate::message::kind::Command;
use crate::routing::Handled;

impl Builder {
    /// For tests: lets this closure handle a command in place of its handler, such as one of a
    /// library that would charge a card.
    ///
    /// It returns what a handler may return, and runs where and when the handler would, by
    /// `bus.invoke` too. It is never durable: it needs no store, and neither the states nor the
    /// connection that the handler takes.
    ///
    /// A command with `to = "…"` needs no fake: a handler of the test takes it, as long as no
    /// endpoint of its name is configured.
    ///
    /// ```
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
        M: Message<Kind = Command> + Handled<H>,
        F: Fn(M) -> R + Send + Sync + 'static,
        R: Future + Send + 'static,
        Returned<R::Output>: Settles<M, OneHandler>,
    {
        self.states.insert(Fake::new(fake));
        self.faked.push(M::TYPE);
        self
    }

    /// As [`handler`](Self::handler), for one that has no function.
    pub(crate) fn registered<H: Handler>(mut self) -> Self {
        self.discover = false;
        self.handlers.push(H::REGISTRATION);
        self
    }
}
