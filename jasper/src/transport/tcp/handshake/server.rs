//! The side that listens.

use std::io;
use std::net::IpAddr;
use std::sync::Arc;

use ring::hmac;
use ring::rand::SystemRandom;
use rustls::pki_types::CertificateDer;
use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt};

use super::super::budget::Allowance;
use super::super::frame::{Frame, FrameError, HEAD, Hello, Proof, RejectCode, Rejected, Welcome};
use super::super::limits::Limits;
use super::super::peer::{Peer, Peers, SharedKey};
use super::super::reader::{FrameReader, RawFrame, ReadError, ReadLimits};
use super::super::shares::{Place, Places, ShareOwner};
use super::super::streams::Binding;
use super::proof::{Role, Transcript, nonce};
use super::wire::{HIGHEST, LOWEST, looks_like_tls, write};

/// What decides about a connection.
#[derive(Debug)]
pub(in super::super) struct Welcoming<'a> {
    pub(in super::super) limits: &'a Limits,
    pub(in super::super) peers: &'a Peers,
    pub(in super::super) places: &'a Places,
    /// Where the other side is.
    pub(in super::super) from: IpAddr,
    pub(in super::super) binding: Option<&'a Binding>,
    pub(in super::super) certificate: Option<&'a CertificateDer<'static>>,
}

/// A connection that is taken.
#[derive(Debug)]
pub(in super::super) struct AcceptedPeer {
    /// Who it is; `None` where no proof is asked for.
    pub(in super::super) peer: Option<Arc<Peer>>,
    /// The largest frame that the other side takes.
    pub(in super::super) frame: usize,
    /// Its place among all connections.
    pub(in super::super) place: Place,
}

/// Why a connection is not taken.
#[derive(Debug)]
pub(in super::super) enum WelcomeError {
    /// The other side did wrong, or cannot have what it asks for, and gets an answer that says so.
    Rejected(Rejected),
    /// The other side went away, as a port scan and a health check do.
    Gone(String),
}

impl WelcomeError {
    fn new(code: RejectCode, why: impl Into<String>) -> Self {
        Self::Rejected(Rejected { code, why: why.into() })
    }
}

impl From<io::Error> for WelcomeError {
    fn from(error: io::Error) -> Self {
        Self::Gone(error.to_string())
    }
}

impl From<ReadError> for WelcomeError {
    fn from(error: ReadError) -> Self {
        match error {
            ReadError::Frame(FrameError::TooLarge { length, .. }) if looks_like_tls(length) => {
                Self::new(RejectCode::Protocol, "it speaks TLS, and this listener has none")
            }
            ReadError::Frame(error @ FrameError::TooLarge { .. }) => {
                Self::new(RejectCode::FrameSize, format!("it sent {error}"))
            }
            ReadError::Frame(error) => Self::new(RejectCode::Protocol, format!("it sent {error}")),
            error @ (ReadError::Idle(_) | ReadError::Slow(_)) => {
                Self::new(RejectCode::Deadline, error.to_string())
            }
            error @ (ReadError::CutOff | ReadError::Io(_)) => Self::Gone(error.to_string()),
        }
    }
}

/// Finds out who the other side is and says who this one is.
///
/// # Errors
/// The other side is not accepted. It has no answer yet.
pub(in super::super) async fn welcome<R: AsyncRead + Unpin>(
    reader: &mut FrameReader<R>,
    writer: &mut (impl AsyncWrite + Unpin),
    welcoming: &Welcoming<'_>,
) -> Result<AcceptedPeer, WelcomeError> {
    let limits = welcoming.limits;
    let raw = next(reader, limits).await?;
    let said_hello = raw.body.clone();
    let hello = match decode(raw)? {
        Frame::Hello(hello) => hello,
        _ => return Err(out_of_place()),
    };
    let version = choose(&hello)?;
    let welcome = Welcome {
        version,
        nonce: nonce().map_err(|why| WelcomeError::Gone(why.to_owned()))?,
        frame: wire(limits.frame),
        window: wire(limits.open_window()),
        batches: wire(limits.batches),
        requests: wire(limits.requests),
    };
    let said_welcome = write(writer, Frame::Welcome(welcome)).await?;
    let proof = match decode(next(reader, limits).await?)? {
        Frame::Proof(proof) => proof,
        _ => return Err(out_of_place()),
    };
    let said = Transcript {
        hello: &said_hello,
        welcome: &said_welcome[HEAD..],
        binding: welcoming.binding,
    };
    let known = identify(welcoming, &hello.key_id, proof, &said)?;
    let owner = known.as_ref().map(|(peer, _key)| ShareOwner::Peer(Arc::clone(peer.name())));
    let owner = owner.unwrap_or(ShareOwner::Address(welcoming.from));
    let place = welcoming.places.take(owner);
    let place = place.map_err(|why| WelcomeError::new(RejectCode::Limit, why))?;
    let proof = known
        .as_ref()
        .and_then(|(_peer, key)| key.as_ref())
        .map(|key| said.prove(Role::Server, key.hmac()));
    write(writer, Frame::Ready(proof)).await?;
    let frame = usize::try_from(hello.frame).unwrap_or(usize::MAX);
    Ok(AcceptedPeer { peer: known.map(|(peer, _key)| peer), frame, place })
}

