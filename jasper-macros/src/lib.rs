//! The attribute and derive macros of jasper. Their documentation for users is at jasper's
//! re-exports.
//!
//! # Layout
//!
//! * `message`: `#[derive(Command)]` and `#[derive(Event)]`;
//! * `handler`: `#[handler]` and `#[durable]`;
//! * `attribute`: the `key = value` lists of all four;
//! * `signature`: a function whose body is left as tokens;
//! * `diagnostics`: the mistakes of one item, collected so that all are reported at once.
//!
//! Each macro is a pipeline of the same four steps: `args` reads what the user wrote, `model` gives
//! it a shape with all defaults filled in, `validate` reports every mistake that the model shows,
//! and `expand` cannot fail. What only types can tell (is this a message, can this be an argument)
//! is left to trait bounds, spanned at the user's own tokens: no type is ever recognised by its
//! name.
//!
//! With `JASPER_MACROS_DEBUG=1` in the environment each expansion is printed to stderr.

mod attribute;
mod diagnostics;
mod handler;
mod lifetimes;
mod message;
mod paths;
mod signature;
mod value;

use proc_macro::TokenStream;

/// A message for exactly one handler, or for the one endpoint that `to` names.
///
/// ```text
/// #[derive(Command, Serialize, Deserialize)]
/// #[command(name = "orders.place-order", version = 2, reply = Receipt, deliver_within = "30s")]
/// struct PlaceOrder { order_id: Uuid }
/// ```
///
/// * `name`: the name under which the message is stored and sent: lower-case words of letters and
///   digits, joined by `-`, grouped by `.`. Without it: the type's name: `PlaceOrder` is
///   `place-order`.
/// * `version`: a whole number from 1. Without it: 1.
/// * `to`: the endpoint that handles it: a name given to the builder's `endpoint`, or an address
///   such as `tcp://host:5580`. Without it: a handler in this application.
/// * `reply`: the type with which `bus.invoke(…)` answers. Without it: `()`. With `to` it travels,
///   so it derives `Serialize` and `Deserialize` as the command does.
/// * `deliver_within`: how long after sending it is still worth handling: `500ms`, `30s`, `5m`,
///   `2h`, `7d`. Without it: for ever.
/// * `crate`: where jasper is found, if not at `::jasper`: `crate = company::messaging`, of a crate
///   with `pub use jasper::*;` or `pub use jasper as messaging;`.
///
/// The name is part of what is stored: give one before the first release if the type may be renamed
/// later.
#[proc_macro_derive(Command, attributes(command))]
pub fn derive_command(item: TokenStream) -> TokenStream {
    finish("Command", message::command(item.into()))
}

/// A message that any number of handlers may react to, none included.
///
/// ```text
/// #[derive(Event, Serialize, Deserialize)]
/// #[event(name = "orders.order-placed", version = 2, deliver_within = "1h")]
/// struct OrderPlaced { order_id: Uuid }
/// ```
///
/// * `handled`: a program that links the event and has no handler for it does not start, unless it
///   publishes it to an endpoint: `#[event(handled)]`. The linker drops the handlers of a crate
///   that the program does not name, and an event may be published without any.
///
/// The keys `name`, `version`, `deliver_within` and `crate` are those of [`Command`].
///
/// [`Command`]: macro@Command
#[proc_macro_derive(Event, attributes(event))]
pub fn derive_event(item: TokenStream) -> TokenStream {
    finish("Event", message::event(item.into()))
}

/// Makes a free `async fn` the handler of the message that it takes first.
///
/// ```text
/// #[handler(queue = "emails", attempts = 5, delays = ["10s", "1m"])]
/// async fn email_customer(event: OrderPlaced, mailer: State<Mailer>) -> Result<(), MailError> { …
/// }
/// ```
///
/// The function stays as it is written, and a unit test calls it as the function that it is. After
/// the message it takes anything that is `FromContext`, such as `State<T>`, by value. What it
/// returns is sent: a message, or `Option`, `Vec`, `Result` or a tuple of messages. Each of them
/// must have a handler, or it does not compile.
///
/// * `queue`: the local queue on which it runs. Without it: the function's name.
/// * `concurrency`: how many of the queue's messages run at once. Without it: as the queue is
///   configured.
/// * `attempts`: the most attempts before the message is a dead letter. Without it: the
///   application's policy.
/// * `delays`: the delays before the last attempts, such as `["10s", "1m"]`; those before are made
///   at once. Without it: the application's policy.
/// * `timeout`: the time-out of one run, such as `"30s"`. Without it: the application's.
///
/// * `crate`: where jasper is found, if not at `::jasper`: `crate = company::messaging`.
///
/// `Jasper::builder().handler(place_order)` names the handler by its function.
#[proc_macro_attribute]
pub fn handler(args: TokenStream, item: TokenStream) -> TokenStream {
    finish("handler", handler::handler(args.into(), item.into()))
}

/// Runs a `#[handler]` in a transaction of the store, beside which it stands in either order.
///
/// ```text
/// #[handler]
/// #[durable]
/// async fn place_order(cmd: PlaceOrder, db: &mut SqliteConnection) -> Result<OrderPlaced,
/// OrderError> { … }
/// ```
///
/// What the handler writes through its connection, the messages that it returns and the mark that
/// its message is handled are committed together, or not at all. It may take the connection of its
/// store as `&mut`.
///
/// * `share`: how many runs of the handler may share one transaction, each in a savepoint of its
///   own: `#[durable(share = 50)]`. One commit then serves many messages, at the price that runs
///   wait for each other, and hold what they have locked for as long. What a run sets, opens or
///   creates for its session or transaction is reset before the next. Without it: 1. Stores that
///   always share, such as SQLite, or never do, ignore it; so does PostgreSQL on connections of a
///   pool that the application has opened, whose settings are its own.
#[proc_macro_attribute]
pub fn durable(args: TokenStream, item: TokenStream) -> TokenStream {
    finish("durable", handler::durable(args.into(), item.into()))
}

fn finish(name: &str, expansion: proc_macro2::TokenStream) -> TokenStream {
    if std::env::var_os("JASPER_MACROS_DEBUG").is_some_and(|value| value == "1") {
        eprintln!("// {name}\n{expansion}\n");
    }
    expansion.into()
}
