//! The messaging gateway of an application: send, publish, invoke, enlist.

use std::any::Any;
use std::fmt;
use std::sync::{Arc, Weak};

use futures_util::future::BoxFuture;
use futures_util::stream::{self, Stream, StreamExt};

use super::enlisted::Enlisted;
use super::envelope::encode;
use super::invokes::{Invocation, Invokes};
use super::origin::Origin;
use super::sending::Sending;
use super::sending_all::SendingAll;
use crate::error::InvokeError;
use crate::handler::{FromContext, HandlerContext, HandlerError, RunScope};
use crate::message::Message;
use crate::routing::{Publishes, Sends};
use crate::runtime::core::Core;
use crate::store::TransactionScope;

/// Sends commands, publishes events and invokes commands. Cheap to clone.
///
/// A `Bus` that a handler takes as an argument belongs to the message being handled: what it sends
/// belongs to the same conversation. What it sends in a `#[durable]` handler leaves with the
/// commit of the run, or not at all.
///
/// # Tasks that a durable handler starts
/// A clone of the `Bus` that the handler takes as an argument joins the transaction in every task.
/// In the handler's own task every `Bus` does. Any other `Bus` in another task is independent of
/// the run: what it sends is accepted by itself, and stays if the handler fails. On a store with a
/// single writing connection, which is SQLite, that has to wait for the handler; if the handler
/// waits for the task, the send fails with [`SendError::HeldByHandler`](crate::SendError).
pub struct Bus {
    core: Arc<Core>,
    /// The run whose handler took this as an argument.
    scope: Option<Arc<RunScope>>,
    /// The run in whose task this was cloned, if that run uses a connection of the store. The clone
    /// may be in a task that the run awaits, so a send must not wait for the run without a limit.
    cloned_in: Weak<RunScope>,
}

impl Clone for Bus {
    fn clone(&self) -> Self {
        let run = RunScope::of_task().filter(|run| run.holds_connection());
        let cloned_in = run.map(|run| Arc::downgrade(&run));
        let cloned_in = cloned_in.unwrap_or_else(|| Weak::clone(&self.cloned_in));
        Self { core: Arc::clone(&self.core), scope: self.scope.clone(), cloned_in }
    }
}

impl Bus {
    pub(crate) const fn new(core: Arc<Core>) -> Self {
        Self { core, scope: None, cloned_in: Weak::new() }
    }

    /// What it sends follows from this.
    #[cfg(feature = "testing")]
    pub(crate) const fn following(core: Arc<Core>, scope: Arc<RunScope>) -> Self {
        Self { core, scope: Some(scope), cloned_in: Weak::new() }
    }

