//! Accepting connections: how many, from which peers, and until when.

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::BoxFuture;
use parking_lot::Mutex;
use rustls::ServerConfig;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::{Instant, timeout};
use tokio_util::sync::{CancellationToken, DropGuard};
use tokio_util::task::TaskTracker;

use super::super::budget::ReceiveBudget;
use super::super::counting::rejected;
use super::super::frame::Rejected;
use super::super::handshake::{WelcomeError, Welcoming, turn_away, welcome};
use super::super::limits::Limits;
use super::super::peer::Peers;
use super::super::reader::FrameReader;
use super::super::shares::{Place, Places, Shares};
use super::super::streams::{Halves, Reading, Writing, tls_error};
use super::super::vitals::Vitals;
use super::reply_sizes::ReplySizes;
use super::session::{LINGER, ServerSession};
use crate::envelope::Address;
use crate::error_text::on_one_line;
use crate::transport::{Listener, Receiver};

/// The pauses after which accepting is tried again when the system has no more sockets.
const FIRST_PAUSE: Duration = Duration::from_millis(5);
const LONGEST_PAUSE: Duration = Duration::from_secs(1);
/// Connections that are not taken meanwhile are counted by telemetry only.
const BETWEEN_WARNINGS: Duration = Duration::from_secs(1);

/// What all listeners of a process share.
#[derive(Debug)]
pub(in super::super) struct ServerShared {
    limits: Limits,
    peers: Peers,
    budget: Arc<ReceiveBudget>,
    reply_sizes: Arc<ReplySizes>,
    places: Places,
    /// Of connections that have ended, and brought what is still being worked on.
    leftovers: Arc<Semaphore>,
    handshakes: Arc<Semaphore>,
    handshakes_of: Shares<IpAddr, Semaphore>,
    warned: Mutex<Option<Instant>>,
}

impl ServerShared {
    pub(in super::super) fn new(limits: Limits, peers: Peers) -> Arc<Self> {
        Arc::new(Self {
            limits,
            peers,
            budget: ReceiveBudget::new(&limits),
            reply_sizes: Arc::new(ReplySizes::new(limits.frame)),
            places: Places::new(&limits),
            leftovers: Arc::new(Semaphore::new(limits.connections)),
            handshakes: Arc::new(Semaphore::new(limits.handshakes)),
            handshakes_of: Shares::new(),
            warned: Mutex::new(None),
        })
    }

    /// Room for one more that has not shaken hands yet.
    fn handshake(&self, from: IpAddr) -> Result<HandshakePermits, String> {
        let Limits { handshakes, address_handshakes, .. } = self.limits;
        let of_address = self.handshakes_of.of(from, || Semaphore::new(address_handshakes));
        let of_address = of_address.try_acquire_owned().map_err(|_full| {
            format!("{address_handshakes} others from its address have not shaken hands yet")
        })?;
        let of_all = Arc::clone(&self.handshakes)
            .try_acquire_owned()
            .map_err(|_full| format!("{handshakes} others have not shaken hands yet"))?;
        Ok(HandshakePermits { _of_address: of_address, _of_all: of_all })
    }

    /// Counts a connection that is not taken, and warns of it; but strangers must not be able to
    /// fill a log.
    fn report(&self, from: SocketAddr, reason: &'static str, why: &str) {
        rejected(reason, 1);
        let now = Instant::now();
        let is_quiet = {
            let mut warned = self.warned.lock();
            let is_quiet = warned.is_none_or(|last| now - last >= BETWEEN_WARNINGS);
            if is_quiet {
                *warned = Some(now);
            }
            is_quiet
        };
        if is_quiet {
            tracing::warn!(%from, reason, why, "a connection is not taken");
        } else {
            tracing::debug!(%from, reason, why, "a connection is not taken");
        }
    }
}

/// The port's listener.
#[derive(Debug)]
pub(in super::super) struct Listening {
    address: Address,
    stop: CancellationToken,
    /// The acceptor and each connection.
    tasks: TaskTracker,
    /// Ends what was never stopped.
    _kill: DropGuard,
}

impl Listener for Listening {
    fn address(&self) -> Address {
        self.address.clone()
    }

    fn stop(&self) -> BoxFuture<'_, ()> {
        self.stop.cancel();
        Box::pin(self.tasks.wait())
    }
}

/// Serves who comes to this socket.
pub(in super::super) fn listen(
    socket: TcpListener,
    address: Address,
    shared: Arc<ServerShared>,
    tls: Option<Arc<ServerConfig>>,
    receiver: Arc<dyn Receiver>,
) -> Listening {
    let kill = CancellationToken::new();
    let stop = kill.child_token();
    let tasks = TaskTracker::new();
    let acceptor = Acceptor {
        shared,
        tls,
        receiver,
        stop: stop.clone(),
        kill: kill.clone(),
        tasks: tasks.clone(),
    };
    tasks.spawn(Arc::new(acceptor).accept_all(socket));
    tasks.close();
    Listening { address, stop, tasks, _kill: kill.drop_guard() }
}

#[derive(Debug)]
struct Acceptor {
    shared: Arc<ServerShared>,
    tls: Option<Arc<ServerConfig>>,
    receiver: Arc<dyn Receiver>,
    stop: CancellationToken,
    kill: CancellationToken,
    tasks: TaskTracker,
}

