//! The guide to jasper: from the first message to running it, page by page.
//!
//! The same pages lie as files in `jasper/src/docs`. The test command compiles every example, and
//! runs those that need nothing else.
//!
//! | page | what it is about |
//! | --- | --- |
//! | [`getting_started`] | from an empty folder to a `kill -9` and a test |
//! | [`handlers`] | names and versions; what a handler takes, returns and fails with |
//! | [`routing`] | what the compiler proves; each of its errors, and what to do |
//! | [`guarantees`] | transactions, what is promised, and what a crash does at each point |
//! | [`failures`] | attempts, delays, dead letters and invalid messages |
//! | [`queues`] | local queues: what is stored, in what order, how many at once |
//! | [`endpoints`] | messages between processes |
//! | [`tcp`], [`rabbitmq`], [`servicebus`] | one page for each transport; [`wire_protocol`] has the bytes of `tcp://`, [`servicebus_entities`] how queues are made |
//! | [`memory`], [`sqlite`], [`postgres`], [`mysql`], [`sqlserver`] | one page for each store |
//! | [`testing`] | handlers, whole applications, and what a message causes |
//! | [`operating`] | nodes, leases, what to watch, backups, upgrades |
//! | [`performance`] | what it costs, beside hand-written loops |
//! | [`errors`] | the errors at start, at `send` and in the log, by their names |
//! | [`defaults`] | every option, default and limit |
//! | [`questions`] | what newcomers ask, and where it is answered |
//! | [`coming_from`] | from Wolverine, apalis, or a table of your own |
//! | [`writing_a_store`] | a store of your own: the port, and the clauses that it has to keep |
//! | [`writing_a_transport`] | a transport of your own, with a whole small one |

/// The pages, as modules. Their texts link to each other as files, by definitions at their ends;
/// what is defined first goes first, and so the links lead to the modules here.
macro_rules! pages {
    ($($name:ident: $file:literal,)+) => {
        pages!(@each concat!($(
            "[", stringify!($name), "]: crate::guide::", stringify!($name), "\n"
        ),+) => $($name: $file,)+);
    };
    (@each $links:expr => $($name:ident: $file:literal,)+) => {
        $(
            #[doc = $links]
            #[doc = include_str!(concat!("docs/", $file))]
            pub mod $name {}
        )+
    };
}

pages! {
    getting_started: "getting_started.md",
    handlers: "handlers.md",
    routing: "routing.md",
    guarantees: "guarantees.md",
    failures: "failures.md",
    queues: "queues.md",
    endpoints: "endpoints.md",
    tcp: "tcp.md",
    wire_protocol: "wire_protocol.md",
    rabbitmq: "rabbitmq.md",
    servicebus: "servicebus.md",
    servicebus_entities: "servicebus_entities.md",
    memory: "memory.md",
    sqlite: "sqlite.md",
    postgres: "postgres.md",
    mysql: "mysql.md",
    sqlserver: "sqlserver.md",
    testing: "testing.md",
    operating: "operating.md",
    performance: "performance.md",
    errors: "errors.md",
    defaults: "defaults.md",
    questions: "questions.md",
    coming_from: "coming_from.md",
    writing_a_store: "writing_a_store.md",
    writing_a_transport: "writing_a_transport.md",
}

/// The page of the repository, whose example compiles too.
#[cfg(doctest)]
#[doc = include_str!("../../README.md")]
pub mod readme {}