    /// Sends a command to its one handler or endpoint. Await the result; options may be set before.
    ///
    /// ```standalone_crate
    /// # use jasper::prelude::*;
    /// # #[derive(Command, serde::Serialize, serde::Deserialize)]
    /// # struct PlaceOrder { id: i64 }
    /// # #[handler]
    /// # async fn place_order(_cmd: PlaceOrder) {}
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), jasper::Error> {
    /// # let store = jasper::store::memory::MemoryStore::new();
    /// # let app = Jasper::builder().store(store).start().await?;
    /// # let bus = app.bus();
    /// bus.send(PlaceOrder { id: 7 }).await?;
    /// bus.send(PlaceOrder { id: 8 }).deduplicate("order-8").await?;
    /// # app.stop().await
    /// # }
    /// ```
    ///
    /// When it returns, a message for a durable handler or queue is committed to the store; any
    /// other is in memory.
    ///
    /// # Errors
    /// Nothing of the message was kept; but after [`SendError::Store`](crate::SendError::Store) it
    /// may have been accepted all the same. Sent again with the same
    /// [deduplication key](Sending::deduplicate), it is one message in either case.
    ///
    /// `Encode` and `TooLarge`: the message itself cannot be sent. `NoHandler`, `NeverSent`,
    /// `UnknownEndpoint` and `NeedsStore`: the application is not set up for it. `Full`: a
    /// destination is down, and the memory for what is not stored is used up. `Transport` and
    /// `NotTaken`: an inline endpoint did not take it. `RunEnded` and `HeldByHandler`: the `Bus`
    /// belongs to a handler that has ended, or that this send would wait for. `Stopping`: the
    /// application stops.
    ///
    /// # Cancel safety
    /// Dropped before it returns, the message may or may not have been accepted.
    pub fn send<M, OneHandler>(&self, message: M) -> Sending<'static>
    where
        M: Message,
        M::Kind: Sends<M, OneHandler>,
    {
        self.sending(&message)
    }

    /// Sends many commands of one type: the quick way to bring in a file or a table. Await the
    /// result, which is how many were accepted.
    ///
    /// They are taken from the iterator, encoded and accepted in order, page by page: at most 1,000
    /// messages or 8 MiB in one transaction. At most two pages are in memory, and
    /// [`on_progress`](SendingAll::on_progress) says how far it is. Messages that are not stored
    /// are accepted one by one, as there is room.
    ///
    /// Within a transaction, that of a durable handler, all of them wait in memory for the commit.
    ///
    /// ```standalone_crate
    /// # use jasper::prelude::*;
    /// # #[derive(Command, serde::Serialize, serde::Deserialize)]
    /// # struct PlaceOrder { id: i64 }
    /// # #[handler]
    /// # async fn place_order(_cmd: PlaceOrder) {}
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let app = Jasper::builder().start().await?;
    /// # let bus = app.bus();
    /// let orders = (1..=500).map(|id| PlaceOrder { id });
    /// let accepted = bus.send_all(orders).await?;
    /// assert_eq!(accepted, 500);
    /// # app.stop().await?;
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// [`SendAllError::accepted`](crate::SendAllError) says how many of the first were accepted:
    /// those of all pages before the one that failed. Of a page with a message that cannot be
    /// encoded nothing is accepted; where the store failed, it may have been or not.
    ///
    /// # Cancel safety
    /// Dropped before it returns, some of the messages may have been accepted.
    pub fn send_all<'messages, M, OneHandler>(
        &self,
        messages: impl IntoIterator<Item = M, IntoIter: Send + 'messages>,
    ) -> SendingAll<'messages>
    where
        M: Message,
        M::Kind: Sends<M, OneHandler>,
    {
        self.send_stream(stream::iter(messages))
    }

    /// Sends the commands of a stream, as [`send_all`](Self::send_all) does.
    ///
    /// A page that is not full waits at most 100 ms for a stream that has nothing ready. While a
    /// page is stored, the next one is taken from the stream, and no more.
    ///
    /// # Errors
    /// As [`send_all`](Self::send_all).
    ///
    /// # Cancel safety
    /// Dropped before it returns, some of the messages may have been accepted, and others taken
    /// from the stream.
    pub fn send_stream<'messages, M, OneHandler>(
        &self,
        messages: impl Stream<Item = M> + Send + 'messages,
    ) -> SendingAll<'messages>
    where
        M: Message,
        M::Kind: Sends<M, OneHandler>,
    {
        let core = Arc::clone(&self.core);
        let encoded = messages.map(move |message| encode(&core, &message));
        SendingAll::new(&self.core, self.origin(), encoded)
    }

    /// Publishes an event to all handlers that subscribe to it, of which there may be none.
    ///
    /// Each subscriber gets a message of its own, with attempts and failures of its own.
    ///
    /// ```standalone_crate
    /// # use jasper::prelude::*;
    /// #[derive(Event, serde::Serialize, serde::Deserialize)]
    /// struct OrderPlaced {
    ///     id: i64,
    /// }
    ///
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), jasper::Error> {
    /// # let app = Jasper::builder().start().await?;
    /// app.bus().publish(OrderPlaced { id: 7 }).await?;
    /// # app.stop().await
    /// # }
    /// ```
    ///
    /// # Errors
    /// As [`send`](Self::send).
    ///
    /// # Cancel safety
    /// As [`send`](Self::send).
    pub fn publish<M>(&self, message: M) -> Sending<'static>
    where
        M: Message,
        M::Kind: Publishes<M>,
    {
        self.sending(&message)
    }

    /// Runs a command's handler now, in the task that awaits it, and gives its typed reply.
    ///
    /// The handler is found by the compiler; nothing is stored, looked up or encoded. A durable
    /// handler runs in a transaction. There is one attempt: the caller sees its failure.
    /// Messages that the handler returns are sent when it has succeeded.
    ///
    /// A command with `to = "…"` travels to its endpoint instead, where its handler runs, and the
    /// reply travels back. The command is not stored and is tried once: the caller gets the reply,
    /// or the failure, which happened there or on the way.
    ///
    /// ```standalone_crate
    /// # use jasper::prelude::*;
    /// #[derive(Command, serde::Serialize, serde::Deserialize)]
    /// #[command(reply = u64)]
    /// struct Double(u64);
    ///
    /// #[handler]
    /// async fn double(cmd: Double) -> Reply<u64> {
    ///     Reply(cmd.0 * 2)
    /// }
    ///
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let app = Jasper::builder().start().await?;
    /// assert_eq!(app.bus().invoke(Double(21)).await?, 42);
    /// # app.stop().await?;
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// The handler failed, panicked or took too long ([`InvokeError::Failed`],
    /// [`Panicked`](InvokeError::Panicked), [`TimedOut`](InvokeError::TimedOut)); the store failed
    /// ([`Store`](InvokeError::Store)), or a message that the handler returned was not accepted
    /// ([`Send`](InvokeError::Send)). A durable handler cannot be invoked within the transaction of
    /// another one ([`InsideTransaction`](InvokeError::InsideTransaction)).
    ///
    /// With `to`, also: the endpoint cannot be reached ([`Transport`](InvokeError::Transport)),
    /// answers that there is no reply ([`Remote`](InvokeError::Remote)), or gives none in time
    /// ([`NoReply`](InvokeError::NoReply)) or one that cannot be read
    /// ([`Reply`](InvokeError::Reply)); where it was reached, the handler may have run.
    ///
    /// # Cancel safety
    /// Dropped before it returns, the handler is dropped where it awaits, and its transaction is
    /// rolled back; a commit that has begun goes on. With `to`, the handler may run or not.
    // Not an `async fn`: its future would carry the bounds, and a command without a handler be
    // reported three times.
    pub fn invoke<M, OneHandler>(
        &self,
        message: M,
    ) -> BoxFuture<'static, Result<M::Reply, InvokeError>>
    where
        M: Message,
        M::Kind: Invokes<M, OneHandler>,
    {
        let (core, origin) = (Arc::clone(&self.core), self.origin());
        M::Kind::invoke(Invocation { core, origin }, message)
    }

    /// Sends within a transaction of your own: messages join it, leave after its commit, and vanish
    /// with its rollback.
    ///
    /// A web server or a command-line tool so changes its own rows and sends a message that follows
    /// from them, or does neither:
    ///
    #[cfg_attr(feature = "sqlite", doc = "```standalone_crate")]
    #[cfg_attr(not(feature = "sqlite"), doc = "```ignore")]
    /// # use jasper::prelude::*;
    /// # #[derive(Command, serde::Serialize, serde::Deserialize)]
    /// # struct ShipOrder { id: i64 }
    /// # #[handler]
    /// # async fn ship_order(_cmd: ShipOrder) {}
    /// async fn place_order(
    ///     pool: &sqlx::SqlitePool,
    ///     bus: &Bus,
    ///     id: i64,
    /// ) -> Result<(), Box<dyn std::error::Error>> {
    ///     let mut tx = pool.begin().await?;
    ///     sqlx::query("insert into orders (id) values (?)").bind(id).execute(&mut *tx).await?;
    ///     bus.enlist(&mut tx).send(ShipOrder { id }).await?;
    ///     tx.commit().await?;
    ///     Ok(())
    /// }
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let folder = std::env::temp_dir().join(format!("jasper-enlist-{}", std::process::id()));
    /// # std::fs::create_dir_all(&folder)?;
    /// # let store = SqliteStore::open(&folder.join("shop.db")).await?;
    /// # let pool = store.pool().clone();
    /// # sqlx::query("create table orders (id integer)").execute(&pool).await?;
    /// # let app = Jasper::builder().store(store).start().await?;
    /// # place_order(&pool, app.bus(), 7).await?;
    /// # app.until_idle().await?;
    /// # app.stop().await?;
    /// # std::fs::remove_dir_all(&folder)?;
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// Delays and other options go between, as they do for [`send`](Self::send). The transaction
    /// has to be one of the application's store: a pool of your own to the same database will do.
    /// It is written to when the result is awaited, which fails with
    /// [`SendError::ForeignTransaction`](crate::SendError::ForeignTransaction) for one of another
    /// kind of database, and with [`SendError::NeedsStore`](crate::SendError::NeedsStore) without a
    /// store.
    pub fn enlist<'tx, T: TransactionScope>(&self, transaction: &'tx mut T) -> Enlisted<'tx> {
        let connection: &mut (dyn Any + Send) = transaction.connection();
        Enlisted::new(Arc::clone(&self.core), self.scope.clone(), connection)
    }

    /// What is sent joins the transaction of the handler that took this bus, while that is open;
    /// else that of this task's handler, whatever bus is used.
    pub(crate) fn origin(&self) -> Origin {
        let scope = match &self.scope {
            Some(scope) if scope.is_open() => self.scope.clone(),
            _ => RunScope::of_task().or_else(|| self.scope.clone()),
        };
        Origin::new(scope, Weak::clone(&self.cloned_in))
    }

    fn sending<M: Message>(&self, message: &M) -> Sending<'static> {
        Sending::new(&self.core, self.origin(), message)
    }
}

impl fmt::Debug for Bus {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Bus").finish_non_exhaustive()
    }
}

impl FromContext for Bus {
    fn from_context(cx: &HandlerContext<'_>) -> Result<Self, HandlerError> {
        let root = cx.states().get::<CoreRef>();
        let core = root.and_then(|root| root.0.upgrade());
        Ok(Self {
            core: core.ok_or_else(|| HandlerError::new("the application has ended"))?,
            scope: Some(cx.scope()),
            cloned_in: Weak::new(),
        })
    }
}

/// The way from a handler's context to the application. Weak, as the application owns the states
/// that it lies in.
#[derive(Debug)]
pub(crate) struct CoreRef(Weak<Core>);

impl CoreRef {
    pub(crate) const fn new(core: Weak<Core>) -> Self {
        Self(core)
    }
}