impl Acceptor {
    async fn accept_all(self: Arc<Self>, socket: TcpListener) {
        let mut pause = FIRST_PAUSE;
        loop {
            let accepted = tokio::select! {
                biased;
                () = self.stop.cancelled() => return,
                accepted = socket.accept() => accepted,
            };
            match accepted {
                Ok((stream, from)) => {
                    pause = FIRST_PAUSE;
                    self.let_in(stream, from);
                }
                Err(error) => {
                    tracing::warn!(%error, "a connection cannot be accepted");
                    tokio::select! {
                        () = self.stop.cancelled() => return,
                        () = tokio::time::sleep(pause) => {}
                    }
                    pause = (pause * 2).min(LONGEST_PAUSE);
                }
            }
        }
    }

    fn let_in(self: &Arc<Self>, stream: TcpStream, from: SocketAddr) {
        let permits = match self.shared.handshake(from.ip()) {
            Ok(permits) => permits,
            Err(why) => return self.shared.report(from, "limit", &why),
        };
        let acceptor = Arc::clone(self);
        self.tasks.spawn(async move {
            let kill = acceptor.kill.clone();
            tokio::select! {
                biased;
                () = kill.cancelled() => {}
                () = acceptor.serve(stream, from, permits) => {}
            }
        });
    }

    async fn serve(&self, stream: TcpStream, from: SocketAddr, permits: HandshakePermits) {
        let shared = &self.shared;
        let limits = &shared.limits;
        let opening = timeout(limits.handshake, self.open(stream, from.ip()));
        let opened = tokio::select! {
            () = self.stop.cancelled() => return,
            opened = opening => opened.unwrap_or(Err(HandshakeError::Late)),
        };
        match opened {
            Ok(OpenConnection { reader, writer, vitals, session, place }) => {
                drop(permits);
                session.run(reader, writer, &vitals, &self.stop).await;
                // The place ends with the socket, unless as many others have left work behind.
                let leftover = Arc::clone(&shared.leftovers).try_acquire_owned();
                let place = leftover.is_err().then_some(place);
                session.answered().await;
                drop((leftover, place));
            }
            Err(turned) => turned.away(shared, from).await,
        }
    }

    async fn open(
        &self,
        stream: TcpStream,
        from: IpAddr,
    ) -> Result<OpenConnection, HandshakeError> {
        let shared = &self.shared;
        let halves = Halves::accepted(stream, self.tls.as_ref()).await?;
        let vitals = Arc::new(Vitals::new());
        let mut reader = FrameReader::new(halves.reading, Arc::clone(&vitals));
        let mut writer = halves.writing;
        let welcoming = Welcoming {
            limits: &shared.limits,
            peers: &shared.peers,
            places: &shared.places,
            from,
            binding: halves.binding.as_ref(),
            certificate: halves.certificate.as_ref(),
        };
        let accepted = match welcome(&mut reader, &mut writer, &welcoming).await {
            Ok(accepted) => accepted,
            Err(WelcomeError::Rejected(rejected)) => {
                return Err(HandshakeError::Rejected(Box::new((reader, writer, rejected))));
            }
            Err(WelcomeError::Gone(why)) => return Err(HandshakeError::Gone(why)),
        };
        let ServerShared { limits, budget, reply_sizes, .. } = &**shared;
        let session = ServerSession::new(&accepted, limits, budget, reply_sizes, &self.receiver);
        Ok(OpenConnection { reader, writer, vitals, session, place: accepted.place })
    }
}

/// What a handshake takes up.
struct HandshakePermits {
    _of_address: OwnedSemaphorePermit,
    _of_all: OwnedSemaphorePermit,
}

/// A connection on which both sides know each other.
struct OpenConnection {
    reader: FrameReader<Reading>,
    writer: Writing,
    vitals: Arc<Vitals>,
    session: Arc<ServerSession>,
    /// Among all connections.
    place: Place,
}

/// Why a connection did not come that far.
enum HandshakeError {
    Rejected(Box<(FrameReader<Reading>, Writing, Rejected)>),
    Gone(String),
    Tls(String),
    Late,
}

impl HandshakeError {
    /// Says why, here and to the other side.
    async fn away(self, shared: &ServerShared, from: SocketAddr) {
        match self {
            Self::Rejected(told) => {
                let (mut reader, mut writer, rejected) = *told;
                shared.report(from, rejected.code.as_str(), &rejected.why);
                let telling = turn_away(&mut reader, &mut writer, rejected);
                let _told = timeout(LINGER, telling).await;
            }
            Self::Gone(why) => {
                tracing::debug!(%from, why, "a connection has ended before it was taken");
            }
            Self::Tls(why) => shared.report(from, "tls", &why),
            Self::Late => shared.report(from, "deadline", "it did not shake hands in time"),
        }
    }
}

impl From<io::Error> for HandshakeError {
    fn from(error: io::Error) -> Self {
        match tls_error(&error) {
            Some(tls) => Self::Tls(on_one_line(&tls.to_string()).into_owned()),
            None => Self::Gone(error.to_string()),
        }
    }
}
