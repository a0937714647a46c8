//! The first layer of a connection: who the client is.

use std::io::ErrorKind;

use bytes::{Buf, BytesMut};
use fe2o3_amqp_types::primitives::{Array, Symbol};
use fe2o3_amqp_types::sasl::{SaslCode, SaslInit, SaslMechanisms, SaslOutcome};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};

use super::access::Access;
use super::shared_access::AccessKey;
use super::wire::{self, AMQP_HEADER, Frame, SASL_FRAME, SASL_HEADER, WireError};

/// In the service's order. Only PLAIN says who it is; the others show tokens later.
const MECHANISMS: [&str; 4] = ["MSSBCBS", "PLAIN", "ANONYMOUS", "EXTERNAL"];

/// Goes through both headers, and SASL where the client wants it.
pub(super) async fn greet<S: AsyncRead + AsyncWrite + Unpin>(
    stream: &mut S,
    buffer: &mut BytesMut,
    key: &AccessKey,
) -> Result<Access, WireError> {
    let mut access = Access::default();
    let mut header = read_header(stream, buffer).await?;
    if header == SASL_HEADER {
        authenticate(stream, buffer, key, &mut access).await?;
        header = read_header(stream, buffer).await?;
    }
    // What the broker speaks, even where the client has asked for something else.
    stream.write_all(&AMQP_HEADER).await?;
    if header == AMQP_HEADER {
        Ok(access)
    } else {
        Err(WireError::Protocol("a header that is neither of AMQP 1.0 nor of SASL"))
    }
}

async fn authenticate<S: AsyncRead + AsyncWrite + Unpin>(
    stream: &mut S,
    buffer: &mut BytesMut,
    key: &AccessKey,
    access: &mut Access,
) -> Result<(), WireError> {
    let mut out = BytesMut::from(&SASL_HEADER[..]);
    let mechanisms = Array(MECHANISMS.map(Symbol::from).to_vec());
    let mechanisms = SaslMechanisms { sasl_server_mechanisms: mechanisms };
    wire::encode(SASL_FRAME, 0, &mechanisms, &mut out)?;
    stream.write_all(&out).await?;
    let init: SaslInit = wire::decode_sasl(&read_frame(stream, buffer).await?)?;
    let is_plain = init.mechanism.as_str() == "PLAIN";
    let response = init.initial_response.unwrap_or_default();
    let is_known = MECHANISMS.contains(&init.mechanism.as_str());
    let is_let_in = is_known && (!is_plain || key.is_plain(&response));
    let code = if is_let_in { SaslCode::Ok } else { SaslCode::Auth };
    let mut out = BytesMut::new();
    wire::encode(SASL_FRAME, 0, &SaslOutcome { code, additional_data: None }, &mut out)?;
    stream.write_all(&out).await?;
    if !is_let_in {
        return Err(WireError::Protocol("a client that SASL did not let in"));
    }
    if is_plain {
        access.open_all();
    }
    Ok(())
}

async fn read_header<S: AsyncRead + Unpin>(
    stream: &mut S,
    buffer: &mut BytesMut,
) -> Result<[u8; 8], WireError> {
    while buffer.len() < 8 {
        fill(stream, buffer).await?;
    }
    let mut header = [0; 8];
    buffer.copy_to_slice(&mut header);
    Ok(header)
}

async fn read_frame<S: AsyncRead + Unpin>(
    stream: &mut S,
    buffer: &mut BytesMut,
) -> Result<Frame, WireError> {
    loop {
        if let Some(frame) = wire::next_frame(buffer)? {
            return Ok(frame);
        }
        fill(stream, buffer).await?;
    }
}

async fn fill<S: AsyncRead + Unpin>(
    stream: &mut S,
    buffer: &mut BytesMut,
) -> Result<(), WireError> {
    match stream.read_buf(buffer).await? {
        0 => Err(std::io::Error::from(ErrorKind::UnexpectedEof).into()),
        _ => Ok(()),
    }
}
