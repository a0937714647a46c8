//! Annotated async functions as durable message handlers, on the database that you already have.
//!
//! A *message* is a type that derives [`Command`] (exactly one handler acts on it) or [`Event`]
//! (any number react). A *handler* is an async function under [`#[handler]`](macro@handler) that
//! takes it. What the function returns is sent on. Under [`#[durable]`](macro@durable) its rows,
//! the messages that it returns and the mark that its message is handled are one commit.
//!
//! ```standalone_crate
//! use jasper::prelude::*;
//! use serde::{Deserialize, Serialize};
//!
//! #[derive(Command, Serialize, Deserialize)]
//! struct Greet {
//!     name: String,
//! }
//!
//! #[derive(Event, Serialize, Deserialize)]
//! struct Greeted {
//!     name: String,
//! }
//!
//! #[handler]
//! async fn greet(cmd: Greet) -> Greeted {
//!     println!("hello, {}", cmd.name);
//!     Greeted { name: cmd.name }
//! }
//!
//! #[handler(queue = "memories")]
//! async fn remember(event: Greeted, bus: Bus) {
//!     println!("I will remember you, {}", event.name);
//! }
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), jasper::Error> {
//! let app = Jasper::builder().start().await?;
//! app.bus().send(Greet { name: "Ada".into() }).await?;
//! app.until_idle().await?;
//! app.stop().await
//! # }
//! ```
//!
//! A handler is found by the compiler where a command is sent, and by the program without any list:
//!
//! ```compile_fail
//! # use jasper::prelude::*;
//! #[derive(jasper::Command, serde::Serialize, serde::Deserialize)]
//! struct Forgotten;
//!
//! async fn send(bus: &Bus) {
//!     // error[E0277]: no handler for `Forgotten` is visible here
//!     bus.send(Forgotten).await;
//! }
//! ```
//!
//! With a store, here SQLite, a handler takes part in a transaction:
//!
//! ```standalone_crate
//! # use jasper::prelude::*;
//! # use serde::{Deserialize, Serialize};
//! # #[derive(Command, Serialize, Deserialize)]
//! # struct PlaceOrder { id: i64 }
//! # #[derive(Event, Serialize, Deserialize)]
//! # struct OrderPlaced { id: i64 }
//! #[handler(attempts = 5, timeout = "10s")]
//! #[durable]
//! async fn place_order(
//!     cmd: PlaceOrder,
//!     db: &mut sqlx::SqliteConnection,
//! ) -> Result<OrderPlaced, sqlx::Error> {
//!     sqlx::query("insert into orders (id) values (?)").bind(cmd.id).execute(db).await?;
//!     Ok(OrderPlaced { id: cmd.id })
//! }
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! # let folder = std::env::temp_dir().join(format!("jasper-doc-{}", std::process::id()));
//! # std::fs::create_dir_all(&folder)?;
//! # let path = folder.join("shop.db");
//!
//! let store = SqliteStore::open(&path).await?;
//! # sqlx::query("create table orders (id integer)").execute(store.pool()).await?;
//! let app = Jasper::builder().store(store).start().await?;
//! app.bus().send(PlaceOrder { id: 7 }).await?; // committed when this returns
//! # app.until_idle().await?;
//! # app.stop().await?;
//! # std::fs::remove_dir_all(&folder)?;
//! # Ok(())
//! # }
//! ```
//!
//! # Where to read on
//!
//! The [`guide`] begins with [an application of your own](guide::getting_started), and has a page
//! for each subject, store and transport.
//!
//! # Layout
//!
//! - [`message`], [`envelope`], [`codec`]: what is said, how it travels, how it is encoded.
//! - [`routing`], [`mod@handler`]: the proof that a message has a place to go, and what is done
//!   there.
//! - [`runtime`]: the application: builder, bus, queues, recovery, stop.
//! - [`error_policy`]: what follows a failure.
//! - [`store`]: the port to a database, and the stores that come with jasper.
//! - [`transport`]: the port to other processes, and the transports that come with jasper.
//! - [`telemetry`]: the names of metrics and spans.
//! - `testing`, with the feature of that name: tracked sessions, `assert_routes!`, and the
//!   conformance suites for stores and transports.

mod caught;
pub mod codec;
pub mod envelope;
mod error;
pub mod error_policy;
mod error_text;
#[cfg(any(doc, doctest))]
pub mod guide;
pub mod handler;
pub mod message;
pub mod prelude;
pub mod routing;
pub mod runtime;
mod source_error;
pub mod store;
pub mod telemetry;
#[cfg(feature = "testing")]
pub mod testing;
pub mod transport;

pub use envelope::Envelope;
pub use error::{Error, InvokeError, Problem, SendAllError, SendError, StartupProblems};
pub use runtime::{
    Builder, Bus, Config, HandlerOptions, Invocable, Jasper, QueueOptions, StorageProvisioning,
};

/// A message for exactly one handler, or for the one endpoint that `to` names.
///
/// The type becomes a [`Message`]. It also derives `Serialize` and `Deserialize`, owns what is in
/// it, and is `Send`.
///
/// ```standalone_crate
/// # use jasper::prelude::*;
/// # use serde::{Deserialize, Serialize};
/// #[derive(Command, Serialize, Deserialize)]
/// #[command(name = "orders.place-order", version = 2, reply = Receipt, deliver_within = "30s")]
/// struct PlaceOrder {
///     order_id: u64,
/// }
///
/// #[derive(Debug, PartialEq)]
/// struct Receipt {
///     number: u64,
/// }
///
/// #[handler]
/// async fn place_order(cmd: PlaceOrder) -> Reply<Receipt> {
///     Reply(Receipt { number: cmd.order_id + 1000 })
/// }
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let app = Jasper::builder().start().await?;
/// let receipt = app.bus().invoke(PlaceOrder { order_id: 7 }).await?;
/// assert_eq!(receipt, Receipt { number: 1007 });
/// # app.stop().await?;
/// # Ok(())
/// # }
/// ```
///
/// A command for another process names its endpoint; where that is, the builder or the deployment
/// says:
///
/// ```standalone_crate
/// # use jasper::prelude::*;
/// # use serde::{Deserialize, Serialize};
/// #[derive(Command, Serialize, Deserialize)]
/// #[command(to = "shipping")]
/// struct ShipOrder {
///     order_id: u64,
/// }
///
/// let builder = Jasper::builder().endpoint("shipping", "durable://shipping.internal:5580");
/// # let _ = builder;
/// ```
#[cfg(feature = "macros")]
pub use jasper_macros::Command;

/// A message that any number of handlers may react to, none included.
///
/// Each handler gets a message of its own, with attempts and failures of its own. The type becomes
/// a [`Message`]; it also derives `Serialize` and `Deserialize`.
///
/// ```standalone_crate
/// # use jasper::prelude::*;
/// # use serde::{Deserialize, Serialize};
/// #[derive(Event, Serialize, Deserialize)]
/// #[event(name = "orders.order-placed", version = 2, deliver_within = "1h", handled)]
/// struct OrderPlaced {
///     order_id: u64,
/// }
///
/// #[handler]
/// async fn email_customer(event: OrderPlaced) {
///     println!("order {} is placed", event.order_id);
/// }
///
/// #[handler]
/// async fn count_order(_event: OrderPlaced) {}
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let app = Jasper::builder().start().await?;
/// app.bus().publish(OrderPlaced { order_id: 7 }).await?;
/// app.until_idle().await?;
/// # app.stop().await?;
/// # Ok(())
/// # }
/// ```
#[cfg(feature = "macros")]
pub use jasper_macros::Event;

/// Makes a free `async fn` the handler of the message that it takes first.
///
/// The function stays as it is written, and a unit test calls it as the function that it is. After
/// the message it takes anything that is [`FromContext`](crate::handler::FromContext), such as
/// [`State<T>`](State), by value. What it returns is sent: a message, or `Option`, `Vec`, `Result`
/// or a tuple of messages. Each of them must have a handler, or it does not compile.
///
/// ```standalone_crate
/// # use jasper::prelude::*;
/// # use serde::{Deserialize, Serialize};
/// # #[derive(Event, Serialize, Deserialize)]
/// # struct OrderPlaced { customer: String }
/// # struct Mailer;
/// # impl Mailer {
/// #     async fn send(&self, _to: &str) -> Result<(), std::io::Error> { Ok(()) }
/// # }
/// #[handler(
///     queue = "emails",
///     concurrency = 4,
///     attempts = 5,
///     delays = ["10s", "1m"],
///     timeout = "30s"
/// )]
/// async fn email_customer(
///     event: OrderPlaced,
///     mailer: State<Mailer>,
/// ) -> Result<(), std::io::Error> {
///     mailer.send(&event.customer).await
/// }
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let app = Jasper::builder().state(Mailer).start().await?;
/// app.bus().publish(OrderPlaced { customer: "ada@example.org".into() }).await?;
/// app.until_idle().await?;
/// # app.stop().await?;
/// # Ok(())
/// # }
/// ```
///
/// The builder names a handler by its function: `.handler(email_customer)`,
/// `.handler_options(email_customer, …)`.
#[cfg(feature = "macros")]
pub use jasper_macros::handler;

/// Runs a [`#[handler]`](macro@handler) in a transaction of the store, beside which it stands in
/// either order.
///
/// What the handler writes through its connection, the messages that it returns and the mark that
/// its message is handled are committed together, or not at all. It may take the connection of its
/// store as `&mut`. An application with a durable handler and without a store does not start.
///
#[cfg_attr(feature = "sqlite", doc = "```standalone_crate")]
#[cfg_attr(not(feature = "sqlite"), doc = "```ignore")]
/// # use jasper::prelude::*;
/// # use serde::{Deserialize, Serialize};
/// # #[derive(Command, Serialize, Deserialize)]
/// # struct PlaceOrder { id: i64 }
/// # #[derive(Event, Serialize, Deserialize)]
/// # struct OrderPlaced { id: i64 }
/// #[handler]
/// #[durable(share = 50)]
/// async fn place_order(
///     cmd: PlaceOrder,
///     db: &mut sqlx::SqliteConnection,
/// ) -> Result<OrderPlaced, sqlx::Error> {
///     sqlx::query("insert into orders (id) values (?)").bind(cmd.id).execute(db).await?;
///     Ok(OrderPlaced { id: cmd.id })
/// }
/// ```
#[cfg(feature = "macros")]
pub use jasper_macros::durable;

pub use handler::{
    Cascade, Delayed, DeliveryOptions, HandlerError, MessageExt, Reply, State, Terminal, To, With,
};
pub use message::Message;
pub use routing::{Publishable, Sendable};
pub use source_error::SourceError;

/// Keeps the handlers of the named crates in the program: `jasper::handlers_of!(orders, billing);`,
/// in the binary.
///
/// A linker leaves out a crate that nothing names, and its handlers with it, in silence. A crate of
/// which the program uses anything else is kept anyway; this is for those that hold handlers only.
#[macro_export]
macro_rules! handlers_of {
    ($($handlers:ident),+ $(,)?) => {
        $(use $handlers as _;)+
    };
    ($($other:tt)*) => {
        ::core::compile_error!(
            "`handlers_of!` takes the names of crates: `jasper::handlers_of!(orders, billing);`"
        );
    };
}

/// Not public API. Used by generated code: the items as they are, where this path is right.
#[doc(hidden)]
#[macro_export]
macro_rules! __items {
    ($($items:tt)*) => { $($items)* };
}

/// Not public API. Used by generated code.
#[doc(hidden)]
pub mod __private {
    pub use crate::handler::{
        Call, Called, Cascade, Cascades, Handler, HandlerError, HandlerRegistration, Holds, Leaf,
        Proved, Proven, is_message, is_one_message, push,
    };
    pub use crate::message::{
        Encodable, Encoding, Message, MessageKind, MessageRegistration, MessageType,
        SourceLocation, encoding, is_decodable_reply, is_encodable_reply, kind,
    };
    pub use crate::routing::{HandledBy, KindReaches};
    pub use crate::store::ConnectionType;
    pub use crate::{__handler as handler, __items as items};
    pub use inventory;
}
