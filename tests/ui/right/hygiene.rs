//! Names of the user's that generated code must not meet.

#![deny(warnings)]
#![allow(
    clippy::non_minimal_cfg,
    clippy::needless_lifetimes,
    clippy::extra_unused_lifetimes,
    reason = "what people write, though it could be shorter"
)]
#![allow(dead_code, reason = "nothing here is run")]

/// A message called `Message`, an event called `Event`, a command called `Command`.
mod message_called_message {
    use serde::{Deserialize, Serialize};

    #[derive(jasper::Command, Serialize, Deserialize)]
    pub struct Message;

    #[derive(jasper::Event, Serialize, Deserialize)]
    pub struct Event;

    #[derive(jasper::Command, Serialize, Deserialize)]
    pub struct Command;

    #[jasper::handler]
    pub async fn message(_: Message) -> (Event, Command) {
        (Event, Command)
    }

    #[jasper::handler]
    pub async fn command(_: Command) {}
}

/// Messages with the names of what the traits of jasper call their parameters.
mod named_as_parameters {
    use serde::{Deserialize, Serialize};

    #[derive(jasper::Command, Serialize, Deserialize)]
    pub struct OneHandler;

    #[derive(jasper::Command, Serialize, Deserialize)]
    pub struct Proof;

    #[derive(jasper::Command, Serialize, Deserialize)]
    pub struct M;

    #[derive(jasper::Command, Serialize, Deserialize)]
    pub struct H;

    #[derive(jasper::Command, Serialize, Deserialize)]
    pub struct By;

    #[jasper::handler]
    pub async fn one_handler(_: OneHandler) -> (Proof, M, H, By) {
        (Proof, M, H, By)
    }

    #[jasper::handler(queue = "proof")]
    pub async fn proof(_: Proof) {}

    #[jasper::handler(queue = "proof")]
    pub async fn m(_: M) {}

    #[jasper::handler(queue = "proof")]
    pub async fn h(_: H) {}

    #[jasper::handler(queue = "proof")]
    pub async fn by(_: By) {}
}

/// Messages with the names of what jasper itself is made of.
mod named_as_jasper {
    use serde::{Deserialize, Serialize};

    #[derive(jasper::Command, Serialize, Deserialize)]
    pub struct Handler;

    #[derive(jasper::Command, Serialize, Deserialize)]
    pub struct Handled;

    #[derive(jasper::Event, Serialize, Deserialize)]
    pub struct Reply;

    #[derive(jasper::Event, Serialize, Deserialize)]
    pub struct State;

    #[jasper::handler]
    pub async fn handler(_: Handler) -> (Handled, Reply, State) {
        (Handled, Reply, State)
    }

    #[jasper::handler]
    pub async fn handled(_: Handled) {}
}

/// Types with the names of the prelude of Rust.
mod shadowed_prelude {
    #![allow(non_camel_case_types)]

    use serde::{Deserialize, Serialize};

    pub struct Option;
    pub struct Result;
    pub struct Some;
    pub struct Send;
    pub struct Self_;
    pub struct Box;
    pub struct Vec;
    pub mod core {}
    pub mod jasper {}

    #[derive(::jasper::Command, Serialize, Deserialize)]
    #[command(deliver_within = "1h")]
    pub struct Place;

    #[::jasper::handler(attempts = 3, delays = ["1s"], timeout = "5s", concurrency = 2)]
    pub async fn place(_: Place, _: ::jasper::Bus) -> ::core::option::Option<Placed> {
        ::core::option::Option::None
    }

    #[derive(::jasper::Event, Serialize, Deserialize)]
    pub struct Placed;
}

/// No prelude at all, neither for messages nor for handlers.
mod no_implicit_prelude {
    pub mod messages {
        #![no_implicit_prelude]

        use ::jasper::{Bus, Command, Event, SendError};
        use ::serde::{Deserialize, Serialize};

        #[derive(Command, Serialize, Deserialize)]
        #[command(name = "bare.place", version = 2, deliver_within = "1h")]
        pub struct Place;

