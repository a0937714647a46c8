//! How two sides come to know each other, before any message is read.
//!
//! The side that dialled proves itself first: a stranger who dials gets nothing that was computed
//! with a key, and so nothing to guess the key by.

mod client;
mod proof;
mod server;

use std::io;

use tokio::io::{AsyncWrite, AsyncWriteExt};

use super::frame::Frame;

pub(super) use self::client::{Agreed, ClientError, greet};
pub(super) use self::proof::{Binding, EXPORTER};
pub(super) use self::server::{Accepted, Refusal, Welcoming, turn_away, welcome};

/// The versions of the protocol that this build speaks.
const LOWEST: u8 = 1;
const HIGHEST: u8 = 1;

async fn write(stream: &mut (impl AsyncWrite + Unpin), frame: Frame) -> io::Result<Vec<u8>> {
    let bytes = frame.encode().into_segments().concat();
    stream.write_all(&bytes).await?;
    stream.flush().await?;
    Ok(bytes)
}

/// The first two bytes of the length, where the other side speaks TLS to a side that does not: the
/// kind of its record, and the first half of a version.
fn looks_like_tls(length: usize) -> bool {
    matches!(length >> 16, 0x1603 | 0x1503)
}

#[cfg(test)]
mod tests;