/// Sends the other side the reason why it is not accepted, and waits until it has ended the
/// connection: a socket that is closed with bytes unread takes back what it has sent.
pub(in super::super) async fn turn_away<R: AsyncRead + Unpin>(
    reader: &mut FrameReader<R>,
    writer: &mut (impl AsyncWrite + Unpin),
    rejected: Rejected,
) {
    if write(writer, Frame::Rejected(rejected)).await.is_ok() {
        let _ended = writer.shutdown().await;
        reader.drain().await;
    }
}

type Known = (Arc<Peer>, Option<SharedKey>);

/// Who the other side is. A key that no peer has, a proof that is wrong and a certificate that does
/// not belong to the key take the same time and get the same answer.
fn identify(
    welcoming: &Welcoming<'_>,
    key_id: &str,
    proof: Option<Proof>,
    said: &Transcript<'_>,
) -> Result<Option<Known>, WelcomeError> {
    let certificate = welcoming.certificate;
    if key_id.is_empty() {
        if welcoming.peers.is_empty() {
            return Ok(None);
        }
        let peer = welcoming.peers.certified(certificate).ok_or_else(|| {
            let why = "this listener takes known peers only: it wants the key or the certificate \
                       of one";
            WelcomeError::new(RejectCode::Auth, why)
        })?;
        return Ok(Some((Arc::clone(peer), None)));
    }
    let nobodys = hmac::Key::generate(hmac::HMAC_SHA256, &SystemRandom::new())
        .map_err(|_error| WelcomeError::Gone("the system has no random bytes".to_owned()))?;
    let found = welcoming.peers.with_key(key_id);
    let key = found.map_or(&nobodys, |(_peer, key)| key.hmac());
    let is_proved = said.verify(Role::Client, key, &proof.unwrap_or_default());
    match found {
        Some((peer, key)) if is_proved && Peers::is_complete(peer, certificate) => {
            Ok(Some((Arc::clone(peer), Some(key.clone()))))
        }
        _ => {
            let why = "the name of the key, its secret or the certificate is not that of a peer";
            Err(WelcomeError::new(RejectCode::Auth, why))
        }
    }
}

/// The highest version that both speak.
fn choose(hello: &Hello) -> Result<u8, WelcomeError> {
    let (lowest, highest) = (hello.lowest, hello.highest);
    let version = highest.min(HIGHEST);
    if version < lowest.max(LOWEST) {
        let why = format!(
            "the other side speaks version {lowest} to {highest} of the protocol, and this one \
             {LOWEST} to {HIGHEST}"
        );
        return Err(WelcomeError::new(RejectCode::Version, why));
    }
    Ok(version)
}

fn wire(number: usize) -> u32 {
    u32::try_from(number).unwrap_or(u32::MAX)
}

async fn next<R: AsyncRead + Unpin>(
    reader: &mut FrameReader<R>,
    limits: &Limits,
) -> Result<RawFrame, WelcomeError> {
    let patience =
        ReadLimits { limit: limits.first_frame, idle: limits.handshake, frame: limits.handshake };
    let raw = reader.next(patience, &Allowance::unbounded()).await?;
    raw.ok_or_else(|| WelcomeError::Gone("it ended the connection".to_owned()))
}

fn decode(raw: RawFrame) -> Result<Frame, WelcomeError> {
    Ok(Frame::decode(raw.kind, raw.body).map_err(ReadError::from)?)
}

fn out_of_place() -> WelcomeError {
    WelcomeError::new(RejectCode::Protocol, "it does not keep to the order of the handshake")
}
