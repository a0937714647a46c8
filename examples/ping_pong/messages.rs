//! What the two programs say to each other.

use jasper::Command;
use serde::{Deserialize, Serialize};

/// Asks for a pong.
#[derive(Debug, Command, Serialize, Deserialize)]
#[command(name = "ping", to = "ponger")]
pub(crate) struct Ping {
    pub(crate) number: i64,
}

/// Answers a ping.
#[derive(Debug, Command, Serialize, Deserialize)]
#[command(name = "pong", to = "pinger")]
pub(crate) struct Pong {
    pub(crate) number: i64,
}
