//! What both sides of a handshake write and look at.

use std::io;

use tokio::io::{AsyncWrite, AsyncWriteExt};

use super::super::frame::Frame;

/// The versions of the protocol that this build speaks.
pub(super) const LOWEST: u8 = 1;
pub(super) const HIGHEST: u8 = 1;

/// Writes a frame, and gives its bytes, which belong to the proofs.
pub(super) async fn write(
    stream: &mut (impl AsyncWrite + Unpin),
    frame: Frame,
) -> io::Result<Vec<u8>> {
    let bytes = frame.encode().into_segments().concat();
    stream.write_all(&bytes).await?;
    stream.flush().await?;
    Ok(bytes)
}

/// The first two bytes of the length, where the other side speaks TLS to a side that does not: the
/// kind of its record, and the first half of a version.
pub(super) fn looks_like_tls(length: usize) -> bool {
    matches!(length >> 16, 0x1603 | 0x1503)
}
