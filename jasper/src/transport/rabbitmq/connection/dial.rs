//! Opening a connection to a broker.

use std::io;
use std::time::Duration;

use async_rs::Runtime;
use futures_util::StreamExt;
use futures_util::future::BoxFuture;
use lapin::{AsyncTcpStream, Connection, ConnectionProperties, Error, Event};
use tokio::sync::watch;
use tokio::time::timeout;
use tokio_rustls::TlsConnector;
use tokio_util::sync::CancellationToken;

use super::super::failure::{AmqpFault, fault_of};
use super::super::settings::Reached;
use super::error::DialError;
use super::kit::{Kit, Socket};
use crate::transport::cause::Cause;
use crate::transport::connect::connect;
use crate::transport::connection_end::{a_moment_after, unless_ended};
use crate::transport::counted::Counted;
use crate::transport::shared_connection::Dial;

/// All that is needed to dial one broker.
#[derive(Debug)]
pub(in super::super) struct Dialler {
    pub(in super::super) reached: Reached,
    /// How the connection is called at the broker.
    pub(in super::super) name: String,
    pub(in super::super) patience: Duration,
}

/// The one connection to a broker for one direction.
pub(in super::super) type BrokerConnection =
    crate::transport::shared_connection::SharedConnection<Dialler>;

/// An open connection.
#[derive(Debug)]
pub(in super::super) struct Connected {
    pub(in super::super) connection: Connection,
    /// Why the broker takes nothing at present.
    blocked: watch::Receiver<Option<String>>,
    ended: CancellationToken,
    _counted: Counted,
}

impl Connected {
    /// Why the broker takes nothing at present, if that is so.
    pub(in super::super) fn blocked(&self) -> Option<String> {
        self.blocked.borrow().clone()
    }

    /// Returns 50 ms after the connection has ended, so that the call that knows the reason can
    /// give it first. To be waited for beside every answer: `lapin` answers no call that is made
    /// while a connection ends.
    pub(in super::super) async fn ended(&self) {
        a_moment_after(&self.ended).await;
    }

    /// What this gives, unless the connection ends first.
    pub(in super::super) async fn unless_ended<T>(
        &self,
        answer: impl Future<Output = Result<T, Error>>,
    ) -> Result<T, Error> {
        unless_ended(&self.ended, answer, aborted).await
    }
}

fn aborted() -> Error {
    io::Error::from(io::ErrorKind::ConnectionAborted).into()
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
        link.connection.status().connected()
    }

    fn given_up() -> DialError {
        DialError::Gone("dialling was given up".into())
    }
}

impl Dialler {
    async fn open(&self) -> Result<Connected, DialError> {
        // Opened here, so that what cannot be reached is known without a thread of its own.
        let socket = self.socket().await.map_err(|error| DialError::Gone(Cause::of(error)))?;
        let socket_ended = socket.ended();
        let socket = parking_lot::Mutex::new(Some(socket));
        let connect = async move |_uri, _runtime| {
            mute_this_thread();
            socket.lock().take().map(AsyncTcpStream::Plain).ok_or_else(aborted)
        };
        let name = self.name.as_str().into();
        let properties = ConnectionProperties::default().with_connection_name(name);
        let (uri, runtime) = (self.reached.broker.uri.clone(), Runtime::new(Kit::current()));
        let connecting = Connection::connector(uri, runtime, connect, properties);
        let connection = unless_ended(&socket_ended, connecting, aborted).await.map_err(
            |error| match fault_of(&error) {
                Some(AmqpFault { why, .. }) => DialError::Refused(Cause::because(why, error)),
                None => DialError::Gone(Cause::of(error)),
            },
        )?;
        let broker = self.reached.broker.to_string();
        tracing::info!(broker, connection = self.name, "connected");
        let ended = CancellationToken::new();
        let blocked = watch_over(&connection, broker, ended.clone());
        Ok(Connected { connection, blocked, ended, _counted: Counted::new("dialled") })
    }

    async fn socket(&self) -> io::Result<Socket> {
        let port = self.reached.broker.uri.authority.port;
        let stream = connect(self.reached.broker.host(), port).await?;
        stream.set_nodelay(true)?;
        let Some((config, name)) = self.reached.tls.clone() else {
            return Ok(Socket::new(stream));
        };
        Ok(Socket::new(TlsConnector::from(config).connect(name, stream).await?))
    }
}

/// `lapin` writes messages that come back into the log, with what is in them. Its thread is this
/// connection's alone, and what it would say comes back as errors.
fn mute_this_thread() {
    let muted = tracing::dispatcher::set_default(&tracing::dispatcher::Dispatch::none());
    // As long as the thread lives.
    std::mem::forget(muted);
}

/// Notes when the broker takes nothing, when it does again, and when the connection has ended.
fn watch_over(
    connection: &Connection,
    broker: String,
    ended: CancellationToken,
) -> watch::Receiver<Option<String>> {
    let (blocked, watched) = watch::channel(None);
    let ended = ended.drop_guard();
    let status = connection.status().clone();
    let mut events = Box::pin(connection.events_listener());
    tokio::spawn(async move {
        let _ended = ended;
        while let Some(event) = events.next().await {
            match event {
                Event::ConnectionBlocked(why) => {
                    tracing::warn!(broker, why, "the broker takes no messages; they wait");
                    blocked.send_replace(Some(why));
                }
                Event::ConnectionUnblocked => {
                    tracing::info!(broker, "the broker takes messages again");
                    blocked.send_replace(None);
                }
                Event::Error(error) if !status.connected() => {
                    return tracing::debug!(broker, %error, "the connection has ended");
                }
                _ => {}
            }
        }
    });
    watched
}
