//! What the stores in SQL databases have in common: all that is not SQL, and no statement.
//!
//! A store in a SQL database adds its statements and how they are bound, what its errors mean, its
//! connections, and its notification, if the database has one.

// A build without some of the stores does not use what is there for them.
#![cfg_attr(
    not(all(feature = "sqlite", feature = "postgres", feature = "mysql", feature = "sqlserver")),
    allow(dead_code)
)]

pub(super) mod borrowed_connection;
#[cfg(any(feature = "postgres", feature = "mysql", feature = "sqlserver"))]
pub(super) mod coalescer;
pub(super) mod columns;
pub(super) mod conflict;
#[cfg(any(feature = "postgres", feature = "mysql", feature = "sqlserver"))]
pub(super) mod insert_queues;
pub(super) mod key;
pub(super) mod limits;
pub(super) mod meaning;
pub(super) mod migrations;
pub(super) mod names;
pub(super) mod number;
#[cfg(any(feature = "sqlite", feature = "postgres", feature = "mysql"))]
pub(super) mod place;
pub(super) mod placement;
pub(super) mod ports;
pub(super) mod reply;
pub(super) mod rounds;
pub(super) mod schema;
#[cfg(any(feature = "postgres", feature = "sqlserver"))]
pub(super) mod sessions_left;
#[cfg(any(feature = "postgres", feature = "sqlserver"))]
pub(super) mod settlement_kind;
#[cfg(any(feature = "sqlite", feature = "postgres"))]
pub(super) mod sqlx_migrations;
pub(super) mod statements;
#[cfg(any(feature = "postgres", feature = "mysql", feature = "sqlserver"))]
pub(super) mod write_batchers;
