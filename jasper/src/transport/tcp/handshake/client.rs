//! The side that dialled.

use std::io;

use tokio::io::{AsyncRead, AsyncWrite};

use super::super::budget::Allowance;
use super::super::frame::{Frame, FrameError, HEAD, Hello, LENGTH, Welcome};
use super::super::limits::{CEILING, FLOOR, Limits, MOST_IN_FLIGHT};
use super::super::peer::SharedKey;
use super::super::reader::{FrameReader, RawFrame, ReadError, ReadLimits};
use super::super::streams::{Binding, tls_error};
use super::proof::{Role, Transcript, nonce};
use super::wire::{HIGHEST, LOWEST, looks_like_tls, write};
use crate::error_text::on_one_line;
use crate::transport::cause::Cause;

/// What the side that listens takes, as both know now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in super::super) struct Agreed {
    /// The largest frame, as its length counts.
    pub(in super::super) frame: usize,
    pub(in super::super) window: usize,
    pub(in super::super) batches: usize,
    pub(in super::super) requests: usize,
}

/// Why the two do not come together.
#[derive(Debug, Clone, thiserror::Error)]
pub(in super::super) enum ClientError {
    /// One does not accept the other.
    #[error("{0}")]
    Rejected(Cause),
    /// The connection does not last.
    #[error("{0}")]
    Gone(Cause),
}

impl From<io::Error> for ClientError {
    fn from(error: io::Error) -> Self {
        match tls_error(&error).map(|tls| format!("TLS failed: {}", on_one_line(&tls.to_string())))
        {
            Some(why) => Self::Rejected(Cause::because(why, error)),
            None => Self::Gone(Cause::of(error)),
        }
    }
}

impl From<ReadError> for ClientError {
    fn from(error: ReadError) -> Self {
        match error {
            ReadError::Io(error) => error.into(),
            ReadError::Frame(FrameError::TooLarge { length, .. }) if looks_like_tls(length) => {
                Self::Rejected("it speaks TLS, and this side has none: give it `.tls(…)`".into())
            }
            ReadError::Frame(error) => {
                let why = format!("it does not speak jasper's protocol: it sent {error}");
                Self::Rejected(Cause::because(why, error))
            }
            other => Self::Gone(Cause::of(other)),
        }
    }
}

/// Says who this side is and finds out who the other is.
///
/// # Errors
/// The sides do not accept each other, or the connection fails.
pub(in super::super) async fn greet<R: AsyncRead + Unpin>(
    reader: &mut FrameReader<R>,
    writer: &mut (impl AsyncWrite + Unpin),
    identity: Option<&SharedKey>,
    binding: Option<&Binding>,
    limits: &Limits,
) -> Result<Agreed, ClientError> {
    let hello = Hello {
        lowest: LOWEST,
        highest: HIGHEST,
        nonce: nonce().map_err(|why| ClientError::Gone(why.into()))?,
        frame: u32::try_from(limits.frame).unwrap_or(u32::MAX),
        key_id: identity.map(|key| key.id().to_owned()).unwrap_or_default(),
    };
    let hello = write(writer, Frame::Hello(hello)).await?;
    let raw = next(reader, limits).await?;
    let welcome = raw.body.clone();
    let agreed = match decode(raw)? {
        Frame::Welcome(welcome) => agree(&welcome, limits)?,
        other => return Err(out_of_place(&other)),
    };
    let said = Transcript { hello: &hello[HEAD..], welcome: &welcome, binding };
    let proof = identity.map(|key| said.prove(Role::Client, key.hmac()));
    write(writer, Frame::Proof(proof)).await?;
    let proof = match decode(next(reader, limits).await?)? {
        Frame::Ready(proof) => proof,
        other => return Err(out_of_place(&other)),
    };
    if let Some(key) = identity {
        let is_proved = proof.is_some_and(|proof| said.verify(Role::Server, key.hmac(), &proof));
        if !is_proved {
            let id = key.id();
            let why = format!("the other side cannot prove that it has the key `{id}`");
            return Err(ClientError::Rejected(why.into()));
        }
    }
    Ok(agreed)
}

async fn next<R: AsyncRead + Unpin>(
    reader: &mut FrameReader<R>,
    limits: &Limits,
) -> Result<RawFrame, ClientError> {
    let patience =
        ReadLimits { limit: limits.first_frame, idle: limits.handshake, frame: limits.handshake };
    let raw = reader.next(patience, &Allowance::unbounded()).await?;
    raw.ok_or_else(|| ClientError::Gone("it ended the connection during the handshake".into()))
}

fn decode(raw: RawFrame) -> Result<Frame, ClientError> {
    let frame = Frame::decode(raw.kind, raw.body).map_err(ReadError::from)?;
    match frame {
        Frame::Rejected(rejected) => Err(ClientError::Rejected(
            format!("it says ({}) {}", rejected.code, rejected.why).into(),
        )),
        frame => Ok(frame),
    }
}

fn out_of_place(_frame: &Frame) -> ClientError {
    ClientError::Rejected("it does not keep to the order of the handshake".into())
}

fn agree(welcome: &Welcome, limits: &Limits) -> Result<Agreed, ClientError> {
    let version = welcome.version;
    if !(LOWEST..=HIGHEST).contains(&version) {
        let why = format!(
            "it chose version {version} of the protocol, and this side speaks {LOWEST} to {HIGHEST}"
        );
        return Err(ClientError::Rejected(why.into()));
    }
    let number = |number: u32| usize::try_from(number).unwrap_or(usize::MAX);
    // No listener of jasper's takes less; one that does would make dead letters of all messages.
    if number(welcome.frame.min(welcome.window)) < FLOOR
        || welcome.batches.min(welcome.requests) == 0
    {
        let why = format!(
            "it takes frames of {} bytes, {} bytes, {} batches and {} requests at once, and no \
             listener may take less than {FLOOR} bytes and one of each",
            welcome.frame, welcome.window, welcome.batches, welcome.requests
        );
        return Err(ClientError::Rejected(why.into()));
    }
    // A frame has to fit into the window, with its length.
    let in_window = number(welcome.window).saturating_sub(LENGTH);
    let agreed = Agreed {
        frame: number(welcome.frame).min(in_window).min(limits.frame),
        // A listener that takes more than any may is given no more than any may take.
        window: number(welcome.window).min(CEILING + LENGTH),
        batches: number(welcome.batches).min(MOST_IN_FLIGHT),
        requests: number(welcome.requests).min(MOST_IN_FLIGHT),
    };
    Ok(agreed)
}
