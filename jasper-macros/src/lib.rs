//! The attribute and derive macros of jasper. Each has its keys here; what it is for, with
//! examples, stands at its re-export in jasper, and rustdoc shows both together there.
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
//! What most handlers need is done a second time without `syn`, in `handler::plain`, as macros run
//! again at each check.
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

/// # Keys of `#[command(…)]`
///
/// * `name`: the name under which the message is stored and sent: lower-case words of letters and
///   digits, joined by `-`, grouped by `.`, such as `orders.place-order`. Default: the type's name,
///   `place-order` for `PlaceOrder`.
/// * `version`: a whole number from 1 to 65535. Default: 1.
/// * `to`: the endpoint that handles it: a name given to the builder's `endpoint`, or an address
///   such as `tcp://host:5580`. Default: a handler in this application.
/// * `reply`: the type with which `bus.invoke(…)` answers. With `to` it travels, so it derives
///   `Serialize` and `Deserialize` as the command does. Default: `()`.
/// * `deliver_within`: how long after sending it is still worth handling: `"500ms"`, `"30s"`,
///   `"5m"`, `"2h"`, `"7d"`. Default: no limit.
/// * `crate`: where jasper is found: `crate = company::messaging`, of a crate with
///   `pub use jasper::*;` or `pub use jasper as messaging;`. Default: `::jasper`.
///
/// The name is part of what is stored: give one before the first release if the type may be renamed
/// later.
#[proc_macro_derive(Command, attributes(command))]
pub fn derive_command(item: TokenStream) -> TokenStream {
    finish("Command", message::command(item.into()))
}

/// # Keys of `#[event(…)]`
///
/// * `name`: the name under which the message is stored and sent, as that of a command. Default:
///   the type's name, `order-placed` for `OrderPlaced`.
/// * `version`: a whole number from 1 to 65535. Default: 1.
/// * `deliver_within`: how long after publishing it is still worth handling, such as `"1h"`.
///   Default: no limit.
/// * `handled`: a word without a value, `#[event(handled)]`: a program that links the event and has
///   no handler for it does not start, unless it publishes the event to an endpoint. The linker
///   drops the handlers of a crate that the program does not name, and an event may be published
///   without any. Default: no handler is needed.
/// * `crate`: where jasper is found, such as `crate = company::messaging`. Default: `::jasper`.
#[proc_macro_derive(Event, attributes(event))]
pub fn derive_event(item: TokenStream) -> TokenStream {
    finish("Event", message::event(item.into()))
}

/// # Keys of `#[handler(…)]`
///
/// * `queue`: the local queue on which it runs, such as `"emails"`. Default: the function's name.
/// * `concurrency`: how many of the queue's messages run at once, from 1. Default: as the queue is
///   configured.
/// * `attempts`: the most attempts before the message is a dead letter, the first one included.
///   Default: the application's policy.
/// * `delays`: the delays before the last attempts, such as `["10s", "1m"]`; those before are made
///   at once. Default: the application's policy.
/// * `timeout`: the time-out of one run, such as `"30s"`. Default: the application's.
/// * `crate`: where jasper is found, such as `crate = company::messaging`. Default: `::jasper`.
#[proc_macro_attribute]
pub fn handler(args: TokenStream, item: TokenStream) -> TokenStream {
    finish("handler", handler::handler(args.into(), item.into()))
}

/// # Keys of `#[durable(…)]`
///
/// * `share`: how many runs of the handler may share one transaction, each in a savepoint of its
///   own: `#[durable(share = 50)]`. One commit then serves many messages, at the price that runs
///   wait for each other, and hold what they have locked for as long. What a run sets, opens or
///   creates for its session or transaction is reset before the next. Stores that always share,
///   such as SQLite, or never do, ignore it; so does PostgreSQL on connections of a pool that the
///   application has opened, whose settings are its own. Default: 1.
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