        #[derive(Command, Serialize, Deserialize)]
        #[command(to = "shipping", reply = u8)]
        pub struct Ship;

        #[derive(Event, Serialize, Deserialize)]
        pub struct Placed;

        pub async fn send(bus: &Bus) -> ::std::result::Result<(), SendError> {
            bus.send(Place).await?;
            ::std::result::Result::Ok(())
        }
    }

    pub mod handlers {
        #![no_implicit_prelude]

        use ::jasper::{Bus, HandlerError, durable, handler};
        use ::sqlx::SqliteConnection;
        use ::std::option::Option;
        use ::std::result::Result;

        use super::messages::{Place, Placed, Ship};

        #[handler(queue = "bare", attempts = 3, delays = ["1s"], timeout = "5s")]
        #[durable(share = 5)]
        pub async fn place(
            _: Place,
            _: &mut SqliteConnection,
            _: Bus,
        ) -> Result<(Placed, Option<Ship>), HandlerError> {
            Result::Ok((Placed, Option::Some(Ship)))
        }
    }
}

/// jasper behind the front of a company.
mod facade {
    pub mod company {
        pub use jasper as messaging;
    }

    use company::messaging::{Bus, Command, Event, SendError, handler};
    use serde::{Deserialize, Serialize};

    #[derive(Command, Serialize, Deserialize)]
    #[command(crate = crate::hygiene::facade::company::messaging)]
    pub struct Place;

    #[derive(Event, Serialize, Deserialize)]
    #[event(crate = "crate::hygiene::facade::company::messaging")]
    pub struct Placed;

    #[handler(crate = crate::hygiene::facade::company::messaging)]
    pub async fn place(_: Place) -> Placed {
        Placed
    }

    pub async fn send(bus: &Bus) -> Result<(), SendError> {
        bus.send(Place).await?;
        Ok(())
    }
}

/// The attributes under other names, in both orders.
mod attributes_under_other_names {
    use jasper::{Command, durable as transactional, handler as on_message};
    use serde::{Deserialize, Serialize};
    use sqlx::SqliteConnection;

    #[derive(Command, Serialize, Deserialize)]
    pub struct One;

    #[derive(Command, Serialize, Deserialize)]
    pub struct Two;

    #[derive(Command, Serialize, Deserialize)]
    pub struct Three;

    #[on_message]
    pub async fn one(_: One) {}

    #[on_message]
    #[jasper::durable]
    pub async fn two(_: Two, _: &mut SqliteConnection) {}

    #[transactional(share = 5)]
    #[on_message(queue = "three")]
    pub async fn three(_: Three, _: &mut SqliteConnection) {}
}

/// The attributes imported by their names, in both orders.
mod attributes_imported {
    use jasper::{Command, durable, handler};
    use serde::{Deserialize, Serialize};
    use sqlx::SqliteConnection;

    #[derive(Command, Serialize, Deserialize)]
    pub struct First;

    #[handler]
    #[durable]
    pub async fn first(_: First, _: &mut SqliteConnection) {}

    pub mod other_order {
        use jasper::{Command, durable, handler};
        use serde::{Deserialize, Serialize};
        use sqlx::SqliteConnection;

        #[derive(Command, Serialize, Deserialize)]
        pub struct Second;

        #[durable]
        #[handler]
        pub async fn second(_: Second, _: &mut SqliteConnection) {}
    }
}

/// Lifetimes with names, and the one without.
mod lifetimes {
    use jasper::prelude::*;
    use serde::{Deserialize, Serialize};
    use sqlx::SqliteConnection;

    #[derive(Command, Serialize, Deserialize)]
    pub struct One;

    #[derive(Command, Serialize, Deserialize)]
    pub struct Two;

    #[derive(Command, Serialize, Deserialize)]
    pub struct Three;

    #[handler]
    #[durable]
    pub async fn one<'c>(_: One, db: &'c mut SqliteConnection) -> sqlx::Result<()> {
        sqlx::query("select 1").execute(db).await?;
        Ok(())
    }

    #[handler]
    #[durable]
    pub async fn two(_: Two, _: &'_ mut SqliteConnection) {}

    #[handler]
    pub async fn three<'a>(_: Three, names: State<&'static str>) -> Option<Two> {
        (names.len() == 3).then_some(Two)
    }
}

