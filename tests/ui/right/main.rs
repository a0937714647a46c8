//! What must compile, each module of it, and then run. Linked once for all of them.

pub mod calls;
pub mod errors;
pub mod hygiene;
pub mod messages;
pub mod signatures;
pub mod teams;
pub mod visibility;

/// See `right/handler`.
pub mod handler {
    pub mod arguments;
    pub mod both_orders;
    pub mod conditions;
    pub mod deprecated_and_raw;
    pub mod share;
    pub mod stays_a_function;
    pub mod visibility;
}

/// See `right/message`.
pub mod message {
    pub mod attributes;
    pub mod lints;
    pub mod routed_reply;
}

/// See `right/routing`.
pub mod routing {
    pub mod bus;
    pub mod cascades;
    pub mod handlers_of;
    pub mod invoke_of_a_routed_command;
}

fn main() {
    errors::main();
    handler::both_orders::main();
    handler::deprecated_and_raw::main();
    handler::share::main();
    handler::stays_a_function::main();
    handler::visibility::main();
    message::attributes::main();
    message::routed_reply::main();
    routing::bus::main();
    routing::invoke_of_a_routed_command::main();
}
