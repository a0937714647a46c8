//! How two sides come to know each other, before any message is read.
//!
//! The side that dialled proves itself first: a stranger who dials gets nothing that was computed
//! with a key, and so nothing to guess the key by.

mod client;
mod proof;
mod server;
mod wire;

pub(super) use self::client::{Agreed, ClientError, greet};
pub(super) use self::server::{AcceptedPeer, WelcomeError, Welcoming, turn_away, welcome};

#[cfg(test)]
mod tests;