/// Conditions on arguments, of a handler and of what it returns.
mod conditions_on_arguments {
    use jasper::prelude::*;
    use serde::{Deserialize, Serialize};
    use sqlx::SqliteConnection;

    #[derive(Command, Serialize, Deserialize)]
    pub struct One;

    #[derive(Command, Serialize, Deserialize)]
    pub struct Two;

    #[cfg(windows)]
    pub struct Registry;

    #[handler]
    pub async fn one(
        _: One,
        #[cfg(windows)] _registry: State<Registry>,
        #[cfg(not(windows))] bus: Bus,
    ) -> Result<(), HandlerError> {
        #[cfg(not(windows))]
        bus.send(Two).await?;
        Ok(())
    }

    #[handler]
    #[durable]
    pub async fn two(
        _: Two,
        #[cfg(windows)] _: &mut Registry,
        #[cfg(not(windows))] _: &mut SqliteConnection,
        #[cfg(all())] _: Envelope,
    ) {
    }
}

/// Handlers and messages that a `macro_rules` of the user's writes.
mod from_macro_rules {
    macro_rules! entity {
        ($create:ident, $created:ident, $function:ident, $id:ty) => {
            #[derive(jasper::Command, serde::Serialize, serde::Deserialize)]
            pub struct $create {
                pub id: $id,
            }

            #[derive(jasper::Event, serde::Serialize, serde::Deserialize)]
            pub struct $created {
                pub id: $id,
            }

            #[jasper::handler]
            pub async fn $function(cmd: $create, _bus: jasper::Bus) -> Option<$created> {
                Some($created { id: cmd.id })
            }
        };
    }

    entity!(CreateOrder, OrderCreated, create_order, u64);
    entity!(CreateUser, UserCreated, create_user, String);
}

/// Other attributes above and below.
mod other_attributes {
    use jasper::prelude::*;
    use serde::{Deserialize, Serialize};

    #[derive(Command, Serialize, Deserialize)]
    pub struct One;

    /// Documented.
    #[inline]
    #[handler]
    #[must_use]
    #[allow(clippy::unused_async)]
    /// And again.
    pub async fn one(_: One) {}

    #[cfg(windows)]
    #[handler]
    pub async fn another(_: One) {}

    #[cfg_attr(not(windows), handler)]
    pub async fn two(_: Two) {}

    #[derive(Command, Serialize, Deserialize)]
    pub struct Two;
}

/// Names that have to be written with `r#`.
mod raw_names {
    use jasper::prelude::*;
    use serde::{Deserialize, Serialize};

    #[derive(Command, Serialize, Deserialize)]
    pub struct r#Type {
        pub r#async: bool,
    }

    #[handler]
    pub async fn r#async(r#type: r#Type, r#loop: State<u32>) {
        let _ = (r#type.r#async, *r#loop);
    }
}

/// Arguments with the names of what generated code calls its own.
mod argument_names {
    use jasper::prelude::*;
    use serde::{Deserialize, Serialize};

    #[derive(Command, Serialize, Deserialize)]
    pub struct One;

    #[handler]
    pub async fn run(
        message: One,
        cx: State<u32>,
        codec: State<u64>,
        run: Bus,
        argument_0: Envelope,
    ) {
        let _ = (message, cx, codec, run, argument_0);
    }
}

/// Constants and functions with the names of arguments and of generated code.
mod constants_named_as_arguments {
    #![allow(non_upper_case_globals)]

    use jasper::prelude::*;
    use serde::{Deserialize, Serialize};

    pub const message: u32 = 1;
    pub const cx: u32 = 2;
    pub const codec: u32 = 3;
    pub const argument_0: u32 = 4;
    pub static run: u32 = 5;

    #[derive(Command, Serialize, Deserialize)]
    pub struct One;

    #[handler]
    pub async fn one(_: One, _: Bus) {}
}
