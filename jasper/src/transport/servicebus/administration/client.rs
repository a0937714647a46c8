//! A client for the management of a namespace.

use std::time::Duration;

use bytes::Bytes;
use http_body_util::{BodyExt, Full, Limited};
use hyper::client::conn::http1::{self, SendRequest};
use hyper::header::{AUTHORIZATION, CONTENT_TYPE, HOST, USER_AGENT};
use hyper::{Method, Request, StatusCode};
use hyper_util::rt::TokioIo;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::task::JoinSet;
use tokio::time::timeout;
use tokio_rustls::TlsConnector;

use super::super::failure::Fault;
use super::super::settings::Reached;
use super::super::token::{TokenKind, token};
use crate::transport::TransportError;
use crate::transport::cause::Cause;
use crate::transport::connect::connect;
use crate::transport::xml::Element;

const VERSION: &str = "2021-05";
const ENTRY: &str = "application/atom+xml;type=entry;charset=utf-8";
/// The most bytes of an answer.
const MOST: usize = 4 * 1024 * 1024;
/// What is left as it is in a path: letters, digits and these.
const ENCODED: &AsciiSet =
    &NON_ALPHANUMERIC.remove(b'-').remove(b'_').remove(b'.').remove(b'~').remove(b'/').remove(b'$');

/// Why the service has not done what it was asked for.
#[derive(Debug, Clone)]
pub(in super::super) enum Failed {
    /// It cannot be reached, or has not answered.
    Gone(Cause),
    /// It says no.
    Refused(String),
}

impl Failed {
    pub(in super::super) fn not_sent(self, address: &str) -> TransportError {
        let words = |why: &str| format!("the management of the namespace: {why}");
        match self {
            Self::Gone(cause) => Cause::from(words(&cause.to_string())).unreachable(address),
            Self::Refused(why) => Cause::from(words(&why)).rejected(address),
        }
    }
}

/// What became of an entity that was to be made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in super::super) enum Put {
    Made,
    /// Another process has made it before.
    WasThere,
}

/// A connection on which one thing is asked for after the other.
#[derive(Debug)]
pub(in super::super) struct Administrator {
    reached: Reached,
    sender: SendRequest<Full<Bytes>>,
    patience: Duration,
    /// Ends with it.
    _driving: JoinSet<()>,
}

impl Administrator {
    /// Connects.
    ///
    /// # Errors
    /// The service cannot be reached.
    pub(in super::super) async fn connect(
        reached: Reached,
        patience: Duration,
    ) -> Result<Self, Failed> {
        let connecting = async {
            let namespace = &reached.namespace;
            let stream = connect(&namespace.host, namespace.management_port).await?;
            stream.set_nodelay(true)?;
            let Some((config, name)) = reached.tls.clone() else {
                return Ok(Self::handshake(stream).await);
            };
            let stream = TlsConnector::from(config).connect(name, stream).await?;
            Ok(Self::handshake(stream).await)
        };
        let connected = timeout(patience, connecting).await.map_err(|_late| late(patience))?;
        let connected =
            connected.map_err(|error: std::io::Error| Failed::Gone(Cause::of(error)))?;
        let (sender, driving) = connected.map_err(|error| Failed::Gone(Cause::of(error)))?;
        Ok(Self { reached, sender, patience, _driving: driving })
    }

    async fn handshake<S>(stream: S) -> hyper::Result<(SendRequest<Full<Bytes>>, JoinSet<()>)>
    where
        S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        let (sender, connection) = http1::handshake(TokioIo::new(stream)).await?;
        let mut driving = JoinSet::new();
        driving.spawn(async move {
            if let Err(error) = connection.await {
                tracing::debug!(%error, "the connection of the management has ended");
            }
        });
        Ok((sender, driving))
    }

    /// What is at this path; `None` where there is nothing.
    ///
    /// # Errors
    /// The service cannot be reached, or says no.
    pub(in super::super) async fn get(&mut self, path: &str) -> Result<Option<Element>, Failed> {
        let (status, text) = self.ask(Method::GET, path, String::new()).await?;
        if status == StatusCode::NOT_FOUND {
            return Ok(None);
        }
        if status != StatusCode::OK {
            return Err(refused(status, &text));
        }
        let answer = Element::read(&text).map_err(|why| {
            Failed::Refused(format!("it answers with what cannot be read: {why}"))
        })?;
        Ok(Some(answer))
    }

    /// Makes what is not there.
    ///
    /// # Errors
    /// As [`get`](Self::get).
    pub(in super::super) async fn put(
        &mut self,
        path: &str,
        entry: &Element,
    ) -> Result<Put, Failed> {
        let (status, text) = self.ask(Method::PUT, path, entry.document()).await?;
        match status {
            StatusCode::OK | StatusCode::CREATED => Ok(Put::Made),
            StatusCode::CONFLICT => Ok(Put::WasThere),
            status => Err(refused(status, &text)),
        }
    }

    async fn ask(
        &mut self,
        method: Method,
        path: &str,
        body: String,
    ) -> Result<(StatusCode, String), Failed> {
        let patience = self.patience;
        let asked = timeout(patience, self.asked(method, path, body)).await;
        asked.map_err(|_late| late(patience))?
    }

    async fn asked(
        &mut self,
        method: Method,
        path: &str,
        body: String,
    ) -> Result<(StatusCode, String), Failed> {
        let (resource, host) = (self.reached.namespace.resource(path), self.host());
        let (token, kind) = token(&self.reached, &resource).await.map_err(|fault| match fault {
            Fault::Refused(refusal) => Failed::Refused(refusal.to_string()),
            other => Failed::Gone(other.into()),
        })?;
        let authorization = match kind {
            TokenKind::Signature => token.expose().to_owned(),
            TokenKind::Entra => format!("Bearer {}", token.expose()),
        };
        let path = utf8_percent_encode(path, ENCODED);
        let request = Request::builder()
            .method(method)
            .uri(format!("/{path}?api-version={VERSION}"))
            .header(HOST, host)
            .header(USER_AGENT, concat!("jasper/", env!("CARGO_PKG_VERSION")))
            .header(CONTENT_TYPE, ENTRY)
            .header(AUTHORIZATION, authorization)
            .body(Full::from(body))
            // What it says may have the token in it.
            .map_err(|_error| Failed::Refused("a token that no header can have".to_owned()))?;
        let gone = |error: hyper::Error| Failed::Gone(Cause::of(error));
        self.sender.ready().await.map_err(gone)?;
        let response = self.sender.send_request(request).await.map_err(gone)?;
        let status = response.status();
        let body = Limited::new(response.into_body(), MOST).collect().await;
        let body = body.map_err(|error| Failed::Gone(Cause::from(error.to_string())))?;
        Ok((status, String::from_utf8_lossy(&body.to_bytes()).into_owned()))
    }

    fn host(&self) -> String {
        self.reached.namespace.management_host()
    }
}

fn late(patience: Duration) -> Failed {
    Failed::Gone(Cause::from(format!("it did not answer within {patience:?}")))
}

fn refused(status: StatusCode, text: &str) -> Failed {
    let error = Element::read(text).ok();
    let detail = error.as_ref().and_then(|error| error.child_text("Detail"));
    let words = match detail {
        Some(detail) => format!("{detail} ({status})"),
        None => format!("it answers with {status}"),
    };
    let passes = status == StatusCode::SERVICE_UNAVAILABLE
        || status == StatusCode::TOO_MANY_REQUESTS
        || status == StatusCode::INTERNAL_SERVER_ERROR;
    if passes { Failed::Gone(Cause::from(words)) } else { Failed::Refused(words) }
}
