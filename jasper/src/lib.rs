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

#[cfg(feature = "macros")]
pub use jasper_macros::{Command, Event, durable, handler};

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
    pub use crate::__items as items;
    pub use crate::handler::{
        Called, Cascade, Cascades, FirstArgument, FromContext, Handler, HandlerContext,
        HandlerError, HandlerRegistration, Holds, Leaf, Marker, Proven, is_argument, is_connection,
        is_message, push, run,
    };
    pub use crate::message::{
        Encodable, Encoding, Message, MessageKind, MessageRegistration, MessageType,
        SourceLocation, encoding, is_decodable_reply, is_encodable_reply, kind,
    };
    pub use crate::routing::{HandledBy, Reaches};
    pub use crate::store::ConnectionType;
    pub use inventory;
}
