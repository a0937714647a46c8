//! A connection to the management, on which one request follows the other.

use std::time::Duration;

use bytes::Bytes;
use http_body_util::{BodyExt, Full, LengthLimitError, Limited};
use hyper::Request;
use hyper::client::conn::http1::{self, SendRequest};
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::task::JoinSet;
use tokio::time::timeout;
use tokio_rustls::TlsConnector;

use super::super::settings::Reached;
use super::answer::Answer;
use super::failed::Failed;
use crate::transport::cause::Cause;
use crate::transport::connect::connect;

/// The most bytes of an answer.
const MOST: usize = 4 * 1024 * 1024;

/// Why there is no answer.
#[derive(Debug)]
pub(super) enum Unanswered {
    /// The connection has ended before the answer. The request may have been done.
    Ended(Cause),
    /// To ask again would be of no use.
    Failed(Failed),
}

impl From<Failed> for Unanswered {
    fn from(failed: Failed) -> Self {
        Self::Failed(failed)
    }
}

/// An open connection.
#[derive(Debug)]
pub(super) struct Link {
    sender: SendRequest<Full<Bytes>>,
    /// Ends with it.
    _driving: JoinSet<()>,
}

impl Link {
    /// Connects.
    ///
    /// # Errors
    /// The service cannot be reached.
    pub(super) async fn connect(reached: &Reached, patience: Duration) -> Result<Self, Failed> {
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
        connected.map_err(|error| Failed::Gone(Cause::of(error)))
    }

    async fn handshake<S>(stream: S) -> hyper::Result<Self>
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
        Ok(Self { sender, _driving: driving })
    }

    /// Whether the service has not ended it meanwhile.
    pub(super) fn is_usable(&self) -> bool {
        !self.sender.is_closed()
    }

    /// Asks for one thing. The connection is of no use any more where there is no answer.
    ///
    /// # Errors
    /// There is no answer.
    pub(super) async fn ask(
        &mut self,
        request: Request<Full<Bytes>>,
        patience: Duration,
    ) -> Result<Answer, Unanswered> {
        let asked = timeout(patience, self.asked(request)).await;
        asked.map_err(|_late| late(patience))?
    }

    async fn asked(&mut self, request: Request<Full<Bytes>>) -> Result<Answer, Unanswered> {
        let ended = |error: hyper::Error| Unanswered::Ended(Cause::of(error));
        self.sender.ready().await.map_err(ended)?;
        let (head, body) = self.sender.send_request(request).await.map_err(ended)?.into_parts();
        let body = Limited::new(body, MOST).collect().await.map_err(|error| {
            let cause = Cause::from(error.to_string());
            if error.is::<LengthLimitError>() {
                Unanswered::Failed(Failed::Gone(cause))
            } else {
                Unanswered::Ended(cause)
            }
        })?;
        let text = String::from_utf8_lossy(&body.to_bytes()).into_owned();
        Ok(Answer::new(head.status, &head.headers, text))
    }
}

fn late(patience: Duration) -> Failed {
    Failed::Gone(Cause::from(format!("it did not answer within {patience:?}")))
}
