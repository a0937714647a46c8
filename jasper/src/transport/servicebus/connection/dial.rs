//! Opening a connection to a namespace.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use fe2o3_amqp::connection::{ConnectionHandle, OpenError};
use fe2o3_amqp::sasl_profile::SaslProfile;
use fe2o3_amqp::session::SessionHandle;
use fe2o3_amqp::{Connection, Session};
use fe2o3_amqp_ws::WebSocketStream;
use futures_util::future::BoxFuture;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::task::AbortHandle;
use tokio::time::timeout;
use tokio_rustls::TlsConnector;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use super::super::failure::{Fault, STOPPED};
use super::super::settings::Reached;
use super::error::DialError;
use super::outcomes::Outcomes;
use super::request_link::RequestLink;
use super::socket::Socket;
use super::tokens::Tokens;
use crate::transport::cause::Cause;
use crate::transport::connect::connect;
use crate::transport::connection_end::{a_moment_after, unless_ended};
use crate::transport::counted::Counted;
use crate::transport::shared_connection::Dial;

/// All that is needed to dial one namespace.
#[derive(Debug)]
pub(in super::super) struct Dialler {
    pub(in super::super) reached: Reached,
    /// How the connection is called at the broker.
    pub(in super::super) name: String,
    pub(in super::super) patience: Duration,
}

/// The one connection to a namespace for one direction.
pub(in super::super) type BrokerConnection =
    crate::transport::shared_connection::SharedConnection<Dialler>;

/// What either side may put into one frame, in bytes.
const FRAME: u32 = 64 * 1024;
/// After how much silence of the broker the connection has ended, in milliseconds.
const SILENCE: u32 = 60_000;

/// An open connection.
#[derive(Debug)]
pub(in super::super) struct Connected {
    connection: tokio::sync::Mutex<ConnectionHandle<()>>,
    tokens: Arc<Tokens>,
    outcomes: Arc<Outcomes>,
    ended: CancellationToken,
    keeping: AbortHandle,
    _counted: Counted,
}

impl Connected {
    /// Opens an entity to this connection, unless it is open.
    ///
    /// # Errors
    /// The broker does not take the token, or the connection has ended.
    pub(in super::super) async fn authorize(&self, entity: &str) -> Result<(), Fault> {
        self.unless_ended(self.tokens.open(entity)).await
    }

    /// A session of its own: what is wrong on it ends nothing else.
    ///
    /// # Errors
    /// The connection has ended.
    pub(in super::super) async fn session(&self) -> Result<SessionHandle<()>, Fault> {
        let begun = async {
            let mut connection = self.connection.lock().await;
            let begun = Session::builder().begin(&mut connection).await;
            begun.map_err(|error| Fault::Ended(Cause::because(STOPPED, error)))
        };
        self.unless_ended(begun).await
    }

    /// What the broker says of settlements on this connection.
    pub(in super::super) fn outcomes(&self) -> &Arc<Outcomes> {
        &self.outcomes
    }

    /// Whether nothing more comes or goes.
    pub(in super::super) fn is_ended(&self) -> bool {
        self.ended.is_cancelled()
    }

    /// Returns 50 ms after the connection has ended, so that the call that knows the reason can
    /// give it first. To be waited for beside every answer: not every call of the library returns
    /// when a connection ends.
    pub(in super::super) async fn ended(&self) {
        a_moment_after(&self.ended).await;
    }

    /// What this gives, unless the connection ends first.
    pub(in super::super) async fn unless_ended<T>(
        &self,
        answer: impl Future<Output = Result<T, Fault>>,
    ) -> Result<T, Fault> {
        unless_ended(&self.ended, answer, stopped).await
    }
}

impl Drop for Connected {
    fn drop(&mut self) {
        self.keeping.abort();
    }
}

fn stopped() -> Fault {
    Fault::Ended(STOPPED.into())
}

impl Dial for Dialler {
    type Link = Connected;
    type Error = DialError;

    fn dial(&self) -> BoxFuture<'_, Result<Connected, DialError>> {
        Box::pin(async {
            let limit = self.patience;
            let late = || DialError::Gone(format!("it did not answer within {limit:?}").into());
            timeout(limit, self.open()).await.map_err(|_late| late())?
        })
    }

    fn is_usable(link: &Connected) -> bool {
        !link.is_ended() && link.tokens.is_usable()
    }

    fn given_up() -> DialError {
        DialError::Gone("dialling was given up".into())
    }
}

impl Dialler {
    async fn open(&self) -> Result<Connected, DialError> {
        let gone = |fault: Fault| DialError::Gone(Cause::from(fault));
        let (outcomes, ended) = (Arc::new(Outcomes::default()), CancellationToken::new());
        let socket = self.socket(&outcomes, &ended).await;
        let socket = socket.map_err(|error| DialError::Gone(Cause::of(error)))?;
        let opening = Connection::builder()
            .container_id(format!("{} {}", self.name, Uuid::now_v7().simple()))
            .hostname(self.reached.namespace.host.as_str())
            .scheme("amqp")
            .max_frame_size(FRAME)
            .idle_time_out(SILENCE)
            .sasl_profile(SaslProfile::Anonymous)
            .open_with_stream(socket);
        let mut connection = opening.await.map_err(refused)?;
        let node = async {
            let session = Session::begin(&mut connection).await;
            let session = session.map_err(|error| Fault::Ended(Cause::because(STOPPED, error)))?;
            RequestLink::attach(session, "$cbs").await
        };
        let node = unless_ended(&ended, node, stopped).await.map_err(gone)?;
        let tokens = Tokens::new(self.reached.clone(), node);
        let keeping = tokio::spawn(Arc::clone(&tokens).keep()).abort_handle();
        let namespace = self.reached.namespace.to_string();
        tracing::info!(namespace, connection = self.name, "connected");
        Ok(Connected {
            connection: tokio::sync::Mutex::new(connection),
            tokens,
            outcomes,
            ended,
            keeping,
            _counted: Counted::new("dialled"),
        })
    }

    async fn socket(
        &self,
        outcomes: &Arc<Outcomes>,
        ended: &CancellationToken,
    ) -> io::Result<Socket> {
        let namespace = &self.reached.namespace;
        let stream = connect(&namespace.host, namespace.port).await?;
        stream.set_nodelay(true)?;
        let (outcomes, ended) = (Arc::clone(outcomes), ended.clone());
        let Some((config, name)) = self.reached.tls.clone() else {
            return self.through(stream, outcomes, ended).await;
        };
        let stream = TlsConnector::from(config).connect(name, stream).await?;
        self.through(stream, outcomes, ended).await
    }

    /// Through a WebSocket, where the namespace is to be reached so.
    async fn through(
        &self,
        stream: impl AsyncRead + AsyncWrite + Send + Unpin + 'static,
        outcomes: Arc<Outcomes>,
        ended: CancellationToken,
    ) -> io::Result<Socket> {
        if !self.reached.namespace.is_web_socket {
            return Ok(Socket::new(stream, outcomes, ended));
        }
        let address = self.reached.namespace.web_socket();
        let stream = WebSocketStream::connect_with_stream(address, stream).await;
        Ok(Socket::new(stream.map_err(io::Error::other)?, outcomes, ended))
    }
}

fn refused(error: OpenError) -> DialError {
    match error {
        OpenError::SaslError { .. } => {
            DialError::Refused(Cause::because("the broker does not let this process in", error))
        }
        other => DialError::Gone(Cause::of(other)),
    }
}
